"""One inventory and one earthquake become an event folder to learn from."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
import shapely
from pyproj import CRS
from rasterio.warp import transform_bounds

from headscarp.core.event import Event, Shaking
from headscarp.core.grid import Bounds, event_extent, snapped_grid, utm_crs
from headscarp.core.pci.table import Table
from headscarp.errors import InvalidInput
from headscarp.io.inputs.folder import EventFolder, event_header, read_event_folder
from headscarp.io.inputs.inventory import LandslideInventory, Place, read_inventory
from headscarp.io.inputs.inventory_dates import InventoryOptions
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.inputs.usgs import UsgsClient
from headscarp.io.outputs.inventory_figure import draw_inventory
from headscarp.io.outputs.vectors import write_polygons
from headscarp.pipeline.gather import MARGIN_M, gather_layers, write_shaking
from headscarp.pipeline.quake import Quake, load_quake

EVENT_FILE: Final = "event.json"
POLYGONS_FILE: Final = "landslides.gpkg"
EXTENT_FILE: Final = "extent.gpkg"
FIGURE_FILE: Final = "inventory.png"
KEPT_FILES: Final = ("rupture", "stations")
"""Keys of event.json that name further files of a folder."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the layers of a USGS event come from."""

    table: Table
    registry: SourceRegistry
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Subject:
    """An earthquake that an inventory is said to belong to."""

    event: Event
    place: Place
    description: Mapping[str, Any]
    """event.json without the inventory."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """What the folder brings along, by the name it gets."""
    shaking: Shaking | None = None
    """Of a USGS event; a folder has its shaking among its files."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What was written."""

    folder: Path
    event: Event
    inventory: LandslideInventory

    @property
    def figure(self) -> Path:
        """The picture of what became of the inventory."""
        return self.folder / FIGURE_FILE

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"folder": str(self.folder), "event": self.event.id, **described_inventory(self.inventory)}


def open_subject(source: str, client: UsgsClient) -> Subject:
    """The earthquake that SOURCE names: an event folder, or whatever `load_quake` reads."""
    path = Path(source)
    return subject_of_folder(path) if path.is_dir() else subject_of_quake(load_quake(source, client))


def subject_of_folder(path: Path, folder: EventFolder | None = None) -> Subject:
    """An event folder, read already or not; its DEM, or where it has none its shaking, says where landslides can be.

    Raises:
        InvalidInput, NotAnEvent, BadRaster, BadShakeMap: it is no whole event folder.
    """
    folder = folder or read_event_folder(path)
    raw = json.loads((path / EVENT_FILE).read_text("utf-8"))
    files, layers = _layer_files(path, raw["layers"])
    kept = {key: raw[key] for key in KEPT_FILES if isinstance(raw.get(key), str) and (path / raw[key]).is_file()}
    files |= {Path(href).name: path / href for href in kept.values()}
    named = {key: Path(href).name for key, href in kept.items()}
    description = {**{k: v for k, v in raw.items() if k not in {"inventory", *KEPT_FILES}}, **named, "layers": layers}
    return Subject(folder.event, place_of(folder), description, files)


def subject_of_quake(quake: Quake) -> Subject:
    """A USGS event with its ShakeMap, whose part above 0.02 g says where landslides can be."""
    event = quake.event
    area = Bounds(*event_extent(quake.shaking, event.longitude, event.latitude).grid.boundingbox.bbox)
    place = Place(utm_crs(event.longitude, event.latitude), area, "the ShakeMap above 0.02 g", event.time)
    description = {
        **event_header(event),
        "shakemap": str(quake.shakemap),
        "layers": {},
    }
    return Subject(event, place, description, shaking=quake.shaking)


def place_of(folder: EventFolder) -> Place:
    """Where and when landslides of an event folder can be, in the UTM zone of its epicentre."""
    event = folder.event
    crs = utm_crs(event.longitude, event.latitude)
    if "dem" in folder.layers:
        with rasterio.open(folder.layers["dem"]["href"]) as dem:
            area = Bounds(*transform_bounds(dem.crs, crs.to_wkt(), *dem.bounds))
        return Place(crs, area, "the DEM", event.time)
    grid = event_extent(folder.shaking, event.longitude, event.latitude).grid
    return Place(crs, Bounds(*grid.boundingbox.bbox), "the shaking above 0.02 g", event.time)


def options_of_folder(folder: EventFolder) -> tuple[Path, InventoryOptions]:
    """The inventory that an event folder has already, and how it says that it is to be read.

    A folder that states no extent means its whole DEM, less what it ignores.

    Raises:
        InvalidInput: it has none.
    """
    held = folder.inventory
    if held is None:
        raise InvalidInput(f"{folder.path / EVENT_FILE}: expected an inventory, found none")
    return held.href, InventoryOptions(
        coseismic=held.coseismic,
        extent=held.extent or "event",
        ignore=held.ignore_href,
        quality=held.quality,
    )


