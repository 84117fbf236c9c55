"""Ground and landslides counted by level of a score: all that ranking and calibration statistics need.

A tally of one event is small beside its rasters; tallies of several events merge with weights, so
that each event counts the same however large it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headscarp.core.pci.compiled import compiled

EXACT_PIXELS = 1 << 22
"""Up to here every distinct score is a level of its own; beyond, sorting costs more than it tells."""
BITS = 20
"""Of a float32 that choose its level: sign, exponent and 11 of the fraction, so 0.05 % wide."""

Values: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tally:
    """Weights of ground and of landslides at ascending levels of a score."""

    score: Values
    """(level,) mean score of the level."""
    ground: Values
    """(level,) weight of all its pixels."""
    slides: Values
    """(level,) weight of its landslide area: pixels times the share of each that is landslide."""
    score_squares: float
    """Sum over pixels of weight times squared score."""
    slide_scores: float
    """Sum of weight times landslide share times score."""
    slide_squares: float
    """Sum of weight times squared landslide share; equals that of the shares where labels are hard."""
    pixels: int
    """How many pixels were counted, without weights."""
    exact: bool
    """Whether every level holds one score only."""

    @property
    def total(self) -> float:
        """Weight of all ground."""
        return float(self.ground.sum())

    @property
    def slide_total(self) -> float:
        """Weight of all landslide area."""
        return float(self.slides.sum())

    @property
    def predicted_total(self) -> float:
        """Sum of the scores: landslide area, where they are areal coverage."""
        return float(self.score @ self.ground)

    @property
    def other(self) -> Values:
        """(level,) weight of ground without landslides."""
        return self.ground - self.slides

    def scaled(self, weight: float) -> Tally:
        """The tally of the same pixels at `weight` times their weight."""
        return Tally(
            self.score,
            self.ground * weight,
            self.slides * weight,
            self.score_squares * weight,
            self.slide_scores * weight,
            self.slide_squares * weight,
            self.pixels,
            self.exact,
        )

    def threshold(self, share: float) -> float:
        """The score that the top `share` of the ground reaches; levels are not split, so it may hold less."""
        above = np.cumsum(self.ground[::-1])[::-1]
        reached = np.flatnonzero(above <= share * self.total * (1.0 + 1e-12))
        return float(self.score[reached[0]]) if reached.size else float("inf")


def tally(scores: ArrayLike, slides: ArrayLike, known: ArrayLike | None = None, *, exact: bool | None = None) -> Tally:
    """Count one raster, looking only where scores are finite and `known` is True.

    Args:
        scores: of any shape, NaN where there is none.
        slides: same shape; hard labels, or the share of each pixel that is landslide.
        known: same shape; everywhere by default.
        exact: One level per distinct score, which sorts; else one per interval of 0.05 %, which does
            not. By default as `EXACT_PIXELS` says.

    Raises:
        ValueError: shapes differ.
    """
    values, labels = np.asarray(scores), np.asarray(slides)
    mask = np.ones(values.shape, dtype=bool) if known is None else np.asarray(known, dtype=bool)
    if not values.shape == labels.shape == mask.shape:
        raise ValueError(f"expected one shape, got scores {values.shape}, labels {labels.shape}, mask {mask.shape}")
    if exact or (exact is None and values.size <= EXACT_PIXELS):
        mask = mask & np.isfinite(values)
        return _exact(values[mask].astype(np.float64), labels[mask].astype(np.float64))
    return _binned(values.astype(np.float32, copy=False).ravel(), labels.ravel(), mask.ravel())


def merge(tallies: Sequence[Tally], weights: Sequence[float] | None = None) -> Tally:
    """The tally of all pixels together, each at the weight of the tally it came from.

    Raises:
        ValueError: nothing to merge, or another number of weights than tallies.
    """
    if not tallies:
        raise ValueError("expected at least one tally, got none")
    scaled = [t.scaled(w) for t, w in zip(tallies, weights or [1.0] * len(tallies), strict=True)]
    score, place = np.unique(np.concatenate([t.score for t in scaled]), return_inverse=True)
    return Tally(
        score,
        _sums(place, np.concatenate([t.ground for t in scaled]), score.size),
        _sums(place, np.concatenate([t.slides for t in scaled]), score.size),
        sum(t.score_squares for t in scaled),
        sum(t.slide_scores for t in scaled),
        sum(t.slide_squares for t in scaled),
        sum(t.pixels for t in scaled),
        all(t.exact for t in scaled),
    )


def merge_equally(tallies: Sequence[Tally]) -> Tally:
    """The tally of all pixels together, every event weighing 1; events without known ground are left out.

    Raises:
        ValueError: no event has known ground.
    """
    counted = [t for t in tallies if t.total > 0]
    return merge(counted, [1.0 / t.total for t in counted])


def _sums(place: NDArray[np.intp], weights: Values, levels: int) -> Values:
    return np.bincount(place, weights, minlength=levels).astype(np.float64, copy=False)


def _exact(values: Values, labels: Values) -> Tally:
    score, place = np.unique(values, return_inverse=True)
    return Tally(
        score,
        _sums(place, np.ones(values.size), score.size),
        _sums(place, labels, score.size),
        float(values @ values),
        float(values @ labels),
        float(labels @ labels),
        values.size,
        exact=True,
    )


def _binned(values: NDArray[np.float32], labels: NDArray[Any], mask: NDArray[np.bool_]) -> Tally:
    ground, slides, scores = (np.zeros(1 << BITS) for _ in range(3))
    squares = np.zeros(3)
    bits = np.ascontiguousarray(values).view(np.uint32)
    numbers = labels.view(np.uint8) if labels.dtype == np.bool_ else labels
    _count(np.ascontiguousarray(values), bits, numbers, mask, ground, slides, scores, squares)
    used = ground > 0
    return Tally(
        scores[used] / ground[used],
        ground[used],
        slides[used],
        float(squares[0]),
        float(squares[1]),
        float(squares[2]),
        int(ground.sum()),
        exact=False,
    )


@compiled
def _count(
    values: NDArray[np.float32],
    bits: NDArray[np.uint32],
    labels: NDArray[Any],
    mask: NDArray[np.bool_],
    ground: Values,
    slides: Values,
    scores: Values,
    squares: Values,
) -> None:
    """Add every known pixel to the level that the leading bits of its score name."""
    for i in range(values.size):
        if mask[i] and np.isfinite(values[i]):
            # Bits of floats order as the floats do once those of negative ones are inverted.
            key = bits[i] ^ np.uint32(0xFFFFFFFF) if values[i] < 0 else bits[i] | np.uint32(0x80000000)
            level, score, label = key >> np.uint32(32 - BITS), float(values[i]), float(labels[i])
            ground[level] += 1.0
            slides[level] += label
            scores[level] += score
            squares[0] += score * score
            squares[1] += score * label
            squares[2] += label * label
