"""Landslide frequencies of the real event folders: statistics only, no raster of theirs leaves the temporary store."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from headscarp.core.grid import PGA_FLOOR_G, Extent
from headscarp.core.learning.frequency import Frequency, by_class, by_interval
from headscarp.core.tiling import Window
from headscarp.core.types import Mask
from headscarp.errors import InvalidInput
from headscarp.io.cubes.cube import Cube
from headscarp.io.inputs.folder import EventFolder, Inventory, read_event_folder
from headscarp.io.inputs.rasters import RasterLayer
from headscarp.io.inputs.sources import SourceRegistry, SourceSpec
from headscarp.io.store import LocalStore
from headscarp.pipeline.cube import build_cube
from headscarp.pipeline.dataset import landslide_masks, mapped_extent
from headscarp.tables.coseismic import COSEISMIC
from infra.figures.bins import ASPECT, INDICATORS, Indicator
from infra.figures.panels import sectors
from infra.figures.style import BLUE, GREEN, ORANGE, PURPLE

OWN_CLASSES = ("lithology", "land_cover")
"""Layers that a folder may have in classes of its own, which the cube does not take."""
GEM_FAULTS = Path("global") / "gem_active_faults_2019.geojson.gz"


@dataclass(frozen=True, slots=True)
class RealEvent:
    """A folder of the shared data that has an inventory made by looking at the ground."""

    folder: str
    name: str
    colour: str


EVENTS = (
    RealEvent("us_usp000e12e_kashmir2005", "Kashmir 2005", BLUE),
    RealEvent("us_us20002926_gorkha2015_30m", "Gorkha 2015, 30 m", ORANGE),
    RealEvent("us_us20002926_gorkha2015_90m", "Gorkha 2015, 90 m", GREEN),
    RealEvent("us_usp000g650_wenchuan2008_30m", "Wenchuan 2008", PURPLE),
)


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted of one event."""

    name: str
    colour: str
    ground_km2: float
    slides_km2: float
    frequencies: Mapping[str, Frequency]
    """By indicator; those without a value are not here."""
    missing: Mapping[str, str]
    """Why an indicator has no value, by channel."""
    own: Mapping[str, tuple[Sequence[int], Frequency]]
    """Layers in the folder's own classes: their codes and frequencies."""


def count(event: RealEvent, data: Path, scratch: Path) -> Counted:
    """Build the cube of a folder as for training and count landslides on it.

    Counted is land with a slope, PGA of at least 0.02 g, and no landslide of another time on it.
    """
    folder = read_event_folder(data / "events" / event.folder)
    extent = mapped_extent(folder)
    cube = _cube(folder, extent, data, scratch)
    slides, ignored = landslide_masks(_inventory(folder), extent.grid)
    slope, land, pga = _read(cube, "slope"), _read(cube, "land"), _read(cube, "pga")
    mapped = (land == 1) & np.isfinite(slope) & (pga >= PGA_FLOOR_G) & ~ignored
    pixel_km2 = 30.0 * 30.0 / 1e6
    return Counted(
        name=event.name,
        colour=event.colour,
        ground_km2=float(mapped.sum()) * pixel_km2,
        slides_km2=float((slides & mapped).sum()) * pixel_km2,
        frequencies=dict(_frequencies(cube, slides, mapped)),
        missing=dict(cube.missing),
        own=dict(_own_classes(folder, extent.grid, slides, mapped)),
    )


def _cube(folder: EventFolder, extent: Extent, data: Path, scratch: Path) -> Cube:
    """The cube of a folder, with GEM's faults where it has none of its own."""
    faults = {} if "faults" in folder.layers else {"faults": {"href": str(_unpacked(data / GEM_FAULTS, scratch))}}
    return build_cube(
        LocalStore(scratch / "store"),
        f"{folder.path.name}.zarr",
        event=folder.event,
        shaking=folder.shaking,
        extent=extent,
        table=COSEISMIC,
        registry=SourceRegistry({}, {}).with_overrides({**folder.layers, **faults}, others="not in the event folder"),
        lineage={"source": "make figures"},
    )


def _unpacked(path: Path, scratch: Path) -> Path:
    """The file without its compression, in the scratch folder."""
    plain = scratch / path.stem
    if not plain.exists():
        with gzip.open(path) as packed, plain.open("wb") as file:
            shutil.copyfileobj(packed, file)
    return plain


def _inventory(folder: EventFolder) -> Inventory:
    if folder.inventory is None:
        raise InvalidInput(f"{folder.path}: expected an inventory to count, found none")
    return folder.inventory


def _read(cube: Cube, channel: str) -> np.ndarray:
    return cube.read((channel,), Window(0, 0, *cube.grid.shape))[0]


def values_of(cube: Cube, indicator: Indicator) -> np.ndarray:
    """(y, x) values of an indicator in the unit it is printed in; aspect as sector, NaN on flat ground."""
    if indicator is not ASPECT:
        return _read(cube, indicator.name) * indicator.factor
    east, north = _read(cube, "aspect_east"), _read(cube, "aspect_north")
    return np.where((east == 0) & (north == 0), np.nan, sectors(east, north))


def _frequencies(cube: Cube, slides: Mask, mapped: Mask) -> Iterator[tuple[str, Frequency]]:
    for indicator in INDICATORS:
        found = by_interval(values_of(cube, indicator), slides, mapped, indicator.edges)
        if found.ground.any():
            yield indicator.name, found


def _own_classes(
    folder: EventFolder, grid: GeoBox, slides: Mask, mapped: Mask
) -> Iterator[tuple[str, tuple[Sequence[int], Frequency]]]:
    for name in OWN_CLASSES:
        spec = folder.layers.get(name)
        if spec is not None and str(spec["scheme"]).startswith("local"):
            codes = RasterLayer(name, SourceSpec.model_validate(spec)).codes(grid, "nearest")
            present = [int(code) for code in np.unique(codes[mapped]) if code]
            yield name, (present, by_class(codes, slides, mapped, present))