def ingest(
    file: Path,
    subject: Subject,
    options: InventoryOptions,
    out: Path,
    *,
    sources: Sources | None = None,
    finish: Callable[[Path], None] | None = None,
) -> Ingested:
    """Read an inventory and write the event folder `out`, whole or not at all.

    Args:
        file: The inventory.
        subject: The earthquake.
        options: What the file does not say of itself.
        out: The folder to make; it may not hold anything yet.
        sources: Where layers of a USGS event come from; without them the folder has shaking and inventory only.
        finish: Called with the filled folder before it takes its place.

    Raises:
        InvalidInput: the inventory cannot be used (see `read_inventory`), or `out` is taken.
        SourceUnavailable: a layer's host did not answer.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InvalidInput(f"{out}: expected a folder that is new or empty")
    inventory = read_inventory(file, subject.place, options)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        part = Path(scratch) / "folder"
        part.mkdir()
        write_event(part, subject, inventory, sources)
        if finish is not None:
            finish(part)
        part.replace(out)
    return Ingested(out, subject.event, inventory)


def write_event(folder: Path, subject: Subject, inventory: LandslideInventory, sources: Sources | None) -> None:
    """Fill an empty folder; event.json comes last."""
    for name, source in subject.files.items():
        shutil.copyfile(source, folder / name)
    description = {**subject.description, **_layers(folder, subject, inventory, sources)}
    _write_inventory(folder, inventory, subject)
    description["inventory"] = {
        "href": POLYGONS_FILE,
        "coseismic": "coseismic in [1]",
        "ignore": "coseismic in [0]",
        "extent": EXTENT_FILE,
        **described_inventory(inventory),
    }
    draw_inventory(inventory, folder / FIGURE_FILE, title=subject.event.title, synthetic=subject.event.synthetic)
    (folder / EVENT_FILE).write_text(json.dumps(description, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def described_inventory(inventory: LandslideInventory) -> dict[str, Any]:
    """What is known of an inventory, as plain data."""
    return {
        "quality": inventory.quality,
        "source": inventory.source,
        "sha256": inventory.sha256,
        "landslides": len(inventory.coseismic),
        "area_km2": round(inventory.area_km2, 6),
        "dating": inventory.dating,
        "periods": dict(inventory.periods),
        "mapped": {
            "rule": inventory.extent.rule,
            "assumed": inventory.extent.assumed,
            "area_km2": round(inventory.extent.area_km2, 3),
        },
        "fates": [tally.to_json() for tally in inventory.tallies],
        "criteria": [
            {"criterion": c.name, "verdict": c.verdict, "found": c.found, "unchecked": c.unchecked}
            for c in inventory.criteria
        ],
        "notes": list(inventory.notes),
    }


def content_digest(folder: Path, *, without: str | None = None) -> str:
    """SHA-256 over names and contents of the files of a folder, less the one named `without`."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.is_file() and p.name != without):
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _layer_files(path: Path, layers: Mapping[str, Any]) -> tuple[dict[str, Path], dict[str, Any]]:
    """Files to copy by the name they get, and layers that name them so."""
    files: dict[str, Path] = {}
    described: dict[str, Any] = {}
    for layer, entry in layers.items():
        place = (path / entry["href"]).resolve()
        name = place.name if files.get(place.name, place) == place else f"{layer}-{place.name}"
        files[name] = place
        described[layer] = {**entry, "href": name}
    return files, described


def _layers(folder: Path, subject: Subject, inventory: LandslideInventory, sources: Sources | None) -> dict[str, Any]:
    """What the layers of a USGS event add to event.json."""
    if subject.shaking is None:
        return {}
    layers = write_shaking(subject.shaking, folder)
    if sources is None:
        return {"layers": layers}
    grid = snapped_grid(_ground(inventory, subject.place), inventory.crs)
    found = gather_layers(
        folder, grid, subject.event, table=sources.table, registry=sources.registry, timeout_s=sources.timeout_s
    )
    return {"layers": found.layers | layers, "absent": dict(found.absent), "lineage": dict(found.lineage)}


def _ground(inventory: LandslideInventory, place: Place) -> Bounds:
    """Mapped ground with a margin, as far as the event reaches."""
    drawn = np.concatenate([[inventory.extent.geometry], inventory.coseismic])
    west, south, east, north = map(float, shapely.total_bounds(drawn))
    return Bounds(
        max(west - MARGIN_M, place.area.west),
        max(south - MARGIN_M, place.area.south),
        min(east + MARGIN_M, place.area.east),
        min(north + MARGIN_M, place.area.north),
    )


def _write_inventory(folder: Path, inventory: LandslideInventory, subject: Subject) -> None:
    shapes = np.concatenate([inventory.coseismic, inventory.ignore])
    code = np.repeat([1, 0], [len(inventory.coseismic), len(inventory.ignore)]).astype(np.int32)
    crs: CRS = inventory.crs
    write_polygons(folder / POLYGONS_FILE, shapes, {"coseismic": code}, crs=crs, stamp=subject.event.time)
    mapped = np.array([inventory.extent.geometry], dtype=object)
    rule = np.array([inventory.extent.rule], dtype=object)
    write_polygons(folder / EXTENT_FILE, mapped, {"rule": rule}, crs=crs, stamp=subject.event.time)
