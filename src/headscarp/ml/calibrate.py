"""From out-of-fold score maps to the curve that a bundle carries, and how well its coverages are meant.

The curve is pixelwise: what it makes of a score is the share of that pixel expected to be landslide,
so the mean over 8 x 8 px is the areal coverage at 250 m. Every event counts the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from headscarp.core.learning.calibration import Calibration, Fit, aggregate, fit_beta
from headscarp.core.learning.metrics import CoverageScores, coverage_scores
from headscarp.core.learning.tally import Tally, merge, merge_equally, tally
from headscarp.core.types import Raster
from headscarp.errors import InvalidInput
from headscarp.ml.windows import Scene

Level = Literal["mean", "typical"]
ScoredScene = tuple[Raster, Scene]
"""(y, x) scores in 0 to 1 of ground not trained on, NaN where there is none, and the scene they are of."""
FEWEST_EVENTS = 2
LARGEST_SHIFT = 6.0
"""In log-odds, when the level of a curve is put right; an event without any landslide counts as this much less."""


@dataclass(frozen=True, slots=True)
class _Levels:
    """Pixels of several events by level of the score, flat; every event weighs 1 in all."""

    score: NDArray[np.float64]
    coverage: NDArray[np.float64]
    weight: NDArray[np.float64]


def fit_calibration(
    maps: Sequence[ScoredScene],
    fit: Fit = fit_beta,
    *,
    events: Sequence[str] | None = None,
    level: Level = "mean",
) -> Calibration:
    """The pixelwise curve from score to hard label.

    Args:
        maps: Scores of ground that the model was not trained on, and the scenes they are of.
        fit: The curve's family; a beta curve rises wherever it can, and so keeps the ranking.
        events: Event of each map; maps of one event count as one. Each scene is its own by default.
        level: What the curve gets right: the mean share of landslides over the events, or the typical event's,
            whose log-odds lie in the middle of all. Events differ tenfold in their share, for reasons of mapping
            more than of ground, and the mean follows the one with most.

    Raises:
        InvalidInput: there are no maps, scores beyond 0 and 1, no known pixel in one, or no landslide in any.
    """
    tallies = _by_event(maps, events)
    levels = _levels(tallies)
    if not 0.0 < levels.weight @ levels.coverage < levels.weight.sum():
        raise InvalidInput("calibration: expected pixels with landslides and pixels without, found one kind only")
    curve = _reaching(fit(levels.score, levels.coverage, levels.weight), *_extremes(maps))
    apart = [levels] if level == "mean" else [_levels({name: found}) for name, found in tallies.items()]
    return _shifted(curve, float(np.mean([_missing_log_odds(curve, of) for of in apart])))


def cross_fitted(
    maps: Sequence[ScoredScene], fit: Fit = fit_beta, *, events: Sequence[str] | None = None
) -> list[Raster]:
    """Coverage of each map by the curve fitted on all other events: what a calibration is judged by.

    (y, x) as the maps, NaN where they are. Arguments as those of `fit_calibration`.

    Raises:
        InvalidInput: there are fewer than two events, or as `fit_calibration`.
    """
    names = _names(maps, events)
    if len(set(names)) < FEWEST_EVENTS:
        raise InvalidInput(f"calibration: expected two events or more to fit across, found {sorted(set(names))}")
    curves = {}
    for name in set(names):
        others = [(pair, event) for pair, event in zip(maps, names, strict=True) if event != name]
        curves[name] = fit_calibration([pair for pair, _ in others], fit, events=[event for _, event in others])
    return [covered(scores, curves[name]) for (scores, _), name in zip(maps, names, strict=True)]


def covered(scores: Raster, curve: Calibration) -> Raster:
    """(y, x) expected share of each pixel that is landslide; NaN stays NaN."""
    return curve(scores).astype(np.float32)


def reliability_at_250_m(maps: Sequence[ScoredScene], *, events: Sequence[str] | None = None) -> CoverageScores:
    """Predicted beside observed coverage in cells of 8 x 8 px, every event weighing the same.

    Args:
        maps: Coverages, not scores, and the scenes they are of.
        events: As for `fit_calibration`.

    Raises:
        InvalidInput: there is no cell of which half is known.
    """
    tallies: dict[str, list[Tally]] = {}
    for (coverages, scene), name in zip(maps, _names(maps, events), strict=True):
        cells = aggregate(coverages, scene.slides, scene.known)
        if cells.score.size:
            tallies.setdefault(name, []).append(tally(cells.score, cells.coverage * scene.filled))
    if not tallies:
        raise InvalidInput("calibration: expected cells of 250 m of which half is known, found none")
    return coverage_scores(_equally(tallies))


def _names(maps: Sequence[ScoredScene], events: Sequence[str] | None) -> Sequence[str]:
    if not maps:
        raise InvalidInput("calibration: expected score maps, found none")
    if events is not None and len(events) != len(maps):
        raise InvalidInput(f"calibration: expected the event of each of {len(maps)} maps, found {len(events)}")
    return [scene.name for _, scene in maps] if events is None else events


def _by_event(maps: Sequence[ScoredScene], events: Sequence[str] | None) -> dict[str, list[Tally]]:
    """Levels of every map. Raises InvalidInput if a map has none, or scores that are none."""
    found: dict[str, list[Tally]] = {}
    for (scores, scene), name in zip(maps, _names(maps, events), strict=True):
        counted = tally(scores, scene.slides * scene.filled, scene.known, exact=False)
        if not counted.pixels:
            raise InvalidInput(f"calibration: scene {scene.name}: expected known pixels with a score, found none")
        low, high = _extremes([(scores, scene)])
        if low < 0.0 or high > 1.0:
            raise InvalidInput(f"calibration: scene {scene.name}: expected scores in 0 to 1, found {low:g} to {high:g}")
        found.setdefault(name, []).append(counted)
    return found


def _equally(tallies: dict[str, list[Tally]]) -> Tally:
    """One tally in which every event weighs 1."""
    return merge_equally([merge(of_event) for of_event in tallies.values()])


def _levels(tallies: dict[str, list[Tally]]) -> _Levels:
    counted = _equally(tallies)
    return _Levels(counted.score, counted.slides / counted.ground, counted.ground)


def _extremes(maps: Sequence[ScoredScene]) -> tuple[float, float]:
    """Least and largest score on known ground."""
    kept = [scores[scene.known & np.isfinite(scores)] for scores, scene in maps]
    return float(min(k.min() for k in kept)), float(max(k.max() for k in kept))


def _reaching(curve: Calibration, low: float, high: float) -> Calibration:
    """The curve from the least score to the largest: its ends are means of levels, which lie just inside."""
    if len(curve.scores) < 2:
        return curve
    scores = (min(low, curve.scores[0]), *curve.scores[1:-1], max(high, curve.scores[-1]))
    return replace(curve, scores=scores)


def _missing_log_odds(curve: Calibration, levels: _Levels) -> float:
    """By how much a curve must rise until its mean over these levels is the share observed there."""

    def excess(by: float) -> float:
        return float(levels.weight @ (_shifted(curve, by)(levels.score) - levels.coverage))

    if excess(-LARGEST_SHIFT) >= 0.0:
        return -LARGEST_SHIFT
    return LARGEST_SHIFT if excess(LARGEST_SHIFT) <= 0.0 else float(brentq(excess, -LARGEST_SHIFT, LARGEST_SHIFT))


def _shifted(curve: Calibration, by: float) -> Calibration:
    """Every coverage moved in log-odds; 0 and 1 stay."""
    with np.errstate(divide="ignore"):
        odds = logit(np.asarray(curve.coverages))
    return replace(curve, coverages=tuple(np.maximum.accumulate(expit(odds + by)).tolist()))
