"""SYNTHETIC ground in files, and cubes of quakes on it: small blocks, so that a quake has many."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio
import shapely
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox

from headscarp.core.event import Event, Shaking
from headscarp.core.grid import Extent
from headscarp.core.lattice import ZoneLattice
from headscarp.core.pci.table import Table
from headscarp.core.tiling import Window
from headscarp.io.cubes.cube import Cube
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.store import Store
from headscarp.pipeline.cube import build_cube
from headscarp.tables.coseismic import COSEISMIC
from tests.core.pci.landforms import fractal

BLOCK = 128
ZONE = ZoneLattice(32634, BLOCK)
CORNER = Window(1024 * 228, 1024 * 48, 0, 0)
"""Where the ground begins on the lattice: the corner of a block."""
QUAKE = Event(
    "one", "M 7.0 Somewhere", datetime(2022, 5, 1, tzinfo=UTC), 7.0, 21.0, 38.9, 10.0, rake=90.0, synthetic=True
)
QUICK = Table("quick", tuple(r for r in COSEISMIC if r.kernel not in {"hydrology", "river_distance", "relief"}))
STATIC = tuple(channel for row in QUICK.static for channel in row.outputs)


def write(path: Path, values: np.ndarray, *, nodata: float | None = None) -> str:
    transform = ZONE.geobox(replace(CORNER, height=1, width=1)).transform
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1], count=1, dtype=values.dtype,
        crs=ZONE.crs, transform=transform, nodata=nodata, tiled=True,
    ) as target:  # fmt: skip
        target.update_tags(SYNTHETIC="YES")
        target.write(values, 1)
    return str(path)


@dataclass(frozen=True)
class Ground:
    """Layers by name, as a source registry has them."""

    layers: dict[str, Any]

    def registry(self, **changes: dict[str, Any]) -> SourceRegistry:
        layers = {name: spec | changes.get(name, {}) for name, spec in self.layers.items()}
        return SourceRegistry({}, {}).with_overrides(layers, others="not in the test")


def make_ground(folder: Path, *, height: int = 700, width: int = 900) -> Ground:
    """Rough land with a sea in the west and a wide void, rock of two kinds, land cover and two faults."""
    one = fractal((1024, 1024), seed=4, exponent=2.0)
    rough = np.tile(one, (-(-height // 1024), -(-width // 1024)))[:height, :width]
    z = (400.0 + 0.3 * rough + np.linspace(-600.0, 900.0, width, dtype=np.float32)).astype(np.float32)
    z[300:340, 500:530] = np.nan
    rock = np.where(rough > 0, 5, 8).astype(np.uint8)
    cover = np.where(rough > np.median(rough), 10, 30).astype(np.uint8)
    x, y = ZONE.geobox(replace(CORNER, height=1, width=1)).transform * (0, 0)
    lines = [
        shapely.LineString([(x + a, y - b), (x + c, y - d)])
        for a, b, c, d in ((3000, 500, 9000, 40_000), (-5000, 0, 60_000, 9000))
    ]
    faults = folder / "faults.gpkg"
    pyogrio.raw.write(faults, shapely.to_wkb(np.array(lines)), [np.arange(2)], ["id"], driver="GPKG", crs=ZONE.crs,
                      geometry_type="LineString")  # fmt: skip
    return Ground(
        {
            "dem": {"href": write(folder / "dem.tif", z, nodata=np.nan), "unit": "m", "epoch": "2015"},
            "lithology": {"href": write(folder / "rock.tif", rock), "scheme": "glim"},
            "land_cover": {"href": write(folder / "cover.tif", cover), "scheme": "worldcover", "epoch": "2020"},
            "faults": {"href": str(faults)},
        }
    )


def part(y: int, x: int, height: int, width: int) -> GeoBox:
    """A part of the ground as an event grid, in pixels from its corner."""
    return ZONE.geobox(Window(CORNER.y + y, CORNER.x + x, height, width))


def keys(grid: GeoBox) -> set[str]:
    return {index.key for index in ZONE.blocks_under(grid)}


def motion(grid: GeoBox, *, pga: float | np.ndarray = 0.3) -> Shaking:
    """Shaking over a grid, on nodes 1.5 km apart in its own CRS."""
    box = grid.boundingbox.buffered(6000)
    size = (int((box.top - box.bottom) // 1500), int((box.right - box.left) // 1500))
    coarse = GeoBox(wh_(size[1], size[0]), Affine(1500, 0, box.left, 0, -1500, box.top), str(grid.crs))
    values = np.broadcast_to(np.float32(pga), size).astype(np.float32)
    return Shaking(coarse, values, pgv=100 * values, attributes={"format": "test"})


def cube_of(store: Store, key: str, grid: GeoBox, registry: SourceRegistry, **changes: Any) -> Cube:
    """The cube of a quake on this grid."""
    given: dict[str, Any] = {
        "event": QUAKE, "shaking": motion(grid), "extent": Extent(grid, cut_by_shakemap_edge=False), "table": QUICK,
        "registry": registry, "lineage": {"source": "test"}, "workers": 1, "timeout_s": 2.0, "block": BLOCK,
    }  # fmt: skip
    return build_cube(store, key, **given | changes)


def whole(cube: Cube, *channels: str) -> np.ndarray:
    return cube.read(channels, Window(0, 0, *cube.grid.shape))


def objects(store: Store, prefix: str = "lattice/") -> dict[str, bytes]:
    """Every object below a prefix."""
    return {key: store.read(key) for key in store.list(prefix)}
