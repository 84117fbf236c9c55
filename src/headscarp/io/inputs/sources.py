"""The source registry: where each layer comes from, and under which licence.

The packaged registry names public locations; a file of one's own, an event folder or a mirror
takes the place of any of its layers.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import string
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from headscarp.errors import InvalidInput

LAYERS = frozenset({"dem", "lithology", "soil", "land_cover", "ndvi", "faults", "rivers"})
VECTOR_SUFFIXES = frozenset({".gpkg", ".geojson", ".json", ".fgb", ".shp"})
TILE_FIELDS = frozenset({"ns", "lat", "ew", "lon"})
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_EPOCH = re.compile(r"\d{4}(-\d{2}-\d{2})?(/\d{4}(-\d{2}-\d{2})?)?")


def _checked_href(href: str) -> str:
    """The href itself; ValueError unless it is a path, or an http(s) or s3 URL."""
    scheme = _SCHEME.match(href)
    if not href or href.startswith(("<", '{"', "/vsi")):
        raise ValueError(f"expected a file path, http(s):// or s3:// URL, found {href[:60]!r}")
    if scheme and not href.startswith(("http://", "https://", "s3://")):
        raise ValueError(f"expected a file path, http(s):// or s3:// URL, found scheme {scheme.group()!r}")
    return href


def _checked_epoch(epoch: str) -> str:
    if not _EPOCH.fullmatch(epoch):
        raise ValueError(f"expected a year, a date, or two of them with a slash between, found {epoch!r}")
    return epoch


class SourceSpec(BaseModel):
    """One layer: a raster, square tiles of whole degrees, or a vector file."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    kind: Literal["raster", "tiles", "vector"]
    href: Annotated[str, AfterValidator(_checked_href)]
    """Path or URL; of tiles a template with `{ns}{lat:02d}{ew}{lon:03d}` of the south-west corner."""
    band: int = Field(default=1, ge=1)
    minus_band: int | None = Field(default=None, ge=1)
    """With it the value is the normalised difference (band - minus_band) / (band + minus_band)."""
    unit: str | None = None
    scale: float | None = None
    """Value = stored * scale + offset; without either the file's own are used. Codes take the offset only."""
    offset: float | None = None
    scheme: str | None = None
    """Code list of a categorical layer."""
    nodata: float | None = None
    """Stored value that means missing; the file's own if it is not given."""
    sea: float | None = 0.0
    """A DEM value at or below this is sea; null where there is no sea."""
    tile_degrees: int = Field(default=1, ge=1, le=90)
    absent_tile: Literal["unknown", "sea"] = "unknown"
    """What a tile that the host does not have means."""
    withheld: tuple[tuple[float, float, float, float], ...] = ()
    """Boxes (west, south, east, north) where an absent tile is unknown all the same."""
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

    @property
    def observed_until(self) -> datetime | None:
        """End of the epoch, UTC; None where the epoch is not stated."""
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


class SourceRegistry:
    """Layers by name; a layer may be absent, for a reason."""

    def __init__(self, layers: Mapping[str, SourceSpec], absent: Mapping[str, str]) -> None:
        self._layers = dict(layers)
        self._absent = dict(absent)

    @classmethod
    def load(cls, path: Path | None = None) -> SourceRegistry:
        """The packaged registry, its layers replaced by those of the YAML file `path`.

        Paths in the file are relative to its folder. A layer is a mapping of `SourceSpec`'s fields,
        or `{absent: reason}`.

        Raises:
            InvalidInput: the file cannot be read or a key is wrong; the message names file and key.
        """
        packaged = resources.files("headscarp.tables").joinpath("sources.yaml")
        public = _parse(packaged.read_text("utf-8"), "the packaged sources.yaml", None)
        if path is None:
            return public
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"source registry {path}: cannot be read: {error}") from error
        own = _parse(text, str(path), path.resolve().parent)
        return public._replaced(own)

    def with_overrides(
        self, layers: Mapping[str, SourceSpec | Mapping[str, Any]], *, others: str | None = None
    ) -> SourceRegistry:
        """A registry with `layers` in place of its own; names it does not know are left out.

        Args:
            layers: specifications, or mappings of their fields, by layer name.
            others: if given, all layers that are not among `layers` are absent for this reason.

        Raises:
            InvalidInput: a specification is wrong.
        """
        known = {name: spec for name, spec in layers.items() if name in LAYERS}
        own = SourceRegistry({name: _spec(spec, "override", name) for name, spec in known.items()}, {})
        if others is None:
            return self._replaced(own)
        return SourceRegistry(own._layers, {name: others for name in LAYERS if name not in known})

    def _replaced(self, other: SourceRegistry) -> SourceRegistry:
        kept = {n: s for n, s in self._layers.items() if n not in other._absent}
        absent = {n: r for n, r in self._absent.items() if n not in other._layers}
        return SourceRegistry({**kept, **other._layers}, {**absent, **other._absent})

    @property
    def digest(self) -> str:
        """sha256 over every specification and every reason."""
        plain = {name: spec.model_dump(mode="json") for name, spec in sorted(self._layers.items())}
        return hashlib.sha256(json.dumps([plain, self._absent], sort_keys=True).encode()).hexdigest()

    def __getitem__(self, layer: str) -> SourceSpec | None:
        """The specification, None where the layer is absent."""
        return self._layers.get(layer)

    def reason(self, layer: str) -> str:
        """Why a layer is absent."""
        return self._absent.get(layer, f"the source registry has no layer {layer!r}")


def _parse(text: str, where: str, folder: Path | None) -> SourceRegistry:
    """A registry from YAML text."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"source registry {where}: not YAML: {error}") from error
    entries = document.get("layers") if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        raise InvalidInput(f"source registry {where}: expected a mapping with the key 'layers'")
    layers, absent = {}, {}
    for name, entry in entries.items():
        if name not in LAYERS:
            raise InvalidInput(f"source registry {where}: layers.{name}: expected one of {sorted(LAYERS)}")
        if isinstance(entry, dict) and set(entry) == {"absent"}:
            absent[name] = str(entry["absent"])
        else:
            layers[name] = _spec(_located(entry, folder), where, name)
    return SourceRegistry(layers, absent)


def _located(entry: Any, folder: Path | None) -> Any:
    """The entry with its relative path made absolute."""
    href = entry.get("href") if isinstance(entry, dict) else None
    if folder is None or not isinstance(href, str) or _SCHEME.match(href) or Path(href).is_absolute():
        return entry
    return entry | {"href": str(folder / href)}


def _spec(entry: SourceSpec | Any, where: str, name: str) -> SourceSpec:
    """A checked specification; the error names file and key."""
    if isinstance(entry, SourceSpec):
        return entry
    try:
        return SourceSpec.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in ("layers", name, *first["loc"]))
        raise InvalidInput(f"source registry {where}: {key}: {first['msg'].removeprefix('Value error, ')}") from error
