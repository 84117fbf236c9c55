"""What an evaluation is held on: event folders and SYNTHETIC worlds, read once with every channel that is asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from headscarp.core.learning.labels import LENGTH_PX
from headscarp.core.learning.metrics import auc
from headscarp.core.learning.tally import tally
from headscarp.core.pci.table import Table
from headscarp.core.types import Attributes
from headscarp.errors import InvalidInput
from headscarp.io.inputs.folder import read_event_folder
from headscarp.io.store import Store
from headscarp.pipeline.dataset import read_scene
from headscarp.pipeline.folds import Subject
from headscarp.pipeline.world import write_world
from headscarp.tables.inventories import FILLED
from headscarp.world.ceiling import observable_ceiling
from headscarp.world.generate import World, make_world
from headscarp.world.settings import REGIONS

FIRST_SEED = 100
"""Of the worlds that released models are trained on too, so that one training serves both."""
EXACT_LENGTH_PX = 1.0
"""Of labels of worlds, where every slide is where it is said to be."""
JUDGED_BY = ("slope", "pga")
"""Channels without which ground cannot be told apart."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldOptions:
    """Which worlds."""

    count: int = 0
    shape: tuple[int, int] = (512, 512)
    ceiling_draws: int = 40


@dataclass(frozen=True, slots=True)
class Workroom:
    """Where scenes are read with what."""

    scratch: Path
    store: Store
    table: Table
    channels: tuple[str, ...]


def read_subjects(
    folders: Sequence[Path], worlds: WorldOptions, room: Workroom, *, progress: Progress
) -> tuple[tuple[Subject, ...], dict[str, Attributes]]:
    """All scenes, and what the best use of the maps of each world could reach, by name.

    Raises:
        InvalidInput: there is nothing to evaluate on, or a folder has no inventory or no DEM.
    """
    total, subjects, ceilings = len(folders) + worlds.count, list[Subject](), dict[str, Attributes]()
    if not total:
        raise InvalidInput("expected event folders or worlds to evaluate on, found neither")
    for folder in folders:
        subjects.append(read_event(folder, room))
        progress(len(subjects), total)
    for number in range(worlds.count):
        subject, ceilings[subject.name] = _world(number, worlds, room)
        subjects.append(subject)
        progress(len(subjects), total)
    return _named_apart(subjects, folders), ceilings


def read_event(folder: Path, room: Workroom, *, length_px: float = LENGTH_PX, world: bool = False) -> Subject:
    """An event folder with an inventory. Raises InvalidInput as `read_scene` does."""
    found = read_event_folder(folder)
    scene = read_scene(folder, room.channels, table=room.table, store=room.store, length_px=length_px)
    scene = replace(scene, filled=FILLED.get(found.event.id, 1.0))
    weak = found.inventory is not None and found.inventory.quality == "weak"
    digest = f"{found.shakemap_id.code}-{room.table.digest[:8]}-{length_px:g}"
    return Subject(scene, found.event, digest, world=world, weak=weak)


def _named_apart(subjects: Sequence[Subject], folders: Sequence[Path]) -> tuple[Subject, ...]:
    """Scenes by event id, and by folder where one event has several."""
    ids = [s.scene.name for s in subjects]
    names = [f.resolve().name if ids.count(i) > 1 else i for f, i in zip(folders, ids, strict=False)]
    names += ids[len(folders) :]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput(f"expected each event folder once, found {', '.join(repeated)} again")
    return tuple(replace(s, scene=replace(s.scene, name=name)) for s, name in zip(subjects, names, strict=True))


def _world(number: int, options: WorldOptions, room: Workroom) -> tuple[Subject, Attributes]:
    """A world as any other event folder; regions take turns."""
    subject = read_world(FIRST_SEED + number, options.shape, room)
    return subject, world_ceiling(FIRST_SEED + number, subject, options, room)


def read_world(seed: int, shape: tuple[int, int], room: Workroom) -> Subject:
    """The SYNTHETIC world of a seed, written as an event folder and read as any other; regions take turns."""
    world = _draw(seed, shape)
    folder = write_world(world, room.scratch / "worlds" / f"{world.event.id}-{shape[0]}x{shape[1]}")
    return read_event(folder, room, length_px=EXACT_LENGTH_PX, world=True)


def world_ceiling(seed: int, subject: Subject, options: WorldOptions, room: Workroom) -> Attributes:
    """AUC that the best use of the maps of a world could reach, its standard error, and the same on known pixels."""
    return _ceiling(_draw(seed, options.shape), subject, options.ceiling_draws, room.scratch / "ceilings")


@lru_cache(maxsize=1)
def _draw(seed: int, shape: tuple[int, int]) -> World:
    return make_world(seed, settings=REGIONS[seed % len(REGIONS)], shape=shape)


def _ceiling(world: World, subject: Subject, draws: int, kept: Path) -> Attributes:
    """The ceiling of a world; it is slow to find and kept under what it follows from."""
    truth = hashlib.sha256(world.probability.tobytes()).hexdigest()[:12]
    path = kept / f"{world.event.id}-{truth}-{draws}.json"
    if path.is_file():
        found: Attributes = json.loads(path.read_text(encoding="utf-8"))
        return found
    ceiling = observable_ceiling(world, draws=draws)
    same = auc(tally(ceiling.score, subject.scene.slides, subject.scene.known))
    found = {"ceiling_auc": ceiling.auc, "ceiling_se": ceiling.standard_error, "ceiling_auc_same_pixels": same}
    kept.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(found), encoding="utf-8")
    part.replace(path)
    return found
