"""Inventory files at the border: what they claim to be, how large they may grow, what they hold.

A file is opened by its content and its suffix together, so that nothing that names other files (a
virtual layer, an XML entity, a link in an archive) is followed.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS
from pyproj.exceptions import CRSError

from headscarp.errors import InvalidInput
from headscarp.io.inputs.shakemap_archive import BROKEN_ZIP

MAX_FILE_BYTES: Final = 4 * 2**30
MAX_ARCHIVE_BYTES: Final = 4 * 2**30
"""What an archive may unpack to."""
MAX_RATIO: Final = 200
"""Unpacked over packed size; shapefiles stay below 20."""
MAX_MEMBERS: Final = 1_000
MAX_FEATURES: Final = 2_000_000

VECTOR_DRIVERS: Final[Mapping[str, frozenset[str]]] = {
    ".gpkg": frozenset({"GPKG"}),
    ".shp": frozenset({"ESRI Shapefile"}),
    ".geojson": frozenset({"GeoJSON"}),
    ".json": frozenset({"GeoJSON"}),
    ".fgb": frozenset({"FlatGeobuf"}),
    ".kml": frozenset({"LIBKML", "KML"}),
}
RASTER_SUFFIXES: Final = frozenset({".tif", ".tiff"})
ARCHIVE_SUFFIXES: Final = frozenset({".zip", ".kmz"})
SUFFIXES: Final = frozenset(VECTOR_DRIVERS) | RASTER_SUFFIXES | ARCHIVE_SUFFIXES

_HEAD_BYTES = 64 * 1024
_COPY_BYTES = 2**20

Geometries = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Features:
    """The features of one layer, in the CRS of the file."""

    geometry: Geometries
    """None where a feature has none, or one that cannot be read."""
    fields: Mapping[str, NDArray[Any]]
    """Attributes by name, one value per feature."""
    crs: CRS
    layer: str
    driver: str

    def __len__(self) -> int:
        return len(self.geometry)


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """The file itself, or the one inventory that an archive holds, unpacked for as long as the context lasts.

    Raises:
        InvalidInput: no such file, a kind that is not read, too large, or an archive that may not be unpacked.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidInput(f"{path}: expected one of {sorted(SUFFIXES)}, found {suffix or 'no suffix'!r}")
    if not path.is_file():
        raise InvalidInput(f"{path}: expected a file, found {'a folder' if path.is_dir() else 'nothing'}")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise InvalidInput(f"{path}: expected at most {MAX_FILE_BYTES} bytes, found {path.stat().st_size}")
    if suffix not in ARCHIVE_SUFFIXES:
        yield path
        return
    with TemporaryDirectory(prefix="headscarp-inventory-") as folder:
        yield _unpacked(path, Path(folder))


