"""Small catalogues with known colours at known places, published by the publisher itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from headscarp.core.event import Event, RunId, ShakeMapId
from headscarp.core.grid import utm_crs
from headscarp.core.predictor import Quantity
from headscarp.core.status import Status
from headscarp.io.outputs.product import ModelMap, Product
from headscarp.io.store import LocalStore
from headscarp.pipeline.page import publish_page
from headscarp.pipeline.publish import publish
from headscarp.viewer import page_files

SIDE = 600
PIXEL_M = 45.0
REACH = 75
PATCHES = {(150, 150): 0.15, (150, 450): 0.9, (450, 150): 0.4}
"""Value of the published map around each (row, column). The USGS map holds a tenth of it."""
SILENT = {(450, 450): Status.SEA, (300, 150): Status.WEAK_SHAKING, (300, 450): Status.NODATA}
"""Why there is no value around each of these; elsewhere, but for the next, all is valid."""
DOUBTFUL = (450, 300)
"""Around it all is out of domain, with a value too low for a colour."""
MIDDLE = (300, 300)
MIDDLE_BY_VERSION = (0.25, 0.55, 0.7)
ORIGIN = datetime(2026, 11, 22, 6, 10, tzinfo=UTC)


@dataclass(frozen=True)
class Quake:
    """What a test wants published."""

    id: str = "hs2026test"
    title: str = "M 6.8 - 12 km W of Testville"
    time: datetime = ORIGIN
    magnitude: float = 6.8
    longitude: float = 20.6
    latitude: float = 38.66
    versions: int = 2
    synthetic: bool = False
    usgs: bool = True
    quantity: Quantity = "score"
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def event(self) -> Event:
        """The quake as its author describes it."""
        place = {"longitude": self.longitude, "latitude": self.latitude, "depth_km": 10.5}
        url = "https://earthquake.example/event"
        return Event(self.id, self.title, self.time, self.magnitude, url=url, synthetic=self.synthetic, **place)

    @property
    def grid(self) -> GeoBox:
        """A square of 27 km about the epicentre."""
        crs = utm_crs(self.longitude, self.latitude)
        x, y = Transformer.from_crs("EPSG:4326", str(crs), always_xy=True).transform(self.longitude, self.latitude)
        half = SIDE * PIXEL_M / 2
        box = (round(x - half, 3), round(y - half, 3), round(x + half, 3), round(y + half, 3))
        return GeoBox.from_bbox(box, crs=crs, shape=(SIDE, SIDE))

    def position(self, row: int, column: int) -> tuple[float, float]:
        """Longitude and latitude of a pixel's corner."""
        grid = self.grid
        back = Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True)
        longitude, latitude = back.transform(*(grid.transform * (column, row)))
        return longitude, latitude

    def run(self, version: int) -> RunId:
        """Identity of a version, counted from 1."""
        updated = round(self.time.timestamp() * 1000) + version * 1_200_000
        models = ("fcn-1", "nowicki_jessee-2018") if self.usgs else ("fcn-1",)
        return RunId(self.id, ShakeMapId("us", self.id, updated), models, "abcdef0123456789")


def values(version: int) -> np.ndarray:
    """(y, x) patches of `PATCHES`, 0.02 elsewhere; each version has a value of its own in the middle."""
    array = np.full((SIDE, SIDE), 0.02, np.float32)
    for place, value in {**PATCHES, **dict.fromkeys(SILENT, np.nan), MIDDLE: MIDDLE_BY_VERSION[version - 1]}.items():
        array[around(place)] = value
    return array


def statuses() -> np.ndarray:
    """(y, x) status codes that go with the values."""
    codes = np.full((SIDE, SIDE), Status.VALID, np.uint8)
    for place, status in {**SILENT, DOUBTFUL: Status.OUT_OF_DOMAIN}.items():
        codes[around(place)] = status
    return codes


def around(place: tuple[int, int]) -> tuple[slice, slice]:
    """The patch about a row and column."""
    row, column = place
    return slice(row - REACH, row + REACH), slice(column - REACH, column + REACH)


def write_catalogue(folder: Path, *quakes: Quake) -> Path:
    """A public folder with the page and all versions of these quakes, published in order."""
    store = LocalStore(folder / "store")
    publish_page(store, page_files())
    for quake in quakes:
        for version in range(1, quake.versions + 1):
            publish_version(store, folder / "scratch", quake, version)
    return folder / "store" / "catalog"


def publish_version(store: LocalStore, scratch: Path, quake: Quake, version: int) -> None:
    """Publish one more version."""
    scratch.mkdir(exist_ok=True)
    made = product(quake, version, scratch)
    now = datetime(2026, 11, 22, 7, version, tzinfo=UTC)
    publish(made, store, scratch=scratch, public_url="http://maps.example/catalog", now=now, threads=1)


def product(quake: Quake, version: int, folder: Path) -> Product:
    """A version as the pipeline hands it to the publisher."""
    array = values(version)
    hazard = raster(folder / "hazard_in.tif", array, quake.grid, np.nan)
    maps = [ModelMap("fcn", "1", quake.quantity, hazard, tuple(quake.missing))]
    if quake.usgs:
        usgs = raster(folder / "usgs_in.tif", array * np.float32(0.1), quake.grid, np.nan)
        maps.append(ModelMap("nowicki_jessee", "2018", "coverage", usgs))
    return Product(
        run=quake.run(version),
        event=quake.event,
        grid=quake.grid,
        cut_by_shakemap_edge=False,
        maps=tuple(maps),
        status=raster(folder / "status_in.tif", statuses(), quake.grid, Status.NODATA),
        peak_pga=0.834,
        shakemap={"format": "grid.xml", "shakemap_version": str(version)},
        lineage={"headscarp:missing": dict(quake.missing), "headscarp:land_km2": 683.4},
        timings={"extent": 0.02, "cube": 12.4, "predict fcn": 8.1},
        synthetic=quake.synthetic,
    )


def raster(path: Path, array: np.ndarray, grid: GeoBox, nodata: float) -> Path:
    """One band as a GeoTIFF on the event grid."""
    profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 1, "dtype": array.dtype, "nodata": nodata}
    with rasterio.open(path, "w", crs=str(grid.crs), transform=grid.transform, **profile) as file:
        file.write(array, 1)
    return path


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a JSON file in place."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
