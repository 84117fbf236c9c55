"""Small grounds and models for tests of the evaluation: known probabilities, no files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from headscarp.core.event import Event
from headscarp.core.normalisation import EventStatistics
from headscarp.core.predictor import Quantity
from headscarp.core.types import Raster
from headscarp.ml.windows import Scene
from headscarp.pipeline.contenders import Contender
from headscarp.pipeline.folds import Subject

CHANNELS = ("slope", "pga")


def event(name: str, longitude: float = 0.0, latitude: float = 0.0) -> Event:
    """A quake somewhere."""
    return Event(name, f"M 7.0 {name}", datetime(2020, 1, 1, tzinfo=UTC), 7.0, longitude, latitude, 10.0)


def chance(scene: Scene) -> Raster:
    """The probability by which `scene_of` drew landslides."""
    slope, pga = scene.read(CHANNELS)
    return (1.0 / (1.0 + np.exp(4.0 - 0.07 * slope - 2.0 * pga))).astype(np.float32)


def scene_of(name: str, *, seed: int = 0, shape: tuple[int, int] = (200, 240), synthetic: bool = False) -> Scene:
    """Slides drawn from slope and PGA; a strip in the west is unknown ground."""
    rng = np.random.default_rng(seed)
    stack = np.stack([rng.uniform(0, 60, shape), rng.uniform(0.03, 0.6, shape)]).astype(np.float32)
    plain = np.zeros(shape, np.float32)
    statistics = EventStatistics.of(dict(zip(CHANNELS, stack, strict=True)))
    scene = Scene(name, CHANNELS, stack, plain, plain > 1, plain, statistics, synthetic)
    slides = rng.random(shape) < chance(scene)
    slides[:, :3] = False
    label = slides.astype(np.float32)
    label[:, :3] = np.nan
    return Scene(name, CHANNELS, stack, label, slides, plain, statistics, synthetic)


def subject_of(name: str, *, longitude: float = 0.0, weak: bool = False, world: bool = False, seed: int = 0) -> Subject:
    """A scene with its quake."""
    return Subject(scene_of(name, seed=seed), event(name, longitude), f"digest-{seed}", world=world, weak=weak)


@dataclass
class Fake:
    """A learner that remembers what it was shown; its scores are what a function says of a scene."""

    name: str
    says: Callable[[Scene], Raster] = chance
    identity: str = "0123456789abcdef"
    channels: tuple[str, ...] = CHANNELS
    fitted: list[tuple[Scene, ...]] = field(default_factory=list)
    shown: list[Scene] = field(default_factory=list)

    def fit(self, scenes: Sequence[Scene]) -> Fake:
        self.fitted.append(tuple(scenes))
        return self

    def score(self, scene: Scene) -> Raster:
        self.shown.append(scene)
        return self.says(scene)


def contender(name: str, says: Callable[[Scene], Raster] = chance, quantity: Quantity = "coverage") -> Contender:
    """A fake that may be compared with."""
    return Contender(Fake(name, says), quantity, baseline=True)
