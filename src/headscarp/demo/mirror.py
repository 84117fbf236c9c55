"""A SYNTHETIC place on an S3 server, in buckets laid out and named as those of the public sources.

The addresses are those of the packaged source registry, read through `HEADSCARP_MIRROR`; sizes, origins and
encodings of the files are as published (docs/sources.md).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.windows import Window

from headscarp.core.grid import Bounds
from headscarp.demo.scene import Painter, Scene
from headscarp.demo.seaweed import Seaweed
from headscarp.errors import InvalidInput
from headscarp.io.inputs.origin import mirrored
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.inputs.spec import SourceSpec

Encode = Callable[[NDArray[Any]], NDArray[Any]]
"""Stored bands (band, y, x) of values (y, x)."""

DEM_ROWS = {"dem30": 3_600, "dem90": 1_200}
PIXELS_PER_DEGREE = 12_000
"""Of the 10 m layers."""
HOMOLOSINE = "+proj=igh +lat_0=0 +lon_0=0 +datum=WGS84 +units=m +no_defs"
_SPACING = ((85, 10.0), (80, 5.0), (70, 3.0), (60, 2.0), (50, 1.5), (0, 1.0))
"""From which latitude on pixels are how many times wider than high."""
_BLOCK = 1_024
_SOIL_PIXEL_M = 250.0
_TAGS = {"SYNTHETIC": "YES"}


@dataclass(frozen=True, slots=True)
class Mirror:
    """A copy of the public sources as far as one scene reaches."""

    url: str
    """For `HEADSCARP_MIRROR`."""
    sizes: Mapping[str, int]
    """Bytes by `bucket/key`."""


def publish_mirror(
    server: Seaweed,
    scene: Scene,
    *,
    withheld: Collection[tuple[int, int]] = (),
    pixels_per_degree: int = PIXELS_PER_DEGREE,
) -> Mirror:
    """Lay a scene out on an S3 server as the public sources are.

    Args:
        server: where anyone may read the buckets that are made.
        scene: what the maps show.
        withheld: south-west corners (longitude, latitude) of elevation tiles that exist at 90 m only.
        pixels_per_degree: of land cover and NDVI; fewer than published make a small mirror quickly.
    """
    shelf = _Shelf(server, SourceRegistry.load())
    dem, dem90 = shelf.spec("dem").chain
    for spec, rows, left_out in ((dem, DEM_ROWS["dem30"], withheld), (dem90, DEM_ROWS["dem90"], ())):
        for corner in spec.tiles_over(*_grown(scene.bounds)):
            if corner not in left_out:
                shelf.add_raster(
                    spec.tile_href(*corner), _Drawing(dem_grid(*corner, rows), scene.elevation, _metres), scene
                )
    for layer, paint, encode, nodata in (
        ("land_cover", scene.land_cover, _single, 0),
        ("ndvi", scene.ndvi, _percentiles, 255),
    ):
        spec = shelf.spec(layer)
        for corner in spec.tiles_over(*scene.bounds):
            grid = _square(*corner, spec.tile_degrees, pixels_per_degree)
            shelf.add_raster(spec.tile_href(*corner), _Drawing(grid, paint, encode, nodata), scene)
    shelf.add_soil(shelf.spec("soil").href, scene)
    shelf.add_lines(shelf.spec("faults").href, scene.faults)
    return Mirror(server.url, shelf.sizes)


def dem_grid(west: int, south: int, rows: int) -> GeoBox:
    """Grid of a Copernicus DEM tile: wider pixels towards the poles, pixel centres on its north and west edge."""
    latitude = south if south >= 0 else -south - 1
    columns = round(rows / next(factor for limit, factor in _SPACING if latitude >= limit))
    x, y = 1 / columns, 1 / rows
    return GeoBox(wh_(columns, rows), Affine(x, 0, west - x / 2, 0, -y, south + 1 + y / 2), "EPSG:4326")


def _square(west: int, south: int, degrees: int, pixels_per_degree: int) -> GeoBox:
    pixel, side = 1 / pixels_per_degree, degrees * pixels_per_degree
    return GeoBox(wh_(side, side), Affine(pixel, 0, west, 0, -pixel, south + degrees), "EPSG:4326")


def _grown(bounds: Bounds) -> Bounds:
    """The bounds and half the widest pixel, by which tiles lie west and north of their degree."""
    return Bounds(bounds.west, bounds.south - 0.001, bounds.east + 0.01, bounds.north)


@dataclass(frozen=True, slots=True)
class _Drawing:
    """A file to be painted."""

    grid: GeoBox
    paint: Painter
    encode: Encode
    nodata: float | None = None

    def windows(self, bounds: Bounds) -> Iterator[Window]:
        """Blocks of the file that the scene touches."""
        a, e = self.grid.transform.a, self.grid.transform.e
        left, top = (bounds.west - self.grid.transform.c) / a, (bounds.north - self.grid.transform.f) / e
        right, bottom = (bounds.east - self.grid.transform.c) / a, (bounds.south - self.grid.transform.f) / e
        for y in range(max(0, int(top) // _BLOCK * _BLOCK), min(int(bottom) + 1, self.grid.shape.y), _BLOCK):
            for x in range(max(0, int(left) // _BLOCK * _BLOCK), min(int(right) + 1, self.grid.shape.x), _BLOCK):
                width, height = min(_BLOCK, self.grid.shape.x - x), min(_BLOCK, self.grid.shape.y - y)
                yield Window(x, y, width, height)

    def bands(self, window: Window) -> NDArray[Any]:
        """Stored bands of a window."""
        transform = self.grid.transform * Affine.translation(window.col_off, window.row_off)
        return self.encode(self.paint(GeoBox(wh_(window.width, window.height), transform, self.grid.crs)))


def _metres(elevation: NDArray[Any]) -> NDArray[Any]:
    """As the Copernicus DEM, which has no sea floor."""
    return np.asarray(np.where(elevation < 0, 0, elevation)[None], np.float32)


def _single(codes: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(codes[None], np.uint8)


def _percentiles(ndvi: NDArray[Any]) -> NDArray[Any]:
    """Percentiles 90, 50 and 10 as published: value = 0.008 stored - 1, 255 missing."""
    spread = np.array([0.1, 0.0, -0.2])[:, None, None]
    stored = np.clip(np.rint((ndvi[None] + spread + 1.0) / 0.008), 0, 250)
    return np.asarray(np.where(np.isnan(stored), 255, stored), np.uint8)


def _groups_from_zero(soil: NDArray[Any]) -> NDArray[Any]:
    """WRB groups as SoilGrids counts them."""
    return np.asarray(np.where(soil == 0, 255, soil.astype(np.int16) - 1)[None], np.uint8)


class _Shelf:
    """Buckets that are filled with files."""

    def __init__(self, server: Seaweed, registry: SourceRegistry) -> None:
        self._server, self._registry = server, registry
        self._buckets: set[str] = set()
        self.sizes: dict[str, int] = {}

    def spec(self, layer: str) -> SourceSpec:
        found = self._registry[layer]
        if found is None:
            raise InvalidInput(f"mirror: expected a public source of {layer}: {self._registry.reason(layer)}")
        return found

    def add_raster(self, href: str, drawing: _Drawing, scene: Scene) -> None:
        """A COG at its public address; none where the scene has nothing to show."""
        with tempfile.TemporaryDirectory() as folder:
            plain, cog = Path(folder, "plain.tif"), Path(folder, "cog.tif")
            if _draw(plain, drawing, scene.bounds):
                _to_cog(plain, cog)
                self._put(href, cog)

    def add_soil(self, href: str, scene: Scene) -> None:
        """A VRT over one GeoTIFF in Goode's interrupted homolosine projection, 250 m."""
        drawing = _Drawing(_homolosine_grid(scene.bounds), scene.soil, _groups_from_zero, 255)
        with tempfile.TemporaryDirectory() as folder:
            tile, vrt = Path(folder, "tile.tif"), Path(folder, "soil.vrt")
            everywhere = Bounds(*drawing.grid.boundingbox.bbox)
            _draw(tile, drawing, everywhere)
            name = f"{href.rpartition('/')[2].removesuffix('.vrt')}/tileSG-000-000/tileSG-000-000_1-1.tif"
            vrt.write_text(_vrt(drawing.grid, name), encoding="utf-8")
            self._put(f"{href.rpartition('/')[0]}/{name}", tile)
            self._put(href, vrt)

    def add_lines(self, href: str, lines: tuple[NDArray[np.float64], ...]) -> None:
        """Polylines as a GeoPackage."""
        import pyogrio
        import shapely

        shapes = np.array([shapely.LineString(line) for line in lines], dtype=object)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "lines.gpkg")
            pyogrio.raw.write(
                str(path), shapely.to_wkb(shapes), [np.arange(len(shapes))], ["id"],
                driver="GPKG", geometry_type="LineString", crs="EPSG:4326", layer="faults",
            )  # fmt: skip
            self._put(href, path)

    def _put(self, href: str, path: Path) -> None:
        place = mirrored(href, "")[1:]
        bucket, _, key = place.partition("/")
        if bucket not in self._buckets:
            self._server.make_bucket(bucket, "")
            self._buckets.add(bucket)
        self._server.client().upload_file(str(path), bucket, key)
        self.sizes[place] = path.stat().st_size


