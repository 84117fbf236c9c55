"""Event folders: an event.json that names the rasters and vectors beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import numpy as np
from odc.geo.geobox import GeoBox
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from headscarp.core.event import Event, ShakeMapId, Shaking
from headscarp.core.types import Attributes, Raster
from headscarp.errors import BadRaster, BadShakeMap, InvalidInput, NotAnEvent
from headscarp.io.inputs.shakemap import checked_shaking
from headscarp.io.inputs.shakemap_grid import SCALES
from headscarp.io.inputs.usgs_models import EVENT_ID, explain

MAX_JSON_BYTES = 2**20
MAX_PIXELS = 400_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS: Mapping[str, str] = {
    "pga": "PGA",
    "pgv": "PGV",
    "vs30": "SVEL",
    "pga_ln_std": "STDPGA",
    "pgv_ln_std": "STDPGV",
}
"""Shaking layers, and the grid.xml column whose units they share."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Landslides that were mapped after the event, for training and scoring."""

    href: Path
    """Polygons, or a raster of labels."""
    quality: str
    """How it was made; `weak` must never be scored on."""
    coseismic: str | None = None
    """Attribute query for the polygons of this event, as `Year_obs in [2005, 2006]`."""
    ignore: str | None = None
    """Attribute query for polygons that are neither landslide of this event nor background."""
    ignore_href: Path | None = None
    """Raster whose non-zero pixels are neither landslide nor background."""
    polygons: Path | None = None
    """Polygons from which a raster `href` was made."""
    extent: Path | None = None
    """Polygons of the ground that was searched: what lies outside is unknown. None means all of the DEM."""


@dataclass(frozen=True, slots=True)
class EventFolder:
    """An event read from disk."""

    path: Path
    event: Event
    shaking: Shaking
    shakemap_id: ShakeMapId
    """Source `folder`; the code ends in a digest of the folder's content."""
    layers: Mapping[str, Mapping[str, Any]]
    """Specification of each further layer: href (absolute path), band, unit, scheme, note."""
    inventory: Inventory | None
    attribution: str | None = None


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Layer(_Model):
    href: Annotated[str, Field(min_length=1)]
    band: Annotated[int, Field(ge=1)] = 1
    unit: str | None = None
    scheme: str | None = None
    note: str | None = None


class _Inventory(_Model):
    href: Annotated[str, Field(min_length=1)]
    quality: str
    coseismic: str | None = None
    ignore: str | None = None
    ignore_href: str | None = None
    polygons: str | None = None
    extent: str | None = None


class _Folder(_Model):
    id: Annotated[str, Field(pattern=EVENT_ID)]
    title: str
    time: AwareDatetime
    magnitude: FiniteFloat
    longitude: Annotated[float, Field(ge=-180, le=360)]
    latitude: Annotated[float, Field(ge=-90, le=90)]
    depth_km: FiniteFloat
    rake: Annotated[float, Field(ge=-180, le=180)] | None = None
    synthetic: bool = False
    layers: dict[str, _Layer]
    inventory: _Inventory | None = None
    attribution: str | None = None


def event_header(event: Event) -> Attributes:
    """What event.json says of the event itself."""
    return {
        "id": event.id,
        "title": event.title,
        "time": event.time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "magnitude": event.magnitude,
        "longitude": event.longitude,
        "latitude": event.latitude,
        "depth_km": event.depth_km,
        "rake": event.rake,
        "synthetic": event.synthetic,
    }


def read_event_folder(path: Path) -> EventFolder:
    """The event, its shaking on the raster's own grid, and where its other layers are.

    Layers whose name ends in `reference` are for comparison only and left out. Nodata becomes NaN.

    Raises:
        NotAnEvent: no event.json, or one of another form.
        InvalidInput: no `pga` layer (without it there is nothing to respond to), a layer that is
            not there, or one that lies outside the folder's parent.
        BadRaster: a shaking raster that cannot be placed. BadShakeMap: one that cannot be true.
    """
    where = path / "event.json"
    text = _json_bytes(where)
    try:
        model = _Folder.model_validate_json(text)
    except ValidationError as error:
        raise NotAnEvent(explain(error, str(where))) from error
    if "pga" not in model.layers:
        raise InvalidInput(f"{where}: layers: expected pga, found {sorted(model.layers)}")
    places = {name: _place(path, layer.href, f"{where}: layers.{name}") for name, layer in model.layers.items()}
    event = _event(model)
    origin_ms = (event.time - _EPOCH) // timedelta(milliseconds=1)
    code = f"{model.id}-{_digest(text, [places[name] for name in sorted(places)])[:8]}"
    return EventFolder(
        path=path,
        event=event,
        shaking=_shaking(model.layers, places, path),
        shakemap_id=ShakeMapId("folder", code, origin_ms),
        layers={
            name: {**layer.model_dump(), "href": str(places[name])}
            for name, layer in model.layers.items()
            if name not in _COLUMNS and not name.endswith("reference")
        },
        inventory=_inventory(model.inventory, path),
        attribution=model.attribution,
    )


