"""grid.xml and uncertainty.xml of ShakeMap 3.2 to 4."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from headscarp.core.types import Raster
from headscarp.errors import BadShakeMap
from headscarp.io.inputs.shakemap_lattice import Lattice, checked_lattice

MAX_FIELDS = 100

SCALES: Mapping[str, Mapping[str, float]] = {
    "PGA": {"": 0.01, "pctg": 0.01, "%g": 0.01, "g": 1.0},
    "PGV": {"": 1.0, "cms": 1.0, "cm/s": 1.0},
    "SVEL": {"": 1.0, "ms": 1.0, "m/s": 1.0},
    "STDPGA": {"": 1.0, "ln(pctg)": 1.0, "ln(%g)": 1.0, "ln(g)": 1.0},
    "STDPGV": {"": 1.0, "ln(cms)": 1.0, "ln(cm/s)": 1.0},
}
"""Factor from the unit printed to ours (g, cm/s, m/s, natural logarithm), by column and unit.

A blank unit is the one that the format has always had: percent of g, cm/s, m/s, natural logarithm.
SDPGA of ShakeMap 3.2 is another quantity (a ratio to a nominal deviation) and is not read.
"""


@dataclass(slots=True)
class _Document:
    """What the parser has met so far."""

    grid: dict[str, str] = field(default_factory=dict)
    event: dict[str, str] = field(default_factory=dict)
    specification: dict[str, str] = field(default_factory=dict)
    fields: list[dict[str, str]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    reading: bool = False


@dataclass(frozen=True, slots=True)
class XmlGrid:
    """One file: columns in our units, (y, x) with row 0 in the north, NaN where the file says NaN."""

    lattice: Lattice
    columns: Mapping[str, Raster]
    units: Mapping[str, str]
    """As printed."""
    grid_attributes: Mapping[str, str]
    event_attributes: Mapping[str, str]


def read_grid_xml(data: bytes, where: str) -> XmlGrid:
    """Columns PGA (g), PGV (cm/s), SVEL (m/s), STDPGA, STDPGV (of the natural logarithm), as far as present.

    Raises:
        BadShakeMap: no XML, cut off, with a document type or entities, an unknown unit, a number of
            rows or columns other than announced, or rows that do not run from north-west to south-east.
    """
    document = _parsed(data, where)
    lattice = _lattice(document.specification, where)
    names = _names(document.fields, where)
    table = _table("".join(document.text), where)
    if table.shape != (lattice.nlon * lattice.nlat, len(names)):
        expected = f"nlon x nlat = {lattice.nlon} x {lattice.nlat} rows of {len(names)} numbers"
        raise BadShakeMap(f"{where}: grid_data: expected {expected}, found {table.shape[0]} of {table.shape[1]}")
    cube = table.reshape(lattice.nlat, lattice.nlon, len(names))
    _check_order(cube, names, lattice, where)
    units = {item["name"].upper(): item.get("units", "").strip().lower() for item in document.fields}
    with np.errstate(over="ignore"):
        columns = {
            name: (cube[..., names.index(name)] * _scale(name, units[name], where)).astype(np.float32)
            for name in SCALES
            if name in names
        }
    return XmlGrid(lattice, columns, units, document.grid, document.event)


def _parsed(data: bytes, where: str) -> _Document:
    document = _Document()
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise BadShakeMap(f"{where}: expected no document type or entity, line {parser.CurrentLineNumber}")

    def start(name: str, attributes: dict[str, str]) -> None:
        _start(document, name.rpartition(":")[2], attributes, where)

    def end(name: str) -> None:
        if name.rpartition(":")[2] == "grid_data":
            document.reading = False

    def text(chunk: str) -> None:
        if document.reading:
            document.text.append(chunk)

    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    try:
        parser.Parse(data, True)  # noqa: FBT003  expat takes no keywords
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise BadShakeMap(f"{where}: expected a whole XML file: {error}") from error
    return document


def _start(document: _Document, name: str, attributes: dict[str, str], where: str) -> None:
    if name == "shakemap_grid":
        document.grid = attributes
    elif name == "event":
        document.event = attributes
    elif name == "grid_specification":
        document.specification = attributes
    elif name == "grid_field":
        document.fields.append(attributes)
        if len(document.fields) > MAX_FIELDS:
            raise BadShakeMap(f"{where}: expected at most {MAX_FIELDS} grid_field elements")
    document.reading = name == "grid_data"


def _lattice(specification: Mapping[str, str], where: str) -> Lattice:
    try:
        west, east, south, north = (float(specification[k]) for k in ("lon_min", "lon_max", "lat_min", "lat_max"))
        nlon, nlat = int(specification["nlon"]), int(specification["nlat"])
    except KeyError as error:
        raise BadShakeMap(f"{where}: grid_specification: expected the attribute {error.args[0]}") from error
    except ValueError as error:
        raise BadShakeMap(f"{where}: grid_specification: expected numbers: {error}") from error
    return checked_lattice(Lattice(west, east, south, north, nlon, nlat), f"{where}: grid_specification")


def _names(fields: list[dict[str, str]], where: str) -> list[str]:
    """Column names in column order; `index` decides, not the order of the elements."""
    try:
        names = {int(item["index"]): item["name"].upper() for item in fields}
    except (KeyError, ValueError) as error:
        raise BadShakeMap(f"{where}: grid_field: expected index and name: {error}") from error
    if sorted(names) != list(range(1, len(fields) + 1)) or len(set(names.values())) != len(fields):
        raise BadShakeMap(f"{where}: grid_field: expected indices 1 to {len(fields)}, each name once")
    if not {"LON", "LAT"} <= set(names.values()):
        raise BadShakeMap(f"{where}: grid_field: expected LON and LAT, found {sorted(names.values())}")
    return [names[index] for index in sorted(names)]


def _table(text: str, where: str) -> NDArray[np.float64]:
    if not text.strip():
        raise BadShakeMap(f"{where}: grid_data: expected rows, found none")
    try:
        return np.loadtxt(io.BytesIO(text.encode("ascii", "replace")), dtype=np.float64, comments=None, ndmin=2)
    except (ValueError, OverflowError) as error:
        raise BadShakeMap(f"{where}: grid_data: expected rows of numbers: {error}") from error


def _check_order(cube: NDArray[np.float64], names: list[str], lattice: Lattice, where: str) -> None:
    """Each node lies where its row and column say, to half a step: longitudes are compared modulo 360."""
    dx, dy = lattice.step
    longitudes = lattice.west + dx * np.arange(lattice.nlon)
    latitudes = lattice.north - dy * np.arange(lattice.nlat)
    with np.errstate(invalid="ignore"):
        off_x = (cube[..., names.index("LON")] - longitudes[None, :] + 180.0) % 360.0 - 180.0
        off_y = cube[..., names.index("LAT")] - latitudes[:, None]
    if not (np.all(np.abs(off_x) < dx / 2) and np.all(np.abs(off_y) < dy / 2)):
        raise BadShakeMap(f"{where}: grid_data: expected nodes from north-west to south-east, row by row")


def _scale(name: str, unit: str, where: str) -> float:
    if unit not in SCALES[name]:
        raise BadShakeMap(f"{where}: {name}: expected the unit {sorted(SCALES[name])}, found {unit!r}")
    return SCALES[name][unit]
