"""Cloud-optimised GeoTIFFs: the values, the status codes, and an RGBA picture of the values.

Overviews of values are averages of the valid pixels, of codes the most frequent code; the picture's
overviews are coloured from the averaged values, so picture and values agree at every scale.
All work streams through GDAL's block cache, whatever the size of the raster.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterWindow

import headscarp
from headscarp.core.palette import Palette
from headscarp.core.status import Status
from headscarp.core.tiling import YX, blocks
from headscarp.errors import BadRaster, StoreError

BLOCK = 512
CACHE_MB = 256
"""GDAL's own default is a twentieth of the machine's memory."""


@dataclass(frozen=True, slots=True)
class RasterSummary:
    """One pass over the valid pixels of a float raster."""

    count: int
    total: int
    minimum: float
    maximum: float
    mean: float

    @property
    def valid_percent(self) -> float:
        """Share of pixels with a value, in percent."""
        return 100.0 * self.count / self.total


def write_value_cog(source: Path, target: Path, *, name: str, tags: Mapping[str, str], threads: int = 2) -> None:
    """Float32 raster with NaN nodata to a COG with averaged overviews; equal input gives equal bytes.

    Raises:
        BadRaster: the source cannot be read, or is not one float32 band with NaN nodata and a CRS.
        StoreError: the target cannot be written.
    """
    _check_values(source)
    _write(source, target, name=name, tags=tags, threads=threads, options={"PREDICTOR": "3", "RESAMPLING": "AVERAGE"})


def write_status_cog(source: Path, target: Path, *, tags: Mapping[str, str], threads: int = 2) -> None:
    """Uint8 status codes (core.status) to a COG whose overviews hold the most frequent code.

    Raises:
        BadRaster: the source cannot be read or is not one uint8 band with a CRS.
        StoreError: the target cannot be written.
    """
    _check(source, "uint8")
    words = {f"STATUS_{code.value}": code.words for code in Status}
    options = {"PREDICTOR": "2", "RESAMPLING": "MODE"}
    _write(source, target, name="status", tags={**tags, **words}, threads=threads, options=options)


def write_visual_cog(
    values: Path, target: Path, *, palette: Palette, tags: Mapping[str, str], threads: int = 2
) -> None:
    """A value COG to an RGBA COG; nodata and values below the lowest bin are transparent.

    Args:
        values: COG made by `write_value_cog`; its averaged overviews are coloured too.
        target: Where the picture goes.
        palette: Colours.
        tags: Dataset tags.
        threads: Compression threads.

    Raises:
        StoreError: the target cannot be written.
    """
    with rasterio.open(values) as source:
        document = _palette_vrt(source, values, palette, tags)
    vrt = target.with_suffix(".vrt")
    vrt.write_text(document, encoding="utf-8")
    try:
        _copy(vrt, target, {"PREDICTOR": "2", "OVERVIEWS": "AUTO"}, threads=threads)
    finally:
        vrt.unlink()


def summarise(path: Path) -> RasterSummary:
    """Count, range and mean of the finite pixels; range and mean are NaN where there is none."""
    count, total, low, high, summed = 0, 0, math.inf, -math.inf, 0.0
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB), rasterio.open(path) as source:
        for window in blocks(YX(source.height, source.width), 4 * BLOCK):
            data = source.read(1, window=RasterWindow(window.x, window.y, window.width, window.height))
            finite = data[np.isfinite(data)]
            count, total = count + finite.size, total + data.size
            if finite.size:
                low, high = min(low, float(finite.min())), max(high, float(finite.max()))
                summed += float(finite.sum(dtype=np.float64))
    if not count:
        return RasterSummary(0, total, math.nan, math.nan, math.nan)
    return RasterSummary(count, total, low, high, summed / count)


def _check(path: Path, dtype: str) -> None:
    try:
        with rasterio.open(path) as source:
            found = (source.count, source.dtypes[0], source.crs is not None)
    except RasterioError as error:
        raise BadRaster(f"{path}: cannot be read: {error}") from error
    if found != (1, dtype, True):
        raise BadRaster(f"{path}: expected one {dtype} band with a CRS, found (bands, type, has CRS) {found}")


def _check_values(path: Path) -> None:
    _check(path, "float32")
    with rasterio.open(path) as source:
        nodata = source.nodata
    if nodata is None or not math.isnan(nodata):
        raise BadRaster(f"{path}: expected nodata NaN, found {nodata}")


def _write(
    source: Path, target: Path, *, name: str, tags: Mapping[str, str], threads: int, options: Mapping[str, str]
) -> None:
    """Copy through a VRT that carries the tags, so that the source file stays as it is."""
    vrt = target.with_suffix(".vrt")
    try:
        with rasterio.open(source) as dataset:
            rasterio.shutil.copy(dataset, vrt, driver="VRT")
        with rasterio.open(vrt, "r+") as dataset:
            dataset.update_tags(**_tags(tags))
            dataset.set_band_description(1, name)
        # Overviews of the source, if any, may be of another kind.
        _copy(vrt, target, {**options, "OVERVIEWS": "IGNORE_EXISTING"}, threads=threads)
    finally:
        vrt.unlink(missing_ok=True)


def _copy(source: Path, target: Path, options: Mapping[str, str], *, threads: int) -> None:
    try:
        with rasterio.Env(GDAL_CACHEMAX=CACHE_MB, GDAL_TIFF_INTERNAL_MASK=True):
            rasterio.shutil.copy(
                source,
                target,
                driver="COG",
                COMPRESS="DEFLATE",
                LEVEL="1",
                BLOCKSIZE=str(BLOCK),
                BIGTIFF="IF_SAFER",
                NUM_THREADS=str(threads),
                STATISTICS="NO",
                **options,
            )
    except (RasterioError, CPLE_BaseError) as error:
        raise StoreError(f"{target}: COG cannot be written from {source}: {error}") from error


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {"TIFFTAG_SOFTWARE": f"headscarp {headscarp.__version__}", "AREA_OR_POINT": "Area", **tags}


def _palette_vrt(source: rasterio.DatasetReader, path: Path, palette: Palette, tags: Mapping[str, str]) -> str:
    """A VRT of four byte bands that look the values up, at full size and at each overview."""
    root = ET.Element("VRTDataset", rasterXSize=str(source.width), rasterYSize=str(source.height))
    ET.SubElement(root, "SRS").text = source.crs.to_wkt()
    ET.SubElement(root, "GeoTransform").text = ", ".join(repr(v) for v in source.transform.to_gdal())
    metadata = ET.SubElement(root, "Metadata")
    for key, value in _tags(tags).items():
        ET.SubElement(metadata, "MDI", key=key).text = value
    for index, colour in enumerate(("Red", "Green", "Blue", "Alpha")):
        band = ET.SubElement(root, "VRTRasterBand", dataType="Byte", band=str(index + 1))
        ET.SubElement(band, "ColorInterp").text = colour
        lookup = ET.SubElement(band, "ComplexSource", resampling="nearest")
        ET.SubElement(lookup, "SourceFilename", relativeToVRT="0").text = str(path.resolve())
        ET.SubElement(lookup, "SourceBand").text = "1"
        ET.SubElement(lookup, "NODATA").text = "nan"
        ET.SubElement(lookup, "LUT").text = _steps(palette, index)
    factors = source.overviews(1)
    if factors:
        ET.SubElement(root, "OverviewList", resampling="nearest").text = " ".join(str(f) for f in factors)
    return ET.tostring(root, encoding="unicode")


def _steps(palette: Palette, component: int) -> str:
    """GDAL interpolates between table entries: each edge gets the float32 just below it as a second entry."""
    table = palette.table[:, component]
    entries = []
    for edge, below, above in zip(palette.edges, table[:-1], table[1:], strict=True):
        here = np.float32(edge)
        under = np.nextafter(here, np.float32(-np.inf))
        entries += [f"{float(under)!r}:{below}", f"{float(here)!r}:{above}"]
    return ",".join(entries)
