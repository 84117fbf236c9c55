"""Which ground is trained on and which judges: the folds of every split, as scenes whose labels are cut to size."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from headscarp.core.event import Event
from headscarp.core.learning.split import (
    BlockFolds,
    EventFold,
    block_folds,
    event_clusters,
    leave_clusters_out,
    named_split,
)
from headscarp.core.types import Attributes, Mask
from headscarp.errors import InvalidInput
from headscarp.io.inputs.earthquakes import Earthquake, EarthquakeRegistry
from headscarp.ml.windows import Scene

Split: TypeAlias = Literal["blocks", "events", "worlds", "released", "paper33"]
"""Spatial blocks within each event; near events together; SYNTHETIC worlds; no training; the paper's five events."""
BLOCK_PX = 160
BUFFER_PX = 50
"""Beyond the receptive radius of every network."""
WINDOW_PX = 160
WORLD_FOLDS = 5
"""Every world is judged by models that never saw it; with one fold a world, training would take three times as long."""
PAPER_EVENTS = ("nippes_2021", "kaikoura_2016", "denali_2002", "luding_2022", "gorkha_2015")
"""On which the paper tests the model it trained on the other 33."""
SAME_MAGNITUDE = 0.3
"""Catalogues differ by as much about one earthquake."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A scene, and what decides where it may serve."""

    scene: Scene
    event: Event
    digest: str
    """Of what its channels and labels were made from."""
    world: bool = False
    """Drawn for this evaluation, and no event that someone gave."""
    weak: bool = False
    """Its inventory may be trained on and never judges."""

    @property
    def name(self) -> str:
        return self.scene.name


@dataclass(frozen=True, slots=True)
class Fold:
    """Scenes that know no more than they may."""

    name: str
    training: tuple[Scene, ...]
    """With labels on the ground that is trained on and nowhere else."""
    test: tuple[Scene, ...]
    """With labels on the ground that judges and nowhere else."""
    digest: str
    """Changes whenever the ground of either or its content does."""

    @property
    def folder(self) -> str:
        """Name of the folder that keeps its maps: never that of another fold, nor of the same one on other data."""
        return f"{self.name}-{self.digest[:8]}"

    def to_json(self) -> Attributes:
        """Who is trained on and who judges."""
        return {"name": self.name, "training": [s.name for s in self.training], "test": [s.name for s in self.test]}


Ground: TypeAlias = tuple[Subject, Mask | None]
"""A scene, and the part (y, x) of it that is meant; None for all."""


def make_folds(split: Split, subjects: Sequence[Subject], *, plans: Mapping[str, BlockFolds]) -> tuple[Fold, ...]:
    """The folds of a split, in the order of its subjects.

    Worlds are trained on whenever they do not judge; weak inventories never judge.

    Args:
        split: Which one.
        subjects: Events and worlds.
        plans: For `blocks`, those of every event that judges, by name.

    Raises:
        InvalidInput: a fold would have nothing to train on or to judge by.
    """
    if split == "blocks":
        return _block_split(subjects, plans)
    if split == "released":
        return tuple(_fold(s.name, (), [(s, None)]) for s in subjects if not s.weak)
    return tuple(_event_fold(found, subjects) for found in event_folds(split, subjects) if _judges(found, subjects))


def event_folds(split: Split, subjects: Sequence[Subject]) -> tuple[EventFold, ...]:
    """The folds of whole scenes, by name.

    Raises:
        InvalidInput: there is one place only, or a test event of the paper is absent.
    """
    worlds, events = [s for s in subjects if s.world], [s for s in subjects if not s.world]
    if split == "paper33":
        return (named_split(split, [s.name for s in events], _paper_test(events)),)
    if split == "worlds":
        if len(worlds) < 2:
            raise InvalidInput(f"split worlds: expected two worlds or more, found {len(worlds)}")
        return leave_clusters_out([s.name for s in worlds], _world_groups(len(worlds)))
    clusters = event_clusters([s.event.longitude for s in events], [s.event.latitude for s in events]) if events else ()
    if len(set(clusters)) < 2:
        found = ", ".join(s.name for s in events) or "none"
        raise InvalidInput(f"split events: expected events of two places or more, 150 km apart, found {found}")
    return leave_clusters_out([s.name for s in events], clusters)


