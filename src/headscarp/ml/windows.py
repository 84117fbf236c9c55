"""Training windows: drawn from events, not in proportion to their size, as a pure function of seed and step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headscarp.core.manifest import InputChannel
from headscarp.core.normalisation import EventStatistics
from headscarp.core.tiling import Window, read_padded
from headscarp.core.types import Mask, Raster, Stack
from headscarp.ml.augment import GROUP_ORDER, oriented, oriented_stack, shaken_otherwise, without_sources

POOL = 6_000
"""Pixels of a scene from which the statistics of another extent are drawn."""
TILTED = ("slope", "pga")
"""Channels in which the extents of events differ most."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One event, or a part of one, in memory."""

    name: str
    channels: tuple[str, ...]
    """Names along the first axis of the stack; for training, the model's inputs in their order."""
    stack: Stack
    """(channel, y, x) in physical units, NaN where missing."""
    label: Raster
    """(y, x) soft label; NaN where nothing is known or nothing shall be learned."""
    slides: Mask
    """(y, x) hard label."""
    ln_std: Raster
    """(y, x) standard deviation of ln PGA, NaN where unknown."""
    statistics: EventStatistics
    """Of the whole event."""
    synthetic: bool
    coverage: Raster | None = None
    """(y, x) share of each pixel that landslides cover; None means that hard labels are all there is."""
    filled: float = 1.0
    """Share of the landslide pixels that is landslide: less than 1 where the inventory was drawn as coarse cells."""

    def __post_init__(self) -> None:
        """Refuse rasters that do not lie on one grid, and scenes without anything to learn."""
        shapes = {self.stack.shape[-2:], self.label.shape, self.slides.shape, self.ln_std.shape}
        if self.coverage is not None:
            shapes.add(self.coverage.shape)
        if len(shapes) != 1:
            raise ValueError(f"scene {self.name}: expected one shape, got {sorted(shapes)}")
        if len(self.channels) != len(self.stack):
            raise ValueError(f"scene {self.name}: expected {len(self.channels)} channels, got {len(self.stack)}")
        if not np.isfinite(self.label).any():
            raise ValueError(f"scene {self.name}: no pixel has a label")

    @property
    def known(self) -> Mask:
        """Where there is a label."""
        return np.isfinite(self.label)

    def read(self, channels: Sequence[str]) -> Stack:
        """(channel, y, x) of these channels.

        Raises:
            ValueError: the scene holds no such channel.
        """
        if absent := [name for name in channels if name not in self.channels]:
            raise ValueError(f"scene {self.name}: expected {', '.join(absent)} among {', '.join(self.channels)}")
        if tuple(channels) == self.channels:
            return self.stack
        return np.asarray(self.stack[[self.channels.index(name) for name in channels]])

    def selecting(self, channels: Sequence[str]) -> Scene:
        """The same scene with these channels, in this order, and their statistics. Raises ValueError as `read` does."""
        statistics = self.statistics.only(name for name in channels if name in self.statistics.quantiles)
        return replace(self, channels=tuple(channels), stack=self.read(channels), statistics=statistics)

    def only(self, ground: Mask, *, name: str | None = None) -> Scene:
        """The same scene with nothing known beyond `ground` (y, x); its stack stays whole."""
        return replace(self, name=name or self.name, label=np.where(ground, self.label, np.float32(np.nan)))


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowOptions:
    """How windows are drawn and changed."""

    size: int = 160
    """Side in pixels, a multiple of 4."""
    batch: int = 8
    centred_on_slides: float = 0.5
    """Share of windows that are centred near a slide pixel; the others lie anywhere."""
    real: float = 0.3
    """Share of windows that come from real events, where there are both kinds."""
    lose_source: float = 0.1
    pga_noise: float = 0.3
    """Scale of the ground-motion shift, in standard deviations of the ShakeMap."""
    other_extent: float = 0.7
    """Share of windows normalised as if the event reached over more or less steep and shaken land than it does."""
    tilt: float = 1.2
    """Largest slope of the logarithm of a pixel's weight there, in the normal scores of slope and PGA."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step sees."""

    inputs: NDArray[np.float32]
    """(batch, channel, y, x)"""
    label: NDArray[np.float32]
    """(batch, y, x), NaN where unknown."""
    statistics: tuple[EventStatistics, ...]
    """Of the event each window is from."""
    scenes: tuple[int, ...]
    """Place of that event among the scenes."""


