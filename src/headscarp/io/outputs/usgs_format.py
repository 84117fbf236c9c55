"""Events and ShakeMaps in the JSON of USGS: event details, summary feeds, products."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from headscarp.core.event import Event, ShakeMapId, Shaking
from headscarp.errors import InvalidInput
from headscarp.io.outputs.shakemap_format import (
    CODE_VERSION,
    event_type,
    grid_xml,
    info_json,
    node_bounds,
    raster_zip,
    uncertainty_xml,
)

USGS_URL = "https://earthquake.usgs.gov"
API_VERSION = "1.13.6"

Json = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TYPES = {"xml": "application/xml", "zip": "application/zip", "json": "application/json"}
_PERIODS = {"hour": "Past Hour", "day": "Past Day", "week": "Past Week", "month": "Past Month"}


@dataclass(frozen=True, slots=True)
class ShakeMapRelease:
    """One update of a ShakeMap, ready to be served."""

    id: ShakeMapId
    product: Json
    """As listed under `products.shakemap` of an event detail, addresses under `USGS_URL`."""
    files: Mapping[str, bytes]
    """Content by path on the server, as `product/shakemap/<code>/<source>/<time>/download/grid.xml`."""


def shakemap_release(
    event: Event, shaking: Shaking, identity: ShakeMapId, *, version: str = "1", weight: int = 233
) -> ShakeMapRelease:
    """An update of a ShakeMap with raster.zip, grid.xml, uncertainty.xml and info.json.

    Raises:
        InvalidInput: the shaking does not lie on a north-up grid in EPSG:4326.
    """
    processed = _datetime(identity.update_time)
    marked = _marked(event)
    files = {
        "raster.zip": raster_zip(shaking),
        "grid.xml": grid_xml(marked, shaking, version=version, source=identity.source, processed=processed),
        "info.json": info_json(marked, shaking, version=version, processed=processed),
    }
    if shaking.pga_ln_std is not None or shaking.pgv_ln_std is not None:
        files["uncertainty.xml"] = uncertainty_xml(
            marked, shaking, version=version, source=identity.source, processed=processed
        )
    properties = _shakemap_properties(event, shaking, version, processed)
    return release_of_files(event, files, identity, properties=properties, weight=weight)


def release_of_files(
    event: Event, files: Mapping[str, bytes], identity: ShakeMapId, *, properties: Json | None = None, weight: int = 233
) -> ShakeMapRelease:
    """An update of a ShakeMap with files that exist already, by file name."""
    folder = f"product/shakemap/{identity.code}/{identity.source}/{identity.update_time}/download"
    product = _product("shakemap", identity.source, identity.code, identity.update_time, weight=weight)
    product["properties"] = {**_origin_properties(event), **(properties or {})}
    product["contents"] = {
        f"download/{name}": {
            "contentType": _TYPES.get(name.rpartition(".")[2], "application/octet-stream"),
            "lastModified": identity.update_time // 1000 * 1000,
            "length": len(data),
            "url": f"{USGS_URL}/{folder}/{name}",
            "sha256": base64.b64encode(hashlib.sha256(data).digest()).decode(),
        }
        for name, data in files.items()
    }
    return ShakeMapRelease(identity, product, {f"{folder}/{name}": data for name, data in files.items()})


def withdrawal(identity: ShakeMapId, *, weight: int = 1) -> ShakeMapRelease:
    """The update that withdraws a ShakeMap; like USGS, it lists no files."""
    product = _product("shakemap", identity.source, identity.code, identity.update_time, weight=weight)
    return ShakeMapRelease(identity, {**product, "status": "DELETE", "properties": {"message": "removed"}}, {})


def detail_feature(event: Event, releases: Sequence[ShakeMapRelease] = (), *, status: str = "reviewed") -> Json:
    """The event detail, GeoJSON. `releases` are listed as given: USGS lists superseded ones on demand only.

    A synthetic event says SYNTHETIC at the head of its title and place.
    """
    event = _marked(event)
    network, code = _network_and_code(event.id)
    origin_ms = _milliseconds(event.time)
    products: dict[str, list[Json]] = {"origin": [_origin(event)]}
    if event.rake is not None:
        products["moment-tensor"] = [_moment_tensor(event, event.rake)]
    if releases:
        products["shakemap"] = [release.product for release in releases]
    latest = [origin_ms, *(release.id.update_time for release in releases)]
    updated = max(latest) if event.updated is None else max(_milliseconds(event.updated), *latest)
    properties = _null_properties() | {
        "mag": event.magnitude,
        "place": event.title.partition(" - ")[2] or event.title,
        "time": origin_ms,
        "updated": updated,
        "url": event.url or f"{USGS_URL}/earthquakes/eventpage/{event.id}",
        "status": status,
        "sig": round(event.magnitude**2 * 15.2),
        "net": network,
        "code": code,
        "ids": _commas(dict.fromkeys((*event.ids, event.id))),
        "sources": _commas(dict.fromkeys(_network_and_code(i)[0] for i in (*event.ids, event.id))),
        "types": _commas(sorted(products)),
        "title": event.title,
        "products": products,
    }
    point = {"type": "Point", "coordinates": [event.longitude, event.latitude, event.depth_km]}
    return {"type": "Feature", "properties": properties, "geometry": point, "id": event.id}


def feed(details: Iterable[Json], name: str, *, generated: datetime) -> Json:
    """The summary feed `name` of event details, newest origin first."""
    ordered = sorted(details, key=lambda detail: -int(detail["properties"]["time"]))
    features = [_summary(detail) for detail in ordered]
    content: Json = {
        "type": "FeatureCollection",
        "metadata": {
            "generated": _milliseconds(generated) // 1000 * 1000,
            "url": f"{USGS_URL}/earthquakes/feed/v1.0/summary/{name}.geojson",
            "title": _feed_title(name),
            "status": 200,
            "api": API_VERSION,
            "count": len(features),
        },
        "features": features,
    }
    if features:
        points = np.array([feature["geometry"]["coordinates"] for feature in features], dtype=float)
        content["bbox"] = [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]
    return content


def to_json(content: Json) -> bytes:
    """Compact JSON, as USGS prints it."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


