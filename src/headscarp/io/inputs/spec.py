"""What one layer of a source registry is: where it lies, what its values mean, and under which terms."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from headscarp.core.grid import Bounds
from headscarp.io.inputs.origin import mirrored

VECTOR_SUFFIXES = frozenset({".gpkg", ".geojson", ".json", ".fgb", ".shp"})
TILE_FIELDS = frozenset({"ns", "lat", "ew", "lon"})
URL_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_EPOCH = re.compile(r"\d{4}(-\d{2}-\d{2})?(/\d{4}(-\d{2}-\d{2})?)?")

Box = tuple[float, float, float, float]
"""west, south, east, north in degrees."""


def _checked_href(href: str) -> str:
    """The href itself; ValueError unless it is a path, or an http(s) or s3 URL."""
    scheme = URL_SCHEME.match(href)
    if not href or href.startswith(("<", '{"', "/vsi")):
        raise ValueError(f"expected a file path, http(s):// or s3:// URL, found {href[:60]!r}")
    if scheme and not href.startswith(("http://", "https://", "s3://")):
        raise ValueError(f"expected a file path, http(s):// or s3:// URL, found scheme {scheme.group()!r}")
    return href


def _checked_epoch(epoch: str) -> str:
    if not _EPOCH.fullmatch(epoch):
        raise ValueError(f"expected a year, a date, or two of them with a slash between, found {epoch!r}")
    return epoch


Href = Annotated[str, AfterValidator(_checked_href)]


class SourceSpec(BaseModel):
    """One layer: a raster, square tiles of whole degrees, or a vector file."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    kind: Literal["raster", "tiles", "vector"]
    href: Href
    """Path or URL; of tiles a template with `{ns}{lat:02d}{ew}{lon:03d}` of the south-west corner."""
    published: str | None = None
    """Public address of what is read from a mirror instead."""
    band: int = Field(default=1, ge=1)
    minus_band: int | None = Field(default=None, ge=1)
    """With it the value is the normalised difference (band - minus_band) / (band + minus_band)."""
    unit: str | None = None
    """Of the values; elevations may be in `m`, `ft` or `us-ft`, and are converted."""
    scale: float | None = None
    """Value = stored * scale + offset; without either the file's own are used. Codes take the offset only."""
    offset: float | None = None
    scheme: str | None = None
    """Code list of a categorical layer."""
    nodata: float | None = None
    """Stored value that means missing; the file's own if it is not given."""
    sea: float | None = 0.0
    """An elevation in metres at or below this is sea; null where there is no sea."""
    tile_degrees: int = Field(default=1, ge=1, le=90)
    absent_tile: Literal["unknown", "sea"] = "unknown"
    """What a tile that no host of the layer has means."""
    withheld: tuple[Box, ...] = ()
    """Boxes where an absent tile is unknown all the same."""
    covers: tuple[Box, ...] = ()
    """Where a vector layer is complete; everywhere if empty."""
    fallback: tuple[SourceSpec, ...] = ()
    """What is read, in this order, where a file is absent. A host that does not answer has no fallback."""
    licence: str | None = None
    attribution: str | None = None
    epoch: Annotated[str, AfterValidator(_checked_epoch)] | None = None
    """When the ground was observed: a year, a date, or an interval."""
    resolution: str | None = None
    note: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _kind_from_href(cls, data: Any) -> Any:
        """Event folders name files only: the suffix says what they are."""
        if isinstance(data, Mapping) and "kind" not in data and "href" in data:
            href = str(data["href"])
            kind = "vector" if Path(href).suffix.lower() in VECTOR_SUFFIXES else "raster"
            return {"kind": "tiles" if "{" in href else kind, **data}
        return data

    @model_validator(mode="after")
    def _template_fits_kind(self) -> Self:
        fields = {name for _, name, _, _ in string.Formatter().parse(self.href) if name is not None}
        if self.kind == "tiles" and fields != TILE_FIELDS:
            raise ValueError(f"href of tiles: expected the fields {sorted(TILE_FIELDS)}, found {sorted(fields)}")
        return self

    @model_validator(mode="after")
    def _fallbacks_fit(self) -> Self:
        if self.fallback and self.kind == "vector":
            raise ValueError("fallback: expected none for a vector layer")
        for other in self.fallback:
            for name in ("kind", "tile_degrees", "scheme"):
                mine, theirs = getattr(self, name), getattr(other, name)
                if mine != theirs:
                    raise ValueError(f"fallback: expected {name} {mine!r}, found {theirs!r}")
            if other.fallback:
                raise ValueError("fallback: expected a flat list, found a fallback of a fallback")
        return self

    @property
    def chain(self) -> tuple[SourceSpec, ...]:
        """The layer itself, then its fallbacks."""
        return (self, *self.fallback)

    @property
    def observed_until(self) -> datetime | None:
        """End of the epoch, UTC, the latest of the chain; None where an epoch is not stated."""
        ends = [spec._epoch_end() for spec in self.chain]
        known = [end for end in ends if end is not None]
        return max(known) if len(known) == len(ends) else None

    def _epoch_end(self) -> datetime | None:
        if self.epoch is None:
            return None
        last = self.epoch.rpartition("/")[2]
        day = f"{last}-12-31" if len(last) == 4 else last
        return datetime.fromisoformat(f"{day}T23:59:59").replace(tzinfo=UTC)

    def tile_href(self, longitude: int, latitude: int) -> str:
        """URL of the tile with this south-west corner; longitudes outside [-180, 180) are wrapped."""
        east = (longitude + 180) % 360 - 180
        return self.href.format(
            ns="N" if latitude >= 0 else "S", lat=abs(latitude), ew="E" if east >= 0 else "W", lon=abs(east)
        )

    def tiles_over(self, west: float, south: float, east: float, north: float) -> list[tuple[int, int]]:
        """South-west corners of the tiles that touch a box in degrees, from south-west to north-east."""
        size = self.tile_degrees
        columns = range(math.floor(west / size) * size, math.ceil(east / size) * size, size)
        rows = range(math.floor(south / size) * size, math.ceil(north / size) * size, size)
        return [(x, y) for y in rows if -90 <= y < 90 for x in columns]

    def is_complete_over(self, box: Bounds) -> bool:
        """Whether one of the boxes that the layer covers holds this box in degrees."""
        held = (w <= box.west and s <= box.south and box.east <= e and box.north <= n for w, s, e, n in self.covers)
        return not self.covers or any(held)

    def from_mirror(self, mirror: str) -> SourceSpec:
        """The same layer, read from a mirror of public hosts; local files stay where they are."""
        href = mirrored(self.href, mirror)
        moved = {} if href == self.href else {"href": href, "published": self.published or self.href}
        fallback = tuple(spec.from_mirror(mirror) for spec in self.fallback)
        return self.model_copy(update={**moved, "fallback": fallback})

    def described(self) -> dict[str, Any]:
        """What lineage says of the layer itself, its files apart."""
        kept = {"kind", "href", "published", "band", "scheme", "licence", "attribution", "epoch", "resolution", "note"}
        return self.model_dump(include=kept, exclude_none=True)