def draw_batch(
    scenes: Sequence[Scene],
    inputs: Sequence[InputChannel],
    *,
    options: WindowOptions,
    required: frozenset[str],
    seed: int,
    step: int,
    part: tuple[int, int] = (0, 1),
) -> Batch:
    """The batch of a step; equal arguments give equal bytes, whatever ran before.

    Of `part` (k, n) it holds windows k, k + n, k + 2n...: the share of one of several processes.
    """
    pairs, statistics, events = [], [], []
    for window in range(part[0], options.batch, part[1]):
        rng = np.random.default_rng([seed, step, window])
        events.append(_pick(scenes, options, rng))
        scene = scenes[events[-1]]
        pairs.append(_example(scene, inputs, options=options, required=required, rng=rng))
        other = rng.random() < options.other_extent
        statistics.append(_of_other_extent(scene, inputs, options.tilt, rng) if other else scene.statistics)
    return Batch(np.stack([x for x, _ in pairs]), np.stack([u for _, u in pairs]), tuple(statistics), tuple(events))


def _pick(scenes: Sequence[Scene], options: WindowOptions, rng: np.random.Generator) -> int:
    """Place of a scene; of one kind, real or synthetic, all are equally likely."""
    synthetic = rng.random() >= options.real
    candidates = [k for k, scene in enumerate(scenes) if scene.synthetic == synthetic] or list(range(len(scenes)))
    return candidates[int(rng.integers(len(candidates)))]


def _example(
    scene: Scene,
    inputs: Sequence[InputChannel],
    *,
    options: WindowOptions,
    required: frozenset[str],
    rng: np.random.Generator,
) -> tuple[Stack, Raster]:
    """One window of a scene, augmented."""
    window = _place(scene, options, rng)
    names = [channel.name for channel in inputs]
    stack, label = read_padded(scene.stack, window), read_padded(scene.label, window)
    stack = shaken_otherwise(stack, names, read_padded(scene.ln_std, window), options.pga_noise * rng.standard_normal())
    stack = without_sources(stack, inputs, rng, chance=options.lose_source, keep=required)
    element = int(rng.integers(GROUP_ORDER))
    return oriented_stack(stack, names, element), np.ascontiguousarray(oriented(label, element))


def _of_other_extent(
    scene: Scene, inputs: Sequence[InputChannel], tilt: float, rng: np.random.Generator
) -> EventStatistics:
    """Statistics of the scene's pixels, drawn with weights that favour or shun steep and strongly shaken ones.

    The ground mapped after an earthquake is the mountains near its fault; a response covers plains as well.
    """
    names = [channel.name for channel in inputs]
    y, x = np.unravel_index(rng.choice(np.flatnonzero(scene.known), POOL), scene.label.shape)
    pixels = scene.stack[:, y, x]
    weight = np.zeros(POOL)
    for name in TILTED:
        if name in scene.statistics.quantiles:
            ranks = scene.statistics.scored(name, pixels[names.index(name)])
            weight += rng.uniform(-tilt, tilt) * np.nan_to_num(ranks)
    chance = np.exp(weight)
    drawn = pixels[:, rng.choice(POOL, POOL // 4, p=chance / chance.sum())]
    return EventStatistics.of({name: drawn[names.index(name)] for name in scene.statistics.quantiles})


def _place(scene: Scene, options: WindowOptions, rng: np.random.Generator) -> Window:
    """A window that holds known ground, near a slide with the chance the options say."""
    learnable = scene.slides & scene.known
    near = rng.random() < options.centred_on_slides and bool(learnable.any())
    candidates = np.flatnonzero(learnable if near else scene.known)
    y, x = np.unravel_index(int(rng.choice(candidates)), scene.label.shape)
    dy, dx = rng.integers(-options.size // 4, options.size // 4 + 1, size=2)
    height, width = scene.label.shape
    return Window(
        _inside(int(y + dy) - options.size // 2, options.size, height),
        _inside(int(x + dx) - options.size // 2, options.size, width),
        options.size,
        options.size,
    )


def _inside(start: int, size: int, length: int) -> int:
    """Move a window into the grid where it fits; centre it on a smaller grid."""
    return (length - size) // 2 if length <= size else min(max(start, 0), length - size)
