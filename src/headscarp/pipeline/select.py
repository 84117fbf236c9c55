"""Which control indicators tell where landslides are, and which ones others repeat: per event and together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headscarp.core.learning.collinearity import Indicator
from headscarp.core.learning.information import (
    Codes,
    aspect_sectors,
    equal_event_weights,
    equal_frequency,
    out_of_fold_log_ratio,
    rank_by_gain,
)
from headscarp.core.learning.sampling import selection_sample
from headscarp.core.learning.selection import select_indicators
from headscarp.core.pci.table import Table
from headscarp.core.types import Attributes
from headscarp.errors import InvalidInput
from headscarp.io.store import Store
from headscarp.ml.windows import Scene
from headscarp.pipeline.dataset import read_scene
from headscarp.pipeline.world import write_world
from headscarp.tables.coseismic import COSEISMIC, PAPER_CHANNELS
from headscarp.world.generate import make_world
from headscarp.world.settings import REGIONS

FORMAT = "headscarp-selection/1"
SHAKING = "pga"
"""The sample is drawn where this channel is strong."""
PARTS = 8
"""Bands of rows, with as many slide pixels each, that stand for events where there is only one."""
LEAST_KNOWN = 0.5
"""Share of an event's sample from which an indicator counts as known there."""
WORLD_SEED = 100
VECTORS = {"aspect": ("aspect_east", "aspect_north"), "focal_mechanism": ("rake_sin", "rake_cos")}
"""Indicators of two channels that mean something together only."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Pixels of one scene."""

    scene: str
    synthetic: bool
    values: NDArray[np.float64]
    """(channel, pixel), NaN where missing."""
    slides: NDArray[np.bool_]
    part: NDArray[np.intp]
    """(pixel,) number of its band of rows."""


@dataclass(frozen=True, slots=True)
class Group:
    """Samples that are looked at together."""

    name: str
    samples: tuple[Sample, ...]

    @property
    def synthetic(self) -> bool:
        """Whether no real event is in it; real and SYNTHETIC ones are never mixed."""
        return self.samples[0].synthetic


def select(
    scenes: Sequence[Scene], channels: Sequence[str], *, seed: int = 0, table: Table = COSEISMIC
) -> Mapping[str, Any]:
    """Rank and prune the indicators of these channels: all real scenes together, all worlds together, each alone.

    Up to 20,000 landslide pixels a scene and as many others, all shaken beyond 0.12 g. Indicators unknown on half of
    some scene's sample are left out of its groups; pixels that lack any other are left out. Events count the same.

    Returns:
        The trace as plain data: for each group its samples, information gain with interval and noise floor, and every
        step of the selection. Equal arguments give equal traces.

    Raises:
        InvalidInput: no scene, a channel is not in the table or a scene, or a scene's sample lacks a class.
    """
    if not scenes or SHAKING not in channels:
        raise InvalidInput(f"selection: expected scenes and the channel {SHAKING}, found {len(scenes)}, {channels}")
    samples = [_sample(scene, channels, seed + n) for n, scene in enumerate(scenes)]
    return {
        "format": FORMAT,
        "table": table.digest,
        "seed": seed,
        "channels": list(channels),
        "groups": [_judged(group, channels, seed, table) for group in _groups(samples)],
    }


def read_scenes(folders: Sequence[Path], worlds: int, *, store: Store, scratch: Path) -> list[Scene]:
    """Event folders with an inventory, and so many SYNTHETIC worlds, with the paper's channels.

    Raises:
        InvalidInput: a folder cannot be learned from.
    """
    drawn = []
    for seed in range(WORLD_SEED, WORLD_SEED + worlds):
        world = make_world(seed, settings=REGIONS[seed % len(REGIONS)], shape=(512, 512))
        drawn.append(write_world(world, scratch / f"world-{seed}"))
    return [read_scene(folder, PAPER_CHANNELS, table=COSEISMIC, store=store) for folder in (*folders, *drawn)]


def _sample(scene: Scene, channels: Sequence[str], seed: int) -> Sample:
    stack = scene.read(channels)
    try:
        slides, others = selection_sample(scene.slides, scene.known, stack[channels.index(SHAKING)], seed=seed)
    except ValueError as error:
        raise InvalidInput(f"selection: scene {scene.name}, beyond 0.12 g: {error}") from error
    pixels = np.concatenate([slides, others])
    label = np.arange(pixels.size) < slides.size
    rows = pixels // scene.label.shape[1]
    edges = np.quantile(rows[label], np.linspace(0, 1, PARTS + 1)[1:-1])
    values = stack.reshape(len(channels), -1)[:, pixels].astype(np.float64)
    return Sample(scene.name, scene.synthetic, values, label, np.searchsorted(edges, rows))


