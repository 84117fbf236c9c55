"""How well scores rank and how well coverages are meant, over all valid pixels at the true prevalence.

Everything is read off a tally, so that one pass over the pixels serves all, events can be weighted,
and ties share their rank. Beside each number stands what it has to be compared with: average
precision with the prevalence, Brier's score with that of the climatology.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from headscarp.core.learning.tally import Tally, Values
from headscarp.core.types import Attributes

RELIABILITY_BINS = 10
AREA_SHARES = (0.01, 0.05, 0.10, 0.20)
"""Shares of the area, highest scores first, at which the success rate is reported."""
TINY = 1e-7
"""Probabilities are kept this far from 0 and 1 before their logarithm is taken."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """What was predicted and what was observed on one part of the ground."""

    predicted: float
    """Mean coverage predicted."""
    observed: float
    """Share of the ground that is landslide."""
    share: float
    """Of all ground, by weight."""

    @property
    def ratio(self) -> float:
        """Observed over predicted; NaN where nothing was predicted."""
        return self.observed / self.predicted if self.predicted > 0 else float("nan")


@dataclass(frozen=True, slots=True)
class RankingScores:
    """How well any score ranks."""

    pixels: int
    prevalence: float
    auc: float
    average_precision: float
    average_precision_skill: float
    """0 for a constant score, 1 for a perfect one: (AP - prevalence) / (1 - prevalence)."""
    success: tuple[tuple[float, float], ...]
    """(share of the area, share of the landslide area in it), highest scores first."""

    def to_json(self) -> Attributes:
        """As plain data, None where there is no number."""
        return plain(asdict(self))


@dataclass(frozen=True, slots=True)
class CoverageScores:
    """How well areal coverages are meant."""

    brier: float
    climatology_brier: float
    """Of the constant coverage that it is compared with."""
    brier_skill: float
    log_loss: float
    calibration_error: float
    """Mean over the bins of |predicted - observed|, weighted by area."""
    area_ratio: float
    """Predicted over observed landslide area."""
    reliability: tuple[ReliabilityBin, ...]

    def to_json(self) -> Attributes:
        """As plain data, None where there is no number."""
        return plain(asdict(self)) | {"reliability": [plain({**asdict(b), "ratio": b.ratio}) for b in self.reliability]}


def ranking_scores(tally: Tally) -> RankingScores:
    """Everything about a score's order.

    Raises:
        ValueError: one of the two classes is absent.
    """
    rate, precision = prevalence(tally), average_precision(tally)
    skill = (precision - rate) / (1.0 - rate)
    success = tuple(zip(AREA_SHARES, map(float, success_rate(tally, AREA_SHARES)), strict=True))
    return RankingScores(tally.pixels, rate, auc(tally), precision, skill, success)


def coverage_scores(tally: Tally, *, climatology: float | None = None) -> CoverageScores:
    """Everything about the values of a coverage.

    Args:
        tally: Of coverages.
        climatology: The constant to be better than; by default the prevalence of this very ground,
            which no forecaster knows and which is therefore the hardest constant to beat.

    Raises:
        ValueError: the tally is empty or holds scores beyond 0 and 1.
    """
    if not tally.score.size or tally.score[0] < 0 or tally.score[-1] > 1:
        raise ValueError(f"expected coverages between 0 and 1, got {_extent(tally.score)}")
    reference = constant_brier(tally, prevalence(tally) if climatology is None else climatology)
    found = brier(tally)
    bins = reliability(tally)
    return CoverageScores(
        brier=found,
        climatology_brier=reference,
        brier_skill=1.0 - found / reference if reference > 0 else float("nan"),
        log_loss=log_loss(tally),
        calibration_error=float(sum(b.share * abs(b.predicted - b.observed) for b in bins)),
        area_ratio=area_ratio(tally),
        reliability=bins,
    )


def auc(tally: Tally) -> float:
    """Area under the receiver operating characteristic: P(a slide outranks a non-slide), ties half.

    Raises:
        ValueError: one class is absent.
    """
    _both_classes(tally)
    below = np.cumsum(tally.other) - 0.5 * tally.other
    return float(tally.slides @ below / (tally.slide_total * tally.other.sum()))


def auc_error(tally: Tally) -> float:
    """Largest error that levels of more than one score can have caused in `auc`; 0 for exact tallies."""
    if tally.exact:
        return 0.0
    return float(0.5 * (tally.slides @ tally.other) / (tally.slide_total * tally.other.sum()))


def average_precision(tally: Tally) -> float:
    """Mean of the precision over recall, as a step function.

    Raises:
        ValueError: one class is absent.
    """
    _both_classes(tally)
    slides, ground = tally.slides[::-1], tally.ground[::-1]
    return float(slides @ (np.cumsum(slides) / np.cumsum(ground)) / tally.slide_total)


def average_precision_error(tally: Tally) -> float:
    """Largest error that levels of more than one score can have caused in `average_precision`; 0 for exact tallies."""
    if tally.exact:
        return 0.0
    slides, ground = tally.slides[::-1], tally.ground[::-1]
    hits, seen = np.cumsum(slides), np.cumsum(ground)
    # All slides of the level first, or all of them last: the reported value lies between the two.
    first = hits / np.maximum(seen - (ground - slides), TINY)
    last = (hits - slides) / np.maximum(seen, TINY)
    return float(slides @ (np.minimum(first, 1.0) - last) / tally.slide_total)


def success_rate(tally: Tally, shares: Sequence[float]) -> Values:
    """Share of the landslide area within the highest-scored `shares` of the ground; ties are cut pro rata.

    Chung and Fabbri (2003), doi:10.1023/B:NHAZ.0000007172.62651.2b.
    """
    area = np.append(0.0, np.cumsum(tally.ground[::-1])) / tally.total
    caught = np.append(0.0, np.cumsum(tally.slides[::-1])) / tally.slide_total
    return np.interp(shares, area, caught)


def prevalence(tally: Tally) -> float:
    """Share of the ground that is landslide; NaN if there is no ground."""
    return tally.slide_total / tally.total if tally.total else float("nan")


def area_ratio(tally: Tally) -> float:
    """Predicted over observed landslide area; NaN where none was observed."""
    return tally.predicted_total / tally.slide_total if tally.slide_total else float("nan")


def brier(tally: Tally) -> float:
    """Mean squared difference of coverage and outcome (Brier 1950); NaN if there is no ground."""
    if not tally.total:
        return float("nan")
    return (tally.score_squares - 2.0 * tally.slide_scores + tally.slide_squares) / tally.total


def constant_brier(tally: Tally, constant: float) -> float:
    """Brier's score of the same coverage everywhere."""
    return constant**2 - 2.0 * constant * prevalence(tally) + tally.slide_squares / tally.total