def _draw(path: Path, drawing: _Drawing, bounds: Bounds) -> bool:
    """Paint the blocks that the scene touches, and leave the others out; False if all is nodata, or sea."""
    first = next(iter(drawing.windows(bounds)), None)
    if first is None:
        return False
    sample = drawing.bands(Window(first.col_off, first.row_off, 1, 1))
    seen = False
    with rasterio.open(
        path, "w", driver="GTiff", width=drawing.grid.shape.x, height=drawing.grid.shape.y, count=sample.shape[0],
        dtype=sample.dtype, crs=str(drawing.grid.crs), transform=drawing.grid.transform, nodata=drawing.nodata,
        tiled=True, blockxsize=_BLOCK, blockysize=_BLOCK, compress="LZW", interleave="pixel", SPARSE_OK=True,
    ) as target:  # fmt: skip
        target.update_tags(**_TAGS)
        for window in drawing.windows(bounds):
            bands = drawing.bands(window)
            if bool((bands != (drawing.nodata or 0)).any()):
                target.write(bands, window=window)
                seen = True
    return seen


def _to_cog(plain: Path, cog: Path) -> None:
    from rasterio.shutil import copy

    copy(
        plain, cog, driver="COG", compress="DEFLATE", predictor="YES", blocksize=_BLOCK, overviews="NONE",
        SPARSE_OK=True, NUM_THREADS=2, LEVEL=1,
    )  # fmt: skip


