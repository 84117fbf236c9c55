"""USGS JSON at the border: checked once, then turned into plain values."""

from __future__ import annotations

import math
import re
import reprlib
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, ValidationError

from headscarp.core.event import Event, ShakeMapId
from headscarp.errors import InvalidInput, NotAnEvent
from headscarp.io.inputs.usgs_products import Content, EventDetail, FeedEntry, ShakeMapProduct, current

EVENT_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
"""Event ids become file names and addresses."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = 3


def _empty_list_is_empty_map(value: Any) -> Any:
    """USGS prints an empty map as `[]`."""
    return {} if value == [] else value


Milliseconds = Annotated[int, Field(ge=-60_000_000_000_000, le=250_000_000_000_000)]
EventId = Annotated[str, Field(pattern=EVENT_ID)]
Longitude = Annotated[float, Field(ge=-360, le=360)]
Latitude = Annotated[float, Field(ge=-90, le=90)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class _Content(_Model):
    url: str | None = None
    length: Annotated[int, Field(ge=0)] | None = None
    sha256: str | None = None
    content_type: str = Field(default="application/octet-stream", alias="contentType")


class _Product(_Model):
    source: EventId
    code: Annotated[str, Field(min_length=1, max_length=200)]
    update_time: Milliseconds = Field(alias="updateTime")
    status: str
    weight: int = Field(default=0, alias="preferredWeight")
    properties: Annotated[dict[str, Any], BeforeValidator(_empty_list_is_empty_map)] = {}
    contents: Annotated[dict[str, _Content], BeforeValidator(_empty_list_is_empty_map)] = {}


class _Products(_Model):
    shakemap: tuple[_Product, ...] = ()
    moment_tensor: tuple[_Product, ...] = Field(default=(), alias="moment-tensor")
    focal_mechanism: tuple[_Product, ...] = Field(default=(), alias="focal-mechanism")


class _DetailProperties(_Model):
    mag: FiniteFloat
    time: Milliseconds
    updated: Milliseconds | None = None
    place: str | None = None
    title: str | None = None
    url: str | None = None
    status: str = "automatic"
    type: str = "earthquake"
    ids: str = ""
    products: Annotated[_Products, BeforeValidator(_empty_list_is_empty_map)]


class _Hypocentre(_Model):
    coordinates: tuple[Longitude, Latitude, FiniteFloat]


class _Detail(_Model):
    type: Literal["Feature"]
    id: EventId
    properties: _DetailProperties
    geometry: _Hypocentre


class _EntryProperties(_Model):
    mag: FiniteFloat | None = None
    time: Milliseconds
    updated: Milliseconds
    title: str = ""
    status: str = "automatic"
    type: str = "earthquake"
    ids: str = ""
    types: str = ""
    alert: str | None = None
    detail: str | None = None


class _EntryPoint(_Model):
    coordinates: tuple[Longitude, Latitude, FiniteFloat | None]


class _Entry(_Model):
    id: EventId
    properties: _EntryProperties
    geometry: _EntryPoint


class _Feed(_Model):
    type: Literal["FeatureCollection"]
    features: tuple[_Entry, ...]


def parse_detail(body: bytes, where: str) -> EventDetail:
    """An event detail from the JSON of `where`, which is named in errors.

    Raises:
        NotAnEvent: no JSON, or JSON of something else.
        InvalidInput: an event detail with a value that cannot be right.
    """
    try:
        model = _Detail.model_validate_json(body)
    except ValidationError as error:
        kind = NotAnEvent if _is_something_else(error) else InvalidInput
        raise kind(explain(error, where)) from error
    versions = tuple(sorted(map(_shakemap, model.properties.products.shakemap), key=lambda p: p.id.update_time))
    return EventDetail(
        event=_event(model, where),
        shakemaps=current(versions),
        versions=versions,
        status=model.properties.status.lower(),
        type=model.properties.type,
    )


def parse_feed(body: bytes, where: str) -> tuple[FeedEntry, ...]:
    """The entries of a summary feed or of a catalogue query, in the order given.

    Raises:
        InvalidInput: no JSON, JSON of something else, or an entry without id, time or place.
    """
    try:
        model = _Feed.model_validate_json(body)
    except ValidationError as error:
        raise InvalidInput(explain(error, where)) from error
    return tuple(map(_entry, model.features))


def explain(error: ValidationError, where: str) -> str:
    """File, place and expectation of the first failures."""
    lines = []
    for item in error.errors(include_url=False)[:_SHOWN]:
        place = ".".join(str(part) for part in item["loc"]) or "document"
        found = reprlib.repr(item["input"])
        lines.append(f"{place}: {item['msg']}" + ("" if item["type"] == "missing" else f", found {found}"))
    more = error.error_count() - len(lines)
    return f"{where}: " + "; ".join(lines) + (f"; and {more} more" if more > 0 else "")


def _is_something_else(error: ValidationError) -> bool:
    return any(item["loc"] in {(), ("type",)} for item in error.errors(include_input=False, include_url=False))


def _shakemap(model: _Product) -> ShakeMapProduct:
    return ShakeMapProduct(
        id=ShakeMapId(model.source, model.code, model.update_time),
        weight=model.weight,
        status=model.status,
        version=_text(model.properties.get("version")),
        map_status=_text(model.properties.get("map-status")),
        properties=model.properties,
        contents={
            path: Content(item.url, item.length, item.sha256, item.content_type)
            for path, item in model.contents.items()
        },
    )


def _event(model: _Detail, where: str) -> Event:
    properties = model.properties
    longitude, latitude, depth_km = model.geometry.coordinates
    title = properties.title or f"M {properties.mag:.1f} - {properties.place or 'unknown place'}"
    return Event(
        id=model.id,
        title=title,
        time=_datetime(properties.time),
        magnitude=properties.mag,
        longitude=longitude,
        latitude=latitude,
        depth_km=depth_km,
        ids=_aliases(properties.ids, model.id),
        rake=_rake(properties.products, where),
        updated=None if properties.updated is None else _datetime(properties.updated),
        url=properties.url,
        synthetic=title.startswith("SYNTHETIC"),
    )


def _entry(model: _Entry) -> FeedEntry:
    properties = model.properties
    longitude, latitude, depth_km = model.geometry.coordinates
    return FeedEntry(
        id=model.id,
        ids=_aliases(properties.ids, model.id),
        time=_datetime(properties.time),
        updated=_datetime(properties.updated),
        longitude=longitude,
        latitude=latitude,
        depth_km=depth_km,
        magnitude=properties.mag,
        title=properties.title,
        status=properties.status.lower(),
        type=properties.type,
        products=_listed(properties.types),
        alert=properties.alert,
        detail_url=properties.detail,
    )


def _rake(products: _Products, where: str) -> float | None:
    """Rake of the first nodal plane of the preferred mechanism, moment tensors before first motions.

    USGS does not say which of the two planes slipped. Degrees in (-180, 180].
    """
    for kind in (products.moment_tensor, products.focal_mechanism):
        alive = [p for p in _newest(kind) if p.properties.get("nodal-plane-1-rake") not in {None, ""}]
        if alive:
            best = max(alive, key=lambda p: (p.weight, p.update_time))
            return _degrees(best.properties["nodal-plane-1-rake"], f"{where}: mechanism {best.source} {best.code}")
    return None


def _newest(products: tuple[_Product, ...]) -> list[_Product]:
    newest: dict[tuple[str, str], _Product] = {}
    for product in sorted(products, key=lambda p: p.update_time):
        newest[product.source, product.code] = product
    return [product for product in newest.values() if product.status.upper() != "DELETE"]


def _degrees(value: Any, where: str) -> float:
    try:
        angle = float(value)
    except (TypeError, ValueError):
        angle = math.nan
    if not -360.0 <= angle <= 360.0:
        raise InvalidInput(f"{where}: nodal-plane-1-rake: expected degrees, found {value!r}")
    return angle if -180.0 < angle <= 180.0 else angle - math.copysign(360.0, angle)


def _aliases(ids: str, present: str) -> tuple[str, ...]:
    """Every alias, each once; USGS prints commas at both ends."""
    return tuple(dict.fromkeys((*(i for i in _listed(ids) if re.fullmatch(EVENT_ID, i)), present)))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _datetime(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
