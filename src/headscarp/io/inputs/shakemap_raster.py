"""raster.zip of ShakeMap 3.5 and 4: pairs of .flt and .hdr (ESRI float grids)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from headscarp.core.types import Raster
from headscarp.errors import BadShakeMap
from headscarp.io.inputs.shakemap_archive import zip_members
from headscarp.io.inputs.shakemap_lattice import Lattice, checked_lattice

_MEASURES = ("pga", "pgv")
_BYTE_ORDERS = {"I": "<", "LSBFIRST": "<", "INTEL": "<", "M": ">", "MSBFIRST": ">", "MOTOROLA": ">"}
_HEADER_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class RasterArchive:
    """Rasters in our units, (y, x) with row 0 in the north, NaN where the file has nodata."""

    lattice: Lattice
    pga: Raster
    pgv: Raster | None
    pga_ln_std: Raster | None
    pgv_ln_std: Raster | None
    logarithmic: bool
    """Whether the file held logarithms."""


def read_raster_zip(data: bytes, where: str) -> RasterArchive:
    """PGA (g), PGV (cm/s) and the standard deviations of their natural logarithms.

    ShakeMap 4 writes `<imt>_mean.flt` in ln(g) and ln(cm/s). ShakeMap 3.5 writes `<imt>.flt` in the
    units of its grid.xml, percent of g and cm/s. A plain name is taken as logarithmic only if its
    PGA has negative values, which percent cannot have.

    Raises:
        BadShakeMap: no zip, damaged, without PGA, or with rasters that do not share one grid.
    """
    stems = [stem for imt in _MEASURES for stem in (f"{imt}_mean", imt, f"{imt}_std")]
    members = zip_members(data, where, [f"{stem}.{ext}" for stem in stems for ext in ("flt", "hdr")])
    found = {stem: _raster(members, stem, where) for stem in stems if f"{stem}.flt" in members}
    mean = "pga_mean" in found
    if not mean and "pga" not in found:
        raise BadShakeMap(f"{where}: expected pga_mean.flt or pga.flt, found {sorted(members)}")
    lattice, pga = found["pga_mean" if mean else "pga"]
    for stem, (other, _) in found.items():
        if not lattice.agrees(other):
            raise BadShakeMap(f"{where}: {stem}: expected the grid of PGA, {lattice}, found {other}")
    logarithmic = mean or bool(np.any(pga < 0))
    pgv = found.get("pgv_mean" if mean else "pgv")
    return RasterArchive(
        lattice=lattice,
        pga=_exp(pga) if logarithmic else pga * np.float32(0.01),
        pgv=None if pgv is None else (_exp(pgv[1]) if logarithmic else pgv[1]),
        pga_ln_std=found["pga_std"][1] if "pga_std" in found else None,
        pgv_ln_std=found["pgv_std"][1] if "pgv_std" in found else None,
        logarithmic=logarithmic,
    )


def _exp(values: Raster) -> Raster:
    with np.errstate(over="ignore"):
        return np.exp(values)


def _raster(members: Mapping[str, bytes], stem: str, where: str) -> tuple[Lattice, Raster]:
    place = f"{where}/{stem}"
    if f"{stem}.hdr" not in members:
        raise BadShakeMap(f"{place}.hdr: expected a header beside the .flt, found none")
    header = _header(members[f"{stem}.hdr"], place)
    lattice = _lattice(header, place)
    order = _BYTE_ORDERS.get(header.get("BYTEORDER", "I").upper())
    if order is None:
        raise BadShakeMap(f"{place}.hdr: BYTEORDER: expected LSBFIRST or MSBFIRST, found {header['BYTEORDER']!r}")
    data, expected = members[f"{stem}.flt"], 4 * lattice.nlon * lattice.nlat
    if len(data) != expected:
        raise BadShakeMap(f"{place}.flt: expected {expected} bytes, found {len(data)}")
    values = np.frombuffer(data, dtype=f"{order}f4").astype(np.float32).reshape(lattice.nlat, lattice.nlon)
    nodata = _number(header, "NODATA", place) if "NODATA" in header else _number(header, "NODATA_VALUE", place)
    if nodata is not None:
        values[values == np.float32(nodata)] = np.nan
    return lattice, values


def _header(data: bytes, where: str) -> dict[str, str]:
    if len(data) > _HEADER_BYTES:
        raise BadShakeMap(f"{where}.hdr: expected a header of at most {_HEADER_BYTES} bytes, found {len(data)}")
    lines = data.decode("latin-1").split("\n")
    header = {parts[0].upper(): parts[1] for line in lines if len(parts := line.split()) >= 2}
    supported = {"NBITS": "32", "NBANDS": "1", "SKIPBYTES": "0", "PIXELTYPE": "FLOAT"}
    for key, expected in supported.items():
        if header.get(key, expected).upper() != expected:
            raise BadShakeMap(f"{where}.hdr: {key}: expected {expected}, found {header[key]!r}")
    return header


def _lattice(header: Mapping[str, str], where: str) -> Lattice:
    """Nodes from any of the three ways in which such headers give the corner and the step."""
    nlon, nlat = (_count(header, key, where) for key in ("NCOLS", "NROWS"))
    dx = _required(header, ("XDIM", "CELLSIZE"), where)
    dy = _required(header, ("YDIM", "CELLSIZE"), where)
    if not (0 < dx < 360 and 0 < dy < 180):
        raise BadShakeMap(f"{where}.hdr: expected steps in degrees, found {dx} and {dy}")
    if "ULXMAP" in header:
        west, north = _required(header, ("ULXMAP",), where), _required(header, ("ULYMAP",), where)
    else:
        half = 0.0 if "XLLCENTER" in header else 0.5
        west = _required(header, ("XLLCENTER", "XLLCORNER"), where) + half * dx
        north = _required(header, ("YLLCENTER", "YLLCORNER"), where) + (half + nlat - 1) * dy
    east, south = west + (nlon - 1) * dx, north - (nlat - 1) * dy
    return checked_lattice(Lattice(west, east, south, north, nlon, nlat), f"{where}.hdr")


def _required(header: Mapping[str, str], keys: tuple[str, ...], where: str) -> float:
    for key in keys:
        value = _number(header, key, where)
        if value is not None and math.isfinite(value):
            return value
    raise BadShakeMap(f"{where}.hdr: expected {' or '.join(keys)}")


def _number(header: Mapping[str, str], key: str, where: str) -> float | None:
    if key not in header:
        return None
    try:
        return float(header[key])
    except ValueError as error:
        raise BadShakeMap(f"{where}.hdr: {key}: expected a number, found {header[key]!r}") from error


def _count(header: Mapping[str, str], key: str, where: str) -> int:
    value = header.get(key, "")
    if not value.isascii() or not value.isdigit() or len(value) > 8:
        raise BadShakeMap(f"{where}.hdr: {key}: expected a number of nodes, found {value!r}")
    return int(value)