def _homolosine_grid(bounds: Bounds) -> GeoBox:
    """The 250 m grid over the bounds."""
    place = Transformer.from_crs(4326, HOMOLOSINE, always_xy=True)
    pixel = _SOIL_PIXEL_M
    west, south, east, north = (value / pixel for value in place.transform_bounds(*bounds, densify_pts=41))
    left, top = int(np.floor(west)) - 2, int(np.ceil(north)) + 2
    width, height = int(np.ceil(east)) + 2 - left, top - int(np.floor(south)) + 2
    return GeoBox(wh_(width, height), Affine(pixel, 0, left * pixel, 0, -pixel, top * pixel), HOMOLOSINE)


def _vrt(grid: GeoBox, name: str) -> str:
    """A virtual raster of one file beside it."""
    size = f'xOff="0" yOff="0" xSize="{grid.shape.x}" ySize="{grid.shape.y}"'
    transform = ", ".join(f"{number:.9f}" for number in grid.transform.to_gdal())
    return f"""<VRTDataset rasterXSize="{grid.shape.x}" rasterYSize="{grid.shape.y}">
  <SRS>{HOMOLOSINE}</SRS>
  <GeoTransform>{transform}</GeoTransform>
  <VRTRasterBand dataType="Byte" band="1">
    <NoDataValue>255</NoDataValue>
    <ComplexSource>
      <SourceFilename relativeToVRT="1">{name}</SourceFilename>
      <SourceBand>1</SourceBand>
      <SrcRect {size}/>
      <DstRect {size}/>
      <NODATA>255</NODATA>
    </ComplexSource>
  </VRTRasterBand>
</VRTDataset>
"""