def _json_bytes(where: Path) -> bytes:
    try:
        with where.open("rb") as file:
            text = file.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise NotAnEvent(f"{where}: expected an event folder: {error.strerror}") from error
    if len(text) > MAX_JSON_BYTES:
        raise NotAnEvent(f"{where}: expected at most {MAX_JSON_BYTES} bytes")
    return text


def _place(folder: Path, href: str, where: str) -> Path:
    """Absolute path of an existing file inside the folder's parent, links followed."""
    if "://" in href or "\x00" in href or PurePosixPath(href).is_absolute():
        raise InvalidInput(f"{where}: expected a relative path, found {href!r}")
    place, parent = (folder / href).resolve(), folder.resolve().parent
    if not place.is_relative_to(parent):
        raise InvalidInput(f"{where}: expected a path inside {parent}, found {href!r}")
    if not place.is_file():
        raise InvalidInput(f"{where}: expected a file, found nothing at {place}")
    return place


def _event(model: _Folder) -> Event:
    return Event(
        id=model.id,
        title=model.title,
        time=model.time.astimezone(UTC),
        magnitude=model.magnitude,
        longitude=model.longitude,
        latitude=model.latitude,
        depth_km=model.depth_km,
        ids=(model.id,),
        rake=model.rake,
        synthetic=model.synthetic,
    )


def _digest(text: bytes, places: Iterable[Path]) -> str:
    """SHA-256 of event.json and of every layer's content, each file once."""
    digest = hashlib.sha256(text)
    for place in dict.fromkeys(places):
        with place.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _inventory(model: _Inventory | None, folder: Path) -> Inventory | None:
    if model is None:
        return None
    where = f"{folder / 'event.json'}: inventory"
    hrefs = {"href": model.href, "ignore_href": model.ignore_href, "polygons": model.polygons, "extent": model.extent}
    places = {key: _place(folder, href, f"{where}.{key}") for key, href in hrefs.items() if href is not None}
    return Inventory(
        href=places["href"],
        quality=model.quality,
        coseismic=model.coseismic,
        ignore=model.ignore,
        ignore_href=places.get("ignore_href"),
        polygons=places.get("polygons"),
        extent=places.get("extent"),
    )


def _shaking(layers: Mapping[str, _Layer], places: Mapping[str, Path], folder: Path) -> Shaking:
    rasters: dict[str, Raster] = {}
    grids: dict[str, GeoBox] = {}
    for name in _COLUMNS:
        if name in layers:
            values, grids[name] = _band(places[name], layers[name].band)
            rasters[name] = values * np.float32(_scale(name, layers[name].unit, places[name]))
    for name, grid in grids.items():
        if grid != grids["pga"]:
            raise BadRaster(f"{places[name]}: {name}: expected the grid of pga, {grids['pga']}, found {grid}")
    units = {name: layers[name].unit or "" for name in rasters}
    shaking = Shaking(grid=grids["pga"], **rasters, attributes={"format": "event folder", "units": units})
    return checked_shaking(shaking, str(folder))


def _scale(name: str, unit: str | None, where: Path) -> float:
    """Factor to g, cm/s or m/s; folders name their units, except for dimensionless deviations."""
    column = _COLUMNS[name]
    known = SCALES[column]
    printed = (unit or "").strip().lower()
    if printed not in known or (printed == "" and not column.startswith("STD")):
        raise BadShakeMap(f"{where}: {name}: expected a unit out of {sorted(known)}, found {unit!r}")
    return known[printed]


def _band(path: Path, band: int) -> tuple[Raster, GeoBox]:
    """Values with NaN for nodata, and the raster's own grid."""
    import rasterio
    from rasterio.errors import RasterioError

    try:
        with rasterio.open(path, driver="GTiff") as file:
            if band > file.count or file.width * file.height > MAX_PIXELS:
                size = f"{file.count} bands of {file.width} x {file.height}"
                raise BadRaster(f"{path}: expected band {band} of at most {MAX_PIXELS} pixels, found {size}")
            crs, transform = file.crs, file.transform
            masked = file.read(band, masked=True)
    except (RasterioError, OSError) as error:
        raise BadRaster(f"{path}: expected a whole GeoTIFF: {error}") from error
    if crs is None:
        raise BadRaster(f"{path}: expected a CRS, found none")
    if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise BadRaster(f"{path}: expected rows from north to south, found {tuple(transform)[:6]}")
    values = masked.astype(np.float32).filled(np.nan)
    return values, GeoBox(values.shape, transform, crs.to_epsg() or crs.to_wkt())