def _groups(samples: Sequence[Sample]) -> list[Group]:
    """Real ones together, worlds together, where there are several; then each alone."""
    real = tuple(s for s in samples if not s.synthetic)
    worlds = tuple(s for s in samples if s.synthetic)
    together = [Group("real events together", real)] if len(real) > 1 else []
    together += [Group("SYNTHETIC worlds together", worlds)] if len(worlds) > 1 else []
    return [*together, *(Group(s.scene, (s,)) for s in samples)]


def _judged(group: Group, channels: Sequence[str], seed: int, table: Table) -> Attributes:
    """What one group says."""
    names = _indicators(channels)
    unknown = {name: [s.scene for s in group.samples if not _known(s, channels, names[name])] for name in names}
    kept = {name: names[name] for name in names if not unknown[name]}
    values, slides, events, parts = _joined(group, channels, kept)
    groups = events if len(group.samples) > 1 else parts
    weights = equal_event_weights(events)
    rows = {name: values[[channels.index(c) for c in kept[name]]] for name in kept}
    codes = {name: _codes(name, found, kept[name][0], table) for name, found in rows.items()}
    indicators = [
        Indicator(name, _columns(rows[name], codes[name], slides, groups, weights, _categorical(kept[name][0], table)))
        for name in kept
    ]
    gains = rank_by_gain(codes, slides, groups, weights, seed=seed)
    return {
        "name": group.name,
        "synthetic": group.synthetic,
        "resampled": "events" if len(group.samples) > 1 else f"{PARTS} bands of rows",
        "samples": {s.scene: int((events == n).sum()) for n, s in enumerate(group.samples)},
        "unknown": {name: where for name, where in unknown.items() if where},
        "gains": [gain.to_json() for gain in gains],
        "selection": select_indicators(indicators, weights).to_json(),
    }


def _indicators(channels: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Channels of each indicator; a vector with one component left is two-faced and counts by that channel."""
    of = {channel: name for name, parts in VECTORS.items() if set(parts) <= set(channels) for channel in parts}
    return {of.get(c, c): VECTORS.get(of.get(c, ""), (c,)) for c in channels}


def _known(sample: Sample, channels: Sequence[str], wanted: Sequence[str]) -> bool:
    rows = sample.values[[channels.index(c) for c in wanted]]
    return bool(np.isfinite(rows).all(axis=0).mean() >= LEAST_KNOWN)


def _joined(
    group: Group, channels: Sequence[str], kept: Mapping[str, Sequence[str]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.intp], NDArray[np.intp]]:
    """(channel, pixel) values, labels, number of the event and of the band, of pixels with every kept indicator."""
    values = np.concatenate([s.values for s in group.samples], axis=1)
    slides = np.concatenate([s.slides for s in group.samples])
    events = np.repeat(np.arange(len(group.samples)), [s.slides.size for s in group.samples])
    parts = np.concatenate([s.part for s in group.samples])
    rows = [channels.index(c) for wanted in kept.values() for c in wanted]
    whole = np.isfinite(values[rows]).all(axis=0)
    missing = [s.scene for n, s in enumerate(group.samples) if np.unique(slides[whole & (events == n)]).size < 2]
    if missing:
        raise InvalidInput(f"selection: expected pixels of both classes with {', '.join(kept)}, none in {missing}")
    return values[:, whole], slides[whole], events[whole], parts[whole]


def _categorical(channel: str, table: Table) -> bool:
    return table[channel].kind == "categorical"


def _codes(name: str, rows: NDArray[np.float64], channel: str, table: Table) -> Codes:
    """(pixel,) class or interval of an indicator."""
    if name == "aspect":
        return aspect_sectors(rows[0], rows[1])
    if len(rows) > 1:
        return np.unique(rows, axis=1, return_inverse=True)[1].reshape(-1).astype(np.intp)
    return rows[0].astype(np.intp) if _categorical(channel, table) else equal_frequency(rows[0])


def _columns(
    rows: NDArray[np.float64],
    codes: Codes,
    slides: NDArray[np.bool_],
    groups: NDArray[np.intp],
    weights: NDArray[np.float64],
    categorical: bool,  # noqa: FBT001
) -> NDArray[np.float64]:
    """(pixel, column) numbers to correlate: categories by the frequency of landslides in them elsewhere."""
    if not categorical:
        return rows.T
    return out_of_fold_log_ratio(codes, slides, groups, weights)[:, None]