def _summary(detail: Json) -> Json:
    """A feed entry: the event detail without its products, with the address of the detail after `url`."""
    properties = {}
    for key, value in detail["properties"].items():
        if key != "products":
            properties[key] = value
        if key == "url":
            properties["detail"] = f"{USGS_URL}/earthquakes/feed/v1.0/detail/{detail['id']}.geojson"
    return {"type": "Feature", "properties": properties, "geometry": detail["geometry"], "id": detail["id"]}


def _feed_title(name: str) -> str:
    size, _, period = name.partition("_")
    if period not in _PERIODS:
        raise InvalidInput(f"feed {name!r}: expected a name such as 4.5_day")
    words = {"all": "All Earthquakes", "significant": "Significant Earthquakes"}
    return f"USGS {words.get(size, f'Magnitude {size}+ Earthquakes')}, {_PERIODS[period]}"


def _null_properties() -> Json:
    """Every property of a recorded event detail in its order, at the value it has when nobody knows."""
    names = "mag place time updated tz url felt cdi mmi alert status tsunami sig net code ids sources types nst dmin"
    values: Json = dict.fromkeys(f"{names} rms gap magType type title products".split())
    return values | {"tsunami": 0, "magType": "mww", "type": "earthquake"}


def _product(type_: str, source: str, code: str, update_time: int, *, weight: int) -> Json:
    return {
        "indexid": str(update_time // 1000),
        "indexTime": update_time,
        "id": f"urn:usgs-product:{source}:{type_}:{code}:{update_time}",
        "type": type_,
        "code": code,
        "source": source,
        "updateTime": update_time,
        "status": "UPDATE",
        "properties": {},
        "preferredWeight": weight,
        "contents": [],
    }


def _origin(event: Event) -> Json:
    network, _ = _network_and_code(event.id)
    return {
        **_product("origin", network, event.id, _milliseconds(event.time), weight=157),
        "properties": {**_origin_properties(event), "event-type": "earthquake", "title": event.title},
    }


def _moment_tensor(event: Event, rake: float) -> Json:
    network, code = _network_and_code(event.id)
    properties = _origin_properties(event)
    properties["derived-magnitude"] = properties.pop("magnitude")
    return {
        **_product("moment-tensor", network, f"{network}_{code}_mww", _milliseconds(event.time), weight=218),
        "properties": {**properties, "nodal-plane-1-rake": repr(rake)},
    }


def _origin_properties(event: Event) -> Json:
    network, code = _network_and_code(event.id)
    return {
        "depth": f"{event.depth_km:g}",
        "eventsource": network,
        "eventsourcecode": code,
        "eventtime": _iso(event.time),
        "latitude": f"{event.latitude:.4f}",
        "longitude": f"{event.longitude:.4f}",
        "magnitude": f"{event.magnitude:g}",
    }


def _shakemap_properties(event: Event, shaking: Shaking, version: str, processed: datetime) -> Json:
    west, south, east, north = node_bounds(shaking.grid)
    properties = {
        "event-description": _marked(event).title,
        "event-type": event_type(event),
        "map-status": "automatic",
        "maximum-latitude": f"{north:.4f}",
        "maximum-longitude": f"{east:.4f}",
        "maxpga": f"{shaking.peak_pga:.3f}",
        "maxpga-grid": f"{shaking.peak_pga:.3f}",
        "minimum-latitude": f"{south:.4f}",
        "minimum-longitude": f"{west:.4f}",
        "process-timestamp": _iso(processed),
        "review-status": "automatic",
        "shakemap-code-version": CODE_VERSION,
        "version": version,
    }
    if shaking.pgv is not None:
        with np.errstate(divide="ignore"):
            peak = f"{np.log(np.nanmax(shaking.pgv)):.3f}"  # ShakeMap 4 prints PGA in g but PGV as a logarithm
        properties |= {"maxpgv": peak, "maxpgv-grid": peak}
    return properties


def _marked(event: Event) -> Event:
    if not event.synthetic or event.title.startswith("SYNTHETIC"):
        return event
    return replace(event, title=f"SYNTHETIC {event.title}")


def _network_and_code(event_id: str) -> tuple[str, str]:
    match = re.match(r"^([a-z]+)([0-9_.-].*)$", event_id)
    return (match[1], match[2]) if match else (event_id[:2], event_id[2:])


def _commas(parts: Iterable[str]) -> str:
    return f",{','.join(parts)},"


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"


def _milliseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(milliseconds=1)


def _datetime(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
