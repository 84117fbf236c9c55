"""How sure a score is: events are the sample, not pixels; within an event, blocks are.

Neighbouring pixels are not independent, so an interval from pixels would be far too narrow. Two
models are compared on the same resampled events or blocks. With a handful of events any bootstrap
is too narrow still (three events can be drawn in ten ways): say how many there were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headscarp.core.learning.metrics import plain
from headscarp.core.types import Attributes

DRAWS = 2000
LEVEL = 0.95
LEVELS = 512
"""Levels of a score per event: AUC from them is within 1/1024 of that from all scores, and far closer as a rule."""

Values: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and where resampling puts it."""

    estimate: float
    low: float
    high: float
    units: int
    """How many events or blocks were resampled."""

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference has one sign throughout."""
        return self.low > 0 or self.high < 0

    def to_json(self) -> Attributes:
        """As plain data, None where there is no number."""
        return plain(asdict(self))


def interval(estimate: float, replicates: ArrayLike, *, units: int, level: float = LEVEL) -> Interval:
    """Percentile interval (Efron 1979, doi:10.1214/aos/1176344552); replicates without a number are left out.

    Raises:
        ValueError: no replicate has a number.
    """
    values = np.asarray(replicates, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        raise ValueError("expected replicates with a number, got none")
    low, high = np.quantile(values, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(float(estimate), float(low), float(high), units)


def resampled_counts(units: int, *, draws: int = DRAWS, seed: int) -> NDArray[np.int64]:
    """(draw, unit) how often each unit is in each draw with replacement; equal arguments draw equally.

    Raises:
        ValueError: there is nothing to resample.
    """
    if units < 1:
        raise ValueError(f"expected at least one unit to resample, got {units}")
    rng = np.random.default_rng([seed, 0xB007])
    return rng.multinomial(units, np.full(units, 1.0 / units), size=draws)


def event_interval(
    values: ArrayLike, *, draws: int = DRAWS, seed: int, level: float = LEVEL, weights: ArrayLike | None = None
) -> Interval:
    """Mean of one score per event, and its event-bootstrap interval.

    Give differences of two models per event for a paired comparison: `event_difference` does.

    Args:
        values: (event,)
        draws: How many resamples.
        seed: Of the resampling.
        level: Of the interval.
        weights: (event,); equal by default.
    """
    found = np.asarray(values, dtype=np.float64)
    weight = np.ones_like(found) if weights is None else np.asarray(weights, dtype=np.float64)
    counts = resampled_counts(found.size, draws=draws, seed=seed) * weight
    return interval(
        float(np.average(found, weights=weight)),
        (counts @ found) / counts.sum(axis=1),
        units=found.size,
        level=level,
    )


def event_difference(
    first: ArrayLike, second: ArrayLike, *, draws: int = DRAWS, seed: int, level: float = LEVEL
) -> Interval:
    """Mean of first minus second over the same events, resampled together.

    Raises:
        ValueError: another number of events in each.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"expected the scores of the same events, got {a.shape} and {b.shape}")
    return event_interval(a - b, draws=draws, seed=seed, level=level)


@dataclass(frozen=True, slots=True)
class BlockCounts:
    """One event's ground and landslides by block and by level of one model's score."""

    score: Values
    """(level,) mean score, ascending."""
    ground: Values
    """(block, level) pixels."""
    slides: Values
    """(block, level) landslide pixels."""

    @property
    def blocks(self) -> int:
        """How many blocks hold known ground."""
        return int(self.ground.shape[0])


@dataclass(frozen=True, slots=True)
class Drawn:
    """The same by resample instead of by block."""

    score: Values
    """(level,)"""
    ground: Values
    """(draw, level)"""
    slides: Values
    """(draw, level)"""


Statistic: TypeAlias = Callable[[Drawn], Values]
"""One number a draw, NaN where it is undefined."""


def count_blocks(
    scores: ArrayLike, slides: ArrayLike, blocks: ArrayLike, known: ArrayLike | None = None, *, levels: int = LEVELS
) -> BlockCounts:
    """Count one event.

    Args:
        scores: (y, x), NaN where there is none.
        slides: (y, x) hard labels or coverage.
        blocks: (y, x) number of the block; negative where there is none.
        known: (y, x); everywhere by default.
        levels: Of the score, each with about as many pixels.

    Raises:
        ValueError: shapes differ, or nothing is known.
    """
    values, labels, number = np.asarray(scores, dtype=np.float64), np.asarray(slides), np.asarray(blocks)
    mask = np.isfinite(values) & (number >= 0)
    mask = mask if known is None else mask & np.asarray(known, dtype=bool)
    if not values.shape == labels.shape == number.shape:
        raise ValueError(f"expected one shape, got {values.shape}, {labels.shape} and {number.shape}")
    if not mask.any():
        raise ValueError("expected known ground in some block, got none")
    values, labels = values[mask], labels[mask].astype(np.float64)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, levels + 1)[1:-1]))
    level = np.searchsorted(edges, values, side="right")
    _, block = np.unique(number[mask], return_inverse=True)
    shape = (int(block.max()) + 1, edges.size + 1)
    ground, area, total = (_table(block, level, weights, shape) for weights in (np.ones(values.size), labels, values))
    used = ground.sum(axis=0) > 0
    mean = total.sum(axis=0)[used] / ground.sum(axis=0)[used]
    return BlockCounts(mean, ground[:, used], area[:, used])