def read_features(path: Path, *, columns: Sequence[str] = (), layer: str | None = None) -> Features:
    """The features of a vector file; third dimensions and curves are flattened.

    Args:
        path: A file that `opened` gave.
        columns: Attributes to read.
        layer: Which layer; a file with several must be asked for one.

    Raises:
        InvalidInput: the content is not what the suffix says, or it has no CRS, no such layer or attribute,
            no feature or too many.
    """
    check_signature(path)
    try:
        name = _chosen(path, layer)
        info = pyogrio.read_info(path, layer=name)
        _check_info(path, info, columns)
        meta, _, geometry, values = pyogrio.raw.read(path, layer=name, columns=list(columns), force_2d=True)
    except (DataSourceError, DataLayerError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: cannot be read as vectors: {error}") from error
    found = shapely.from_wkb(geometry, on_invalid="fix")
    if len(found) == 0:
        raise InvalidInput(f"{path}: layer {name!r}: expected landslides, found no feature")
    fields = dict(zip(meta["fields"], values, strict=True))
    return Features(found, fields, _crs(path, info["crs"]), name, str(info["driver"]))


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256; of a shapefile that of all its parts."""
    digest = hashlib.sha256()
    for part in parts(path):
        with part.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def parts(path: Path) -> list[Path]:
    """The files that make up an inventory: itself, and what lies beside a shapefile under its name."""
    if path.suffix.lower() != ".shp":
        return [path]
    names = {".shp", ".shx", ".dbf", ".prj", ".cpg"}
    return sorted(p for p in path.parent.glob(f"{path.stem}.*") if p.suffix.lower() in names)


def check_signature(path: Path) -> None:
    """Compare the first bytes with the suffix.

    Raises:
        InvalidInput: they are of another format, or of an XML document that declares entities.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    suffix = path.suffix.lower()
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    expected = {
        ".gpkg": head.startswith(b"SQLite format 3\x00"),
        ".shp": head.startswith(b"\x00\x00\x27\x0a"),
        ".geojson": text.startswith(b"{"),
        ".json": text.startswith(b"{"),
        ".fgb": head.startswith(b"fgb"),
        ".kml": text.startswith(b"<") and b"<kml" in head,
        ".tif": head[:4] in {b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"},
    }
    expected[".tiff"] = expected[".tif"]
    if not expected[suffix]:
        raise InvalidInput(f"{path}: expected the content of a {suffix} file, found {head[:16]!r}")
    if suffix == ".kml" and (b"<!DOCTYPE" in head or b"<!ENTITY" in head):
        raise InvalidInput(f"{path}: expected plain KML, found a document type declaration")


def _chosen(path: Path, layer: str | None) -> str:
    """The name of the layer to read."""
    names = [str(name) for name in pyogrio.list_layers(path)[:, 0]]
    if layer is not None:
        if layer not in names:
            raise InvalidInput(f"{path}: expected a layer {layer!r}, found {names}")
        return layer
    if len(names) != 1:
        raise InvalidInput(f"{path}: expected one layer, or to be told which, found {names}")
    return names[0]


def _check_info(path: Path, info: Mapping[str, Any], columns: Sequence[str]) -> None:
    allowed = VECTOR_DRIVERS[path.suffix.lower()]
    if info["driver"] not in allowed:
        raise InvalidInput(f"{path}: expected {sorted(allowed)}, found a file of {info['driver']}")
    if info["features"] > MAX_FEATURES:
        raise InvalidInput(f"{path}: expected at most {MAX_FEATURES} features, found {info['features']}")
    unknown = [name for name in columns if name not in set(info["fields"])]
    if unknown:
        raise InvalidInput(f"{path}: expected the attribute {unknown[0]!r}, found {sorted(map(str, info['fields']))}")


def _crs(path: Path, found: str | None) -> CRS:
    if found is None:
        raise InvalidInput(f"{path}: expected a CRS, found none: write one into the file (a .prj of a shapefile)")
    try:
        return CRS.from_user_input(found)
    except CRSError as error:
        raise InvalidInput(f"{path}: expected a known CRS, found {found[:80]!r}: {error}") from error


def _unpacked(path: Path, folder: Path) -> Path:
    """Unpack into `folder`, counting bytes as they come: what the archive says of itself is not believed."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = _checked_members(archive, path)
            budget = min(MAX_ARCHIVE_BYTES, MAX_RATIO * path.stat().st_size)
            for member in members:
                budget -= _extract(archive, member, folder, budget, path)
    except BROKEN_ZIP as error:
        raise InvalidInput(f"{path}: expected a whole zip archive without password: {error}") from error
    wanted = frozenset(VECTOR_DRIVERS) | RASTER_SUFFIXES
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in wanted)
    if len(found) != 1:
        names = [p.relative_to(folder).as_posix() for p in found]
        raise InvalidInput(f"{path}: expected one inventory in the archive, found {names}")
    return found[0]


def _checked_members(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) > MAX_MEMBERS:
        raise InvalidInput(f"{path}: expected at most {MAX_MEMBERS} members, found {len(members)}")
    for member in members:
        place = PurePosixPath(member.filename.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts or ":" in member.filename:
            raise InvalidInput(f"{path}: expected members inside the archive, found {member.filename!r}")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise InvalidInput(f"{path}: expected plain files, found the link {member.filename!r}")
    return members


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, budget: int, path: Path) -> int:
    """Bytes written for one member, which may not exceed the budget."""
    target = folder / member.filename.replace("\\", "/")
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(member) as source, target.open("wb") as out:
        while chunk := source.read(_COPY_BYTES):
            written += len(chunk)
            if written > budget:
                raise InvalidInput(f"{path}: {member.filename}: unpacks to more than an inventory would: a bomb?")
            out.write(chunk)
    shutil.copymode(path, target)
    return written
