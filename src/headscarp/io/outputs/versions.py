"""Versions of one event's product: their order, and the links that follow from it.

The links of every item are a function of the ordered list alone, so that any publisher can set them right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pystac import Item, Link, MediaType

from headscarp.core.types import Attributes

RELATIONS = frozenset({"predecessor-version", "successor-version", "latest-version"})


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """One item as its event catalogue lists it; ordered by ShakeMap update time, then by creation."""

    update_time: int
    """ms since 1970."""
    created: str
    """ISO 8601, UTC."""
    id: str
    title: str

    @classmethod
    def of_item(cls, item: Attributes) -> Version:
        """Read from a STAC item's JSON."""
        properties = item["properties"]
        update_time = int(properties["headscarp:shakemap"]["update_time"])
        return cls(update_time, properties["created"], item["id"], properties["title"])

    @classmethod
    def of_link(cls, link: Attributes) -> Version:
        """Read from an event catalogue's link."""
        run = link["href"].rpartition("/")[2].removesuffix(".json")
        return cls(link["headscarp:update_time"], link["headscarp:created"], run, link["title"])

    def link(self, *, latest: bool) -> Link:
        """The event catalogue's link to this item."""
        extra: dict[str, Any] = {
            "headscarp:update_time": self.update_time,
            "headscarp:created": self.created,
            "headscarp:latest": latest,
        }
        return Link("item", f"./{self.id}/{self.id}.json", str(MediaType.GEOJSON), self.title, extra_fields=extra)


def linked(item: Attributes, versions: list[Version]) -> Attributes:
    """The item with the links and the `deprecated` flag that its place among the ordered versions calls for."""
    # pystac warns about deprecated items whenever it reads one; the flag is set anew below.
    document = Item.from_dict({**item, "properties": {**item["properties"], "deprecated": False}}, migrate=False)
    document.links = [link for link in document.links if link.rel not in RELATIONS]
    place = next(i for i, version in enumerate(versions) if version.id == document.id)
    latest = place == len(versions) - 1
    if place > 0:
        document.add_link(_to("predecessor-version", versions[place - 1]))
    if not latest:
        document.add_link(_to("successor-version", versions[place + 1]))
        document.add_link(_to("latest-version", versions[-1]))
    document.properties["deprecated"] = not latest
    return document.to_dict(include_self_link=False, transform_hrefs=False)


def _to(relation: str, version: Version) -> Link:
    return Link(relation, f"../{version.id}/{version.id}.json", str(MediaType.GEOJSON), version.title)