def _world_groups(count: int) -> list[int]:
    """Worlds left out together: as many groups as there are at most; neighbours, whose regions differ."""
    return [number * min(count, WORLD_FOLDS) // count for number in range(count)]


def _judges(found: EventFold, subjects: Sequence[Subject]) -> bool:
    return any(s.name in found.test and not s.weak for s in subjects)


def _event_fold(found: EventFold, subjects: Sequence[Subject]) -> Fold:
    """All that is not held out is trained on: the other kind of subject too."""
    return _fold(
        found.name,
        [(s, None) for s in subjects if s.name not in found.test],
        [(s, None) for s in subjects if s.name in found.test and not s.weak],
    )


def _paper_test(events: Sequence[Subject]) -> list[str]:
    """Names of the paper's test events among these."""
    registry = EarthquakeRegistry.load()
    matches = {key: [s.name for s in events if _is(s.event, registry[key])] for key in PAPER_EVENTS}
    if absent := [registry[key].name for key, names in matches.items() if not names]:
        raise InvalidInput(
            f"split paper33: expected event folders of all five test events, found none of {'; '.join(absent)}"
        )
    return [name for names in matches.values() for name in names]


def _is(event: Event, quake: Earthquake) -> bool:
    """The same id, or one day and about one magnitude: not every id is known."""
    same_day = event.time.date() == quake.date and abs(event.magnitude - quake.magnitude) <= SAME_MAGNITUDE
    return event.id == quake.usgs_id or same_day


def block_plan(subject: Subject, *, folds: int, kept: Path) -> BlockFolds:
    """The spatial folds of an event: those in `kept` if they are of its grid and as many, so that all judge alike.

    Raises:
        InvalidInput: a kept file cannot be read, or the event cannot be parted into as many folds.
    """
    scene, path = subject.scene, kept / f"blocks-{subject.name}.json"
    try:
        if path.is_file():
            found = BlockFolds.from_json(json.loads(path.read_text(encoding="utf-8")))
            if found.shape == scene.label.shape and found.folds == folds:
                return found
    except ValueError as error:
        raise InvalidInput(f"{path}: expected the folds of an event: {error}") from error
    try:
        return block_folds(
            scene.slides, scene.known, folds=folds, block_px=BLOCK_PX, buffer_px=BUFFER_PX, window_px=WINDOW_PX
        )
    except ValueError as error:
        raise InvalidInput(f"{subject.name}: cannot be parted into {folds} spatial folds: {error}") from error


def _block_split(subjects: Sequence[Subject], plans: Mapping[str, BlockFolds]) -> tuple[Fold, ...]:
    """One model a fold learns from the other folds' blocks of all events together."""
    if repeated := sorted({s.event.id for s in subjects if sum(o.event.id == s.event.id for o in subjects) > 1}):
        raise InvalidInput(f"split blocks: expected each event once, found more folders of {', '.join(repeated)}")
    if not plans:
        raise InvalidInput("split blocks: expected an event whose inventory may judge, found none")
    whole: list[Ground] = [(s, None) for s in subjects if s.name not in plans]
    parted = [(s, plans[s.name]) for s in subjects if s.name in plans]
    return tuple(
        _fold(
            f"block-{fold}",
            [*((s, plan.training(fold)) for s, plan in parted), *whole],
            [(s, plan.test(fold)) for s, plan in parted],
        )
        for fold in range(max(plan.folds for plan in plans.values()))
    )


def _fold(name: str, training: Sequence[Ground], test: Sequence[Ground]) -> Fold:
    learned, judging = ([g for g in side if _known(g).any()] for side in (training, test))
    if not judging or (training and not learned):
        raise InvalidInput(f"fold {name}: expected known ground to train on and to judge by, found none")
    digest = hashlib.sha256()
    for side in (learned, judging):
        digest.update(f"{len(side)}".encode())
        for subject, ground in side:
            digest.update(f"{subject.name} {subject.digest}".encode())
            digest.update(np.packbits(_known((subject, ground))).tobytes())
            digest.update(np.packbits(subject.scene.slides).tobytes())
    return Fold(name, tuple(map(_cut, learned)), tuple(map(_cut, judging)), digest.hexdigest())


def _known(ground: Ground) -> Mask:
    subject, part = ground
    return subject.scene.known if part is None else subject.scene.known & part


def _cut(ground: Ground) -> Scene:
    """The scene without any trace of labels beyond the ground."""
    scene, part = ground[0].scene, ground[1]
    if part is None:
        return scene
    coverage = None if scene.coverage is None else np.where(part, scene.coverage, np.float32(0))
    return replace(scene.only(part), slides=scene.slides & part, coverage=coverage)