def log_loss(tally: Tally) -> float:
    """Mean negative logarithm of the probability given to the outcome, in nats."""
    p = np.clip(tally.score, TINY, 1.0 - TINY)
    return float(-(tally.slides @ np.log(p) + tally.other @ np.log1p(-p)) / tally.total)


def reliability(tally: Tally, bins: int = RELIABILITY_BINS) -> tuple[ReliabilityBin, ...]:
    """Predicted beside observed coverage in bins of equal area; equal scores stay together, so there may be fewer."""
    middle = np.cumsum(tally.ground) - 0.5 * tally.ground
    place = np.minimum((middle / tally.total * bins).astype(int), bins - 1)
    ground, slides, predicted = (
        np.bincount(place, values, minlength=bins)
        for values in (tally.ground, tally.slides, tally.ground * tally.score)
    )
    return tuple(
        ReliabilityBin(float(p / g), float(s / g), float(g / tally.total))
        for g, s, p in zip(ground, slides, predicted, strict=True)
        if g > 0
    )


def plain(values: Attributes) -> Attributes:
    """The same with None for what JSON has no number for."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def _both_classes(tally: Tally) -> None:
    if not 0.0 < tally.slide_total < tally.total:
        raise ValueError(f"expected both classes, got {tally.slide_total:g} landslide pixels of {tally.total:g}")


def _extent(values: Values) -> str:
    return f"{values[0]:g} to {values[-1]:g}" if values.size else "none"