def _table(block: NDArray[np.intp], level: NDArray[np.intp], weights: Values, shape: tuple[int, int]) -> Values:
    sums = np.bincount(block * shape[1] + level, weights, minlength=shape[0] * shape[1])
    return sums.astype(np.float64, copy=False).reshape(shape)


def block_replicates(
    counts: BlockCounts, statistic: Statistic, *, draws: int = DRAWS, seed: int
) -> tuple[float, Values]:
    """A statistic of one event, and of resamples of its blocks; equal seeds and blocks draw alike for every model."""
    times = np.ones((1 + draws, counts.blocks))
    times[1:] = resampled_counts(counts.blocks, draws=draws, seed=seed)
    found = statistic(Drawn(counts.score, times @ counts.ground, times @ counts.slides))
    return float(found[0]), found[1:]


def block_interval(
    events: Sequence[BlockCounts], statistic: Statistic, *, draws: int = DRAWS, seed: int, level: float = LEVEL
) -> Interval:
    """Mean over events of a statistic, blocks resampled within each event and the events kept.

    It says how sure the score is for these events, not for other ones: see `event_interval`.
    """
    return _mean_interval(_replicates(events, statistic, draws, seed), events, level)


def block_difference(
    first: Sequence[BlockCounts],
    second: Sequence[BlockCounts],
    statistic: Statistic,
    *,
    draws: int = DRAWS,
    seed: int,
    level: float = LEVEL,
) -> Interval:
    """Mean over events of first minus second, both on the same resampled blocks.

    Raises:
        ValueError: the two do not have the same blocks.
    """
    if [c.blocks for c in first] != [c.blocks for c in second]:
        raise ValueError(f"expected the same blocks, got {[c.blocks for c in first]} and {[c.blocks for c in second]}")
    pairs = zip(_replicates(first, statistic, draws, seed), _replicates(second, statistic, draws, seed), strict=True)
    return _mean_interval([(a - b, x - y) for (a, x), (b, y) in pairs], first, level)


def _replicates(
    events: Sequence[BlockCounts], statistic: Statistic, draws: int, seed: int
) -> list[tuple[float, Values]]:
    return [block_replicates(c, statistic, draws=draws, seed=seed + k) for k, c in enumerate(events)]


def _mean_interval(found: Sequence[tuple[float, Values]], events: Sequence[BlockCounts], level: float) -> Interval:
    estimate = float(np.mean([value for value, _ in found]))
    replicates = np.mean([values for _, values in found], axis=0)
    return interval(estimate, replicates, units=sum(c.blocks for c in events), level=level)


def auc(drawn: Drawn) -> Values:
    """Area under the receiver operating characteristic."""
    other = drawn.ground - drawn.slides
    below = np.cumsum(other, axis=1) - 0.5 * other
    return _ratio((drawn.slides * below).sum(axis=1), drawn.slides.sum(axis=1) * other.sum(axis=1))


def average_precision(drawn: Drawn) -> Values:
    """Mean of the precision over recall, as a step function."""
    slides = drawn.slides[:, ::-1]
    hits, seen = np.cumsum(slides, axis=1), np.cumsum(drawn.ground[:, ::-1], axis=1)
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    return _ratio((slides * precision).sum(axis=1), slides.sum(axis=1))


def brier(drawn: Drawn) -> Values:
    """Mean squared difference of coverage and hard label, scores rounded to their level's mean."""
    total = drawn.ground @ drawn.score**2 - 2.0 * (drawn.slides @ drawn.score) + drawn.slides.sum(axis=1)
    return _ratio(total, drawn.ground.sum(axis=1))


def area_ratio(drawn: Drawn) -> Values:
    """Predicted over observed landslide area."""
    return _ratio(drawn.ground @ drawn.score, drawn.slides.sum(axis=1))


def _ratio(part: Values, whole: Values) -> Values:
    out = np.full(part.shape, np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out
