"""One open raster file: whether it is what its specification says, and the values of a window of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.enums import MaskFlags
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterWindow

from headscarp.core.types import Codes, Mask, Raster
from headscarp.errors import BadRaster
from headscarp.io.inputs.spec import SourceSpec

METRES = {"m": 1.0, "ft": 0.3048, "us-ft": 1200 / 3937}
"""Length of the units that elevations may be in."""
HIGHEST_M = 9_000.0
"""No ground is higher; a file whose values are is probably in feet."""
_SPELLINGS = {
    "metre": "m", "metres": "m", "meter": "m", "meters": "m", "foot": "ft", "feet": "ft", "international foot": "ft",
    "us survey foot": "us-ft", "ftus": "us-ft", "us_survey_foot": "us-ft",
}  # fmt: skip
_PLAUSIBLE_M = (-12_000.0, 30_000.0)
"""Deepest sea floor, highest peak in feet: beyond are fill values, declared or not."""
_FILL_M = -9_999.0
"""A fill value inside that range."""
_SMALLEST_PIXEL_M = 0.01
_PROBE_PX = 32


def check_dataset(dataset: DatasetReader, spec: SourceSpec, where: str) -> None:
    """Raise BadRaster, its message beginning with `where`, unless the file is placed on Earth and has the bands."""
    wanted = max(spec.band, spec.minus_band or 1)
    transform = dataset.transform
    if dataset.crs is None or transform.is_identity:
        raise BadRaster(f"{where}: expected a georeferenced raster, found no CRS or transform")
    if transform.b or transform.d or transform.a < 0:
        raise BadRaster(f"{where}: expected rows from west to east, found a rotated or mirrored raster {transform!r}")
    if dataset.count < wanted:
        raise BadRaster(f"{where}: expected band {wanted}, found {dataset.count} band(s)")
    crs = _crs(dataset, where)
    if spec.kind == "tiles" and not crs.is_geographic:
        raise BadRaster(f"{where}: expected a tile in degrees, found {dataset.crs}")
    _check_extent(dataset, crs, where)


def _crs(dataset: DatasetReader, where: str) -> CRS:
    try:
        crs = CRS.from_user_input(dataset.crs)
    except CRSError as error:
        raise BadRaster(f"{where}: its CRS is not understood: {error}") from error
    if not (crs.is_geographic or crs.is_projected):
        raise BadRaster(f"{where}: expected a geographic or projected CRS, found {crs.type_name} {crs.name!r}")
    return crs


def _check_extent(dataset: DatasetReader, crs: CRS, where: str) -> None:
    """Coordinates in degrees under a CRS in metres, or the reverse, would lie somewhere else on Earth."""
    west, south, east, north = dataset.bounds
    south, north = min(south, north), max(south, north)
    if crs.is_geographic:
        if south < -91 or north > 91 or west < -361 or east > 541:
            raise BadRaster(f"{where}: expected degrees as {crs.name!r} has, found bounds {tuple(dataset.bounds)}")
        return
    pixel_m = abs(dataset.transform.a) * crs.axis_info[0].unit_conversion_factor
    if pixel_m < _SMALLEST_PIXEL_M:
        raise BadRaster(f"{where}: expected lengths as {crs.name!r} has, found pixels of {pixel_m:g} m: degrees?")


def read_values(spec: SourceSpec, dataset: DatasetReader, window: RasterWindow) -> Raster:
    """Physical values of a window, NaN where missing."""
    values = _band(spec, dataset, window, spec.band)
    if spec.minus_band is None:
        return values
    other = _band(spec, dataset, window, spec.minus_band)
    total = values + other
    total[total <= 0] = np.nan
    return np.asarray((values - other) / total, dtype=np.float32)


def _band(spec: SourceSpec, dataset: DatasetReader, window: RasterWindow, band: int) -> Raster:
    stored, missing = _stored(dataset, window, band)
    values = stored.astype(np.float32, copy=False)
    if missing is not None:
        values[missing] = np.nan
    if spec.nodata is not None:
        values[values == np.float32(spec.nodata)] = np.nan
    values[np.isinf(values)] = np.nan
    scale = spec.scale if spec.scale is not None else dataset.scales[band - 1]
    offset = spec.offset if spec.offset is not None else dataset.offsets[band - 1]
    return values if (scale, offset) == (1.0, 0.0) else np.asarray(values * scale + offset, dtype=np.float32)


def _stored(dataset: DatasetReader, window: RasterWindow, band: int) -> tuple[NDArray[Any], Mask | None]:
    """Stored numbers of a window, and where the file says that there are none; None if it says so nowhere.

    The mask is taken from the numbers themselves where it can be: reading it from the file reads the window twice.
    """
    stored = dataset.read(band, window=window)
    flags = set(dataset.mask_flag_enums[band - 1])
    if flags == {MaskFlags.all_valid}:
        return stored, None
    if flags != {MaskFlags.nodata}:
        return stored, dataset.read_masks(band, window=window) == 0
    nodata = dataset.nodatavals[band - 1]
    if stored.dtype.kind == "f":
        missing = np.isnan(stored) if np.isnan(nodata) else stored == stored.dtype.type(nodata)
    else:
        limits = np.iinfo(stored.dtype)
        can_be = float(nodata).is_integer() and limits.min <= nodata <= limits.max
        missing = stored == stored.dtype.type(int(nodata)) if can_be else np.zeros((), dtype=bool)
    return stored, missing if missing.any() else None


def read_elevation(spec: SourceSpec, dataset: DatasetReader, window: RasterWindow) -> Raster:
    """Elevations of a window in metres; NaN where missing, and where the value can only be a fill value.

    Raises:
        BadRaster: the unit is neither metres nor feet, or the file contradicts the specification.
    """
    values = read_values(spec, dataset, window)
    factor = METRES[elevation_unit(spec, dataset)]
    low, high = _PLAUSIBLE_M
    with np.errstate(invalid="ignore"):
        values[(values < low) | (values > high) | (values == _FILL_M)] = np.nan
    return values if factor == 1.0 else np.asarray(values * factor, dtype=np.float32)


def elevation_unit(spec: SourceSpec, dataset: DatasetReader) -> str:
    """Key of `METRES`: what the specification says, or else the file, or else metres.

    Raises:
        BadRaster: neither metres nor feet, or the two differ.
    """
    written = dataset.units[spec.band - 1]
    said, found = _unit(spec.unit, dataset.name), _unit(written, dataset.name)
    if said and found and said != found:
        raise BadRaster(f"{dataset.name}: expected elevations in {said}, found a file that says {written!r}")
    return said or found or "m"


def _unit(text: str | None, where: str) -> str | None:
    if not text:
        return None
    unit = _SPELLINGS.get(text.lower(), text.lower())
    if unit not in METRES:
        raise BadRaster(f"{where}: expected elevations in one of {sorted(METRES)}, found unit {text!r}")
    return unit


def read_codes(spec: SourceSpec, dataset: DatasetReader, window: RasterWindow) -> Codes:
    """Class codes of a window; what is no whole number from 1 to 255 is unknown."""
    stored, missing = _stored(dataset, window, spec.band)
    if stored.dtype == np.uint8:
        codes: Codes = _as_codes(np.arange(256, dtype=np.float32), spec)[stored]
    else:
        codes = _as_codes(stored.astype(np.float32), spec)
    if missing is not None:
        codes[missing] = 0
    return codes


def _as_codes(stored: Raster, spec: SourceSpec) -> Codes:
    """Class codes of stored numbers."""
    shifted = stored + np.float32(spec.offset or 0)
    known = (shifted >= 1) & (shifted <= 255) & (shifted == np.floor(shifted))
    if spec.nodata is not None:
        known &= stored != spec.nodata
    return np.where(known, shifted, 0).astype(np.uint8)


def constant_elevation(spec: SourceSpec, dataset: DatasetReader) -> float | None:
    """The one elevation above the sea that nine places all over the file hold; None where they differ."""
    found = [read_elevation(spec, dataset, probe) for probe in _probes(dataset)]
    values = np.unique(np.concatenate([part[np.isfinite(part)] for part in found]))
    above_sea = values.size == 1 and (spec.sea is None or values[0] > spec.sea)
    return float(values[0]) if above_sea else None


def _probes(dataset: DatasetReader) -> Iterator[RasterWindow]:
    """Small windows at the centres of a 3 x 3 partition."""
    height, width = min(_PROBE_PX, dataset.height), min(_PROBE_PX, dataset.width)
    for row in (1, 3, 5):
        for column in (1, 3, 5):
            top = min(row * dataset.height // 6, dataset.height - height)
            left = min(column * dataset.width // 6, dataset.width - width)
            yield RasterWindow(left, top, width, height)
