"""What is published, and where each object lies in the store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from odc.geo.geobox import GeoBox

from headscarp.core.event import Event, RunId
from headscarp.core.palette import Palette, palette_for
from headscarp.core.predictor import Quantity
from headscarp.core.types import Attributes
from headscarp.errors import InvalidInput

CATALOG = "catalog"
COLLECTION = "coseismic-landslides"
ROOT_KEY = f"{CATALOG}/catalog.json"
COLLECTION_KEY = f"{CATALOG}/{COLLECTION}/collection.json"
CUBES = "headscarp-cubes"
CUBES_TITLE = "Cubes of landslide control indicators"
CUBES_KEY = f"{CATALOG}/{CUBES}/collection.json"
USGS_MODEL = "nowicki_jessee"
"""Models of this name family are shown as what USGS would publish."""


@dataclass(frozen=True, slots=True)
class ModelMap:
    """One model's map: float32 GeoTIFF on the event grid, NaN where it has no value."""

    name: str
    version: str
    quantity: Quantity
    path: Path
    degraded: tuple[str, ...] = ()
    """Channels the model wants and did not get."""
    gates: Attributes = field(default_factory=dict)
    """Digest and sample of each channel gate of the event it was scored with, by model."""

    @property
    def palette(self) -> Palette:
        """Colours of its quantity."""
        return palette_for(self.quantity)

    @property
    def label(self) -> str:
        """Name and version, as in a run's identity."""
        return f"{self.name}-{self.version}"


@dataclass(frozen=True, slots=True)
class Product:
    """All that one run made, not yet published."""

    run: RunId
    event: Event
    grid: GeoBox
    cut_by_shakemap_edge: bool
    maps: tuple[ModelMap, ...]
    """The published one first."""
    status: Path
    """Uint8 GeoTIFF on the event grid with the codes of core.status."""
    peak_pga: float
    """g."""
    shakemap: Attributes = field(default_factory=dict)
    """Attributes of the shaking: ShakeMap version as printed, format, units."""
    lineage: Attributes = field(default_factory=dict)
    """Attributes of the cube: sources, missing channels, configuration."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each stage."""
    synthetic: bool = False

    def __post_init__(self) -> None:
        """A product has at least one map."""
        if not self.maps:
            raise InvalidInput(f"product {self.run}: expected at least one map, found none")

    @property
    def title(self) -> str:
        """Title of the item; says SYNTHETIC first where that is what it is."""
        return titled(f"Landslides set off by {self.event.title}", synthetic=self.synthetic)

    @property
    def tags(self) -> dict[str, str]:
        """Dataset tags of every raster."""
        marks = {"SYNTHETIC": "YES"} if self.synthetic else {}
        return {"TIFFTAG_IMAGEDESCRIPTION": self.title, "HEADSCARP_RUN": str(self.run), **marks}


def titled(text: str, *, synthetic: bool) -> str:
    """The text, marked SYNTHETIC once where it describes nothing real."""
    return f"SYNTHETIC {text.removeprefix('SYNTHETIC ')}" if synthetic else text


def slug(text: str) -> str:
    """Text as one path segment and STAC id."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text)


def event_folder(event: str) -> str:
    """Folder of an event's catalogue and items."""
    return f"{CATALOG}/{COLLECTION}/{slug(event)}"


def event_key(event: str) -> str:
    """Key of an event's catalogue."""
    return f"{event_folder(event)}/catalog.json"


def item_folder(event: str, run: str) -> str:
    """Folder of one item and its assets."""
    return f"{event_folder(event)}/{run}"


def item_key(event: str, run: str) -> str:
    """Key of one item."""
    return f"{item_folder(event, run)}/{run}.json"


def cube_key(event: str, run: str) -> str:
    """Key of the cube a run was predicted from."""
    return f"cubes/{slug(event)}/{run}.zarr"


def cube_item_key(cube: str) -> str:
    """Key of the catalogue's item of a cube, from the cube's own key."""
    name = f"{slug(cube.rpartition('/')[2].removesuffix('.zarr'))}-cube"
    return f"{CATALOG}/{CUBES}/{name}/{name}.json"


def public_address(key: str, public_url: str) -> str:
    """HTTP address of an object of the catalogue, `public_url` being where `catalog/` is read."""
    return f"{public_url.rstrip('/')}/{key.removeprefix(CATALOG + '/')}"


def timestamp(moment: datetime) -> str:
    """UTC, whole seconds, with Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
