"""What the demo plays: a synthetic world whose quake gets a first and then a better ShakeMap."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from headscarp.core.event import ShakeMapId
from headscarp.demo.publications import Script, publication
from headscarp.io.outputs.usgs_format import shakemap_release
from headscarp.io.store import Store
from headscarp.pipeline.world import write_world
from headscarp.world.generate import World, make_world

DEMO_SEED = 0
SHAPE = (900, 1200)
FIRST_MAP_AFTER = timedelta(minutes=12)
REVISION_AFTER = timedelta(minutes=48)
SOURCES = "sources"
"""Prefix of the store under which the demo's input rasters lie."""


@dataclass(frozen=True, slots=True)
class Play:
    """The world, what the replay publishes about it, and when."""

    world: World
    script: Script
    shakemaps: tuple[ShakeMapId, ShakeMapId]


def write_play(folder: Path) -> Play:
    """The demo's world and script. The origin time is chosen once and kept in `folder`.

    The same folder therefore always plays the same quake, whose runs have the same identity.
    """
    world = make_world(DEMO_SEED, shape=SHAPE)
    origin = _origin_time(folder / "origin.json")
    event = replace(world.event, time=origin, updated=origin)
    first, revised = (
        ShakeMapId("us", event.id, _milliseconds(origin + after)) for after in (FIRST_MAP_AFTER, REVISION_AFTER)
    )
    early = shakemap_release(event, world.shaking_early, first, version="1")
    final = shakemap_release(event, world.shaking, revised, version="2")
    script = (publication(event, [early]), publication(event, [early, final]))
    return Play(replace(world, event=event), script, (first, revised))


def upload_sources(world: World, store: Store, folder: Path) -> Path:
    """Put the world's layers into the store as COGs; returns the registry that points there."""
    event_folder = write_world(world, folder / "world")
    described = json.loads((event_folder / "event.json").read_text("utf-8"))
    layers: dict[str, Mapping[str, Any]] = {}
    for name, layer in described["layers"].items():
        if name in world.shaking.__slots__:
            continue
        key = f"{SOURCES}/{world.event.id}/{layer['href']}"
        store.put_file(key, event_folder / layer["href"], "image/tiff")
        layers[name] = layer | {"href": store.address(key), "attribution": described["attribution"]}
    registry = folder / "sources.yaml"
    registry.write_text(yaml.safe_dump({"layers": layers}), encoding="utf-8")
    return registry


def _origin_time(path: Path) -> datetime:
    """An hour before the first call, to the second."""
    if not path.exists():
        moment = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        part = path.with_suffix(".part")
        part.write_text(json.dumps({"origin": moment.isoformat()}), encoding="utf-8")
        part.replace(path)
    return datetime.fromisoformat(json.loads(path.read_text("utf-8"))["origin"])


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
