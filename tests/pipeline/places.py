"""SYNTHETIC surfaces given in longitude and latitude, at places where grids go wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyogrio
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import CRS, Geod, Proj, Transformer

from headscarp.core.event import Event, Shaking
from headscarp.core.grid import Bounds, Extent, snapped_grid, utm_crs
from headscarp.core.pci.table import Table
from headscarp.core.tiling import Window
from headscarp.io.cubes.cube import Cube
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.store import LocalStore
from headscarp.pipeline.cube import build_cube
from headscarp.tables.coseismic import COSEISMIC

GEOD = Geod(ellps="WGS84")
Field = NDArray[np.float64]
Surface = Callable[[Field, Field], Field]
"""Values at longitudes and latitudes."""

WATER = Table(
    "water", tuple(r for r in COSEISMIC if r.kernel in {"terrain", "hydrology", "river_distance"} or r.source in
                   {"dem", "dem.sea", "shaking.pga"}),
)  # fmt: skip
DRY = Table("dry", tuple(r for r in COSEISMIC if r.kernel not in {"hydrology", "river_distance"}))


class Place(NamedTuple):
    """A point with the seam of a zone, a hemisphere, a day or a tile under it."""

    longitude: float
    latitude: float

    @property
    def crs(self) -> CRS:
        return utm_crs(self.longitude, self.latitude)

    @property
    def metric(self) -> tuple[float, float]:
        """Easting and northing in its own zone."""
        x, y = Transformer.from_crs(4326, self.crs, always_xy=True).transform(self.longitude, self.latitude)
        return float(x), float(y)

    def grid(self, half_m: float) -> GeoBox:
        """The square of the event grid around it."""
        x, y = self.metric
        return snapped_grid(Bounds(x - half_m, y - half_m, x + half_m, y + half_m), self.crs)

    def polar(self, longitude: Field, latitude: Field) -> tuple[Field, Field]:
        """Geodesic azimuth in degrees and distance in metres from here."""
        azimuth, _, distance = GEOD.inv(
            np.full_like(longitude, self.longitude), np.full_like(latitude, self.latitude), longitude, latitude
        )
        return np.asarray(azimuth), np.asarray(distance)


PLACES = {
    "63 N, on a border of zones": Place(-150.0, 63.1),
    "equator": Place(-78.2, 0.0),
    "southern hemisphere": Place(173.7, -42.4),
    "antimeridian": Place(180.0, -17.0),
    "border of zones": Place(84.0, 28.2),
}


def centres(grid: GeoBox) -> tuple[Field, Field]:
    """Longitudes and latitudes of pixel centres."""
    columns, rows = np.meshgrid(np.arange(grid.shape.x) + 0.5, np.arange(grid.shape.y) + 0.5)
    lon, lat = Transformer.from_crs(str(grid.crs), 4326, always_xy=True).transform(*(grid.transform * (columns, rows)))
    return lon, lat


def convergence(grid: GeoBox, longitude: Field, latitude: Field) -> Field:
    """Azimuth of grid north in degrees clockwise from true north."""
    factors = Proj(CRS.from_user_input(str(grid.crs))).get_factors(longitude, latitude)
    return np.asarray(factors.meridian_convergence)


def write(path: Path, values: NDArray[Any], transform: Affine, **profile: Any) -> str:
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1], count=1, dtype=values.dtype,
        crs="EPSG:4326", transform=transform, **profile,
    ) as target:  # fmt: skip
        target.write(values, 1)
    return str(path)


def write_tiles(folder: Path, place: Place, surface: Surface, *, reach_m: float = 5500.0) -> str:
    """The surface at 1 arc second (2 in longitude north of 60) as tiles of whole degrees, cut to what is near."""
    folder.mkdir(exist_ok=True)
    dy = 1 / 3600
    dx = dy * (2 if abs(place.latitude) > 60 else 1)
    tall = round(reach_m / 111_000 / dy)
    wide = round(reach_m / 111_000 / np.cos(np.radians(place.latitude)) / dx)
    for south in (np.floor(place.latitude), np.ceil(place.latitude) - 1):
        for west in (np.floor(place.longitude), np.ceil(place.longitude) - 1):
            column = round((place.longitude - west) / dx)
            row = round((south + 1 - place.latitude) / dy)
            x0, x1 = max(column - wide, 0), min(column + wide, round(1 / dx))
            y0, y1 = max(row - tall, 0), min(row + tall, round(1 / dy))
            # Pixel centres on the degree, as those of Copernicus GLO-30.
            transform = Affine(dx, 0, west + (x0 - 0.5) * dx, 0, -dy, south + 1 - (y0 - 0.5) * dy)
            columns, rows = np.meshgrid(np.arange(x1 - x0) + 0.5, np.arange(y1 - y0) + 0.5)
            lon, lat = transform * (columns, rows)
            turned = (west + 180) % 360 - 180
            name = f"{'N' if south >= 0 else 'S'}{abs(south):02.0f}{'E' if turned >= 0 else 'W'}{abs(turned):03.0f}.tif"
            stored = Affine.translation(turned - west, 0) * transform
            write(folder / name, surface(lon, lat).astype(np.float32), stored, nodata=-9999.0)
    return f"{folder}/{{ns}}{{lat:02d}}{{ew}}{{lon:03d}}.tif"


def write_point_fault(path: Path, place: Place) -> str:
    """A fault of a decimetre."""
    line = shapely.LineString([(place.longitude - 1e-6, place.latitude), (place.longitude, place.latitude)])
    pyogrio.raw.write(
        path, shapely.to_wkb(np.array([line])), [np.arange(1)], ["id"], driver="GPKG", crs="EPSG:4326",
        geometry_type="LineString",
    )  # fmt: skip
    return str(path)


def shaking_around(place: Place, pga: Surface) -> Shaking:
    """A ShakeMap of half-minute cells; longitudes run on past 180."""
    step = 1 / 120
    reach = 12 + int(8 / np.cos(np.radians(place.latitude)))
    grid = GeoBox(
        wh_(2 * reach, 2 * reach),
        Affine(step, 0, place.longitude - reach * step, 0, -step, place.latitude + reach * step),
        "EPSG:4326",
    )
    columns, rows = np.meshgrid(np.arange(2 * reach) + 0.5, np.arange(2 * reach) + 0.5)
    return Shaking(grid, pga(*(grid.transform * (columns, rows))).astype(np.float32))


def steady(longitude: Field, latitude: Field) -> Field:
    return np.full_like(longitude, 0.3)


def build(
    folder: Path, place: Place, layers: dict[str, dict[str, Any]], *, table: Table = DRY, pga: Surface = steady,
    half_m: float = 3000.0, key: str = "c.zarr", **options: Any,
) -> Cube:  # fmt: skip
    """A cube of 6 km around a place, in blocks so small that it takes several."""
    event = Event("xx1", "a made-up quake", datetime(2020, 5, 1, tzinfo=UTC), 7.0, *place, 10.0, 90.0, synthetic=True)
    return build_cube(
        LocalStore(folder), key, event=event, shaking=shaking_around(place, pga),
        extent=Extent(place.grid(half_m), cut_by_shakemap_edge=False), table=table,
        registry=SourceRegistry.load().with_overrides(layers, others="not in the test"), lineage={}, timeout_s=2.0,
        block=512, **options,
    )  # fmt: skip


def rounding(channel: str) -> float:
    """By how much a stored value may differ from the computed one: half a step, and single precision."""
    row = COSEISMIC[channel]
    return (row.precision or 0.0) * 0.501 + 1e-6


def read(cube: Cube, *channels: str) -> NDArray[np.float32]:
    return np.asarray(cube.read(channels, Window(0, 0, *cube.grid.shape)))
