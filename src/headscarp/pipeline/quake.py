"""From what a person types to a quake with its shaking: the first step of every response."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headscarp.core.event import SHAKEMAP_EXPECTED_WITHIN, Event, ShakeMapId, Shaking
from headscarp.core.types import Attributes
from headscarp.errors import Deleted, NotAnEvent, NotFound, NotYet
from headscarp.io.inputs.folder import read_event_folder
from headscarp.io.inputs.shakemap import fetch_shakemap
from headscarp.io.inputs.usgs import UsgsClient
from headscarp.io.inputs.usgs_models import EVENT_ID
from headscarp.io.inputs.usgs_products import EventDetail


@dataclass(frozen=True, slots=True)
class Quake:
    """An event with the shaking it is answered for."""

    event: Event
    shakemap: ShakeMapId
    shaking: Shaking
    layers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Layers that an event folder brings along; they take the place of the registry's."""
    lacking: str | None = None
    """Why every layer that is not among `layers` is missing; None where the registry's own are used."""
    lineage: Attributes = field(default_factory=dict)
    """Where event and shaking came from, with the sha256 of each file read."""


def load_quake(source: str, client: UsgsClient, *, now: datetime | None = None) -> Quake:
    """Read SOURCE: an event folder, a detail GeoJSON (file or URL), or a USGS event id.

    Raises:
        NotAnEvent: SOURCE is none of these.
        NotFound, Deleted: USGS does not know the event, or has deleted it.
        NotYet: the event has no ShakeMap so far; the message says until when one is expected.
        BadShakeMap: the ShakeMap cannot be true or cannot be read.
    """
    path = Path(source)
    if path.is_dir():
        return _from_folder(path)
    if path.is_file() or source.startswith(("http://", "https://")):
        return _from_detail(client.detail_from(source), client, now=now)
    if re.fullmatch(EVENT_ID, source):
        return _from_detail(client.detail(source), client, now=now)
    raise NotAnEvent(
        f"{source!r}: expected a USGS event id such as us10003ywp, a detail GeoJSON (file or URL), "
        "or an event folder holding event.json"
    )


def _from_folder(path: Path) -> Quake:
    folder = read_event_folder(path)
    return Quake(
        folder.event,
        folder.shakemap_id,
        folder.shaking,
        layers=folder.layers,
        lacking="the event folder has no such layer",
        lineage={"source": "event folder", "shakemap": str(folder.shakemap_id)},
    )


def _from_detail(detail: EventDetail, client: UsgsClient, *, now: datetime | None) -> Quake:
    event = detail.event
    if detail.deleted:
        raise Deleted(f"event {event.id}: deleted by its author")
    product = detail.preferred_shakemap
    if product is None:
        until = event.time + SHAKEMAP_EXPECTED_WITHIN
        if (now or datetime.now(UTC)) > until:
            raise NotFound(f"event {event.id}: no ShakeMap was made by {until:%Y-%m-%d %H:%M} UTC")
        raise NotYet(f"event {event.id}: no ShakeMap yet; one is waited for until {until:%Y-%m-%d %H:%M} UTC")
    shaking, files = fetch_shakemap(client, product)
    lineage = {"source": event.url, "shakemap": str(product.id), "files": dict(files)}
    return Quake(event, product.id, shaking, lineage=lineage)
