"""What USGS says about an earthquake, as plain values: feed entries, event details, ShakeMap products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from headscarp.core.event import Event, ShakeMapId


@dataclass(frozen=True, slots=True)
class Content:
    """One file of a product. Its path inside the product is not a file name to be trusted."""

    url: str | None
    """None where the text is given inline."""
    length: int | None = None
    """Bytes."""
    sha256_base64: str | None = None
    """As USGS prints it: base64, not hexadecimal; old products have none."""
    content_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class ShakeMapProduct:
    """One update of one ShakeMap."""

    id: ShakeMapId
    weight: int
    """Preferred weight: USGS prefers the highest."""
    status: str
    """UPDATE or DELETE."""
    version: str | None = None
    """As printed: authors restart and repeat it, so never order by it."""
    map_status: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    contents: Mapping[str, Content] = field(default_factory=dict)

    @property
    def deleted(self) -> bool:
        """Whether this update withdraws the ShakeMap."""
        return self.status.upper() == "DELETE"


@dataclass(frozen=True, slots=True)
class EventDetail:
    """An event with its ShakeMaps."""

    event: Event
    shakemaps: tuple[ShakeMapProduct, ...]
    """The newest update of each source and code, the preferred one first; withdrawn ones left out."""
    versions: tuple[ShakeMapProduct, ...]
    """Every update in the response, superseded and withdrawn ones included, oldest first."""
    status: str
    type: str = "earthquake"

    @property
    def deleted(self) -> bool:
        """Whether the event was withdrawn."""
        return self.status == "deleted"

    @property
    def preferred_shakemap(self) -> ShakeMapProduct | None:
        """The ShakeMap to use, None while there is none."""
        return self.shakemaps[0] if self.shakemaps else None


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One line of a summary feed."""

    id: str
    ids: tuple[str, ...]
    time: datetime
    updated: datetime
    longitude: float
    latitude: float
    depth_km: float | None
    magnitude: float | None
    title: str
    status: str
    type: str
    products: tuple[str, ...]
    """Kinds of product the event has, as `shakemap`; empty where the feed does not say."""
    alert: str | None = None
    detail_url: str | None = None


def current(products: tuple[ShakeMapProduct, ...]) -> tuple[ShakeMapProduct, ...]:
    """The newest update of each source and code, unless it withdraws; the preferred one first.

    Preferred is the highest weight, then the newest update, then the identifier, as USGS sorts.
    """
    newest: dict[tuple[str, str], ShakeMapProduct] = {}
    for product in products:
        key = (product.id.source, product.id.code)
        if key not in newest or product.id.update_time > newest[key].id.update_time:
            newest[key] = product
    alive = (product for product in newest.values() if not product.deleted)
    return tuple(sorted(alive, key=lambda p: (-p.weight, -p.id.update_time, str(p.id))))
