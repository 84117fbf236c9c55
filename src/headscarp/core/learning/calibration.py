"""From scores to areal coverage: monotone curves fitted on cells of 250 m of events not trained on.

A network trained on soft labels estimates their expectation, several times the landslide area; and
a balanced sample shifts any score. A calibration maps the mean score of a cell to the share of it
that is landslide. It is kept as a small table, so that whoever applies it needs interpolation only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, logit

from headscarp.core.types import Attributes, Mask, Raster

CELL_PX = 8
"""Side of a cell in pixels of 30 m: 240 m, the 250 m of the specification."""
KNOWN_SHARE = 0.5
"""Cells of which less is known are not used."""
KNOTS = 129
"""Of parametric curves; their interpolation error is below 1e-3 of the curve's range."""
MOST_KNOTS = 257
TINY = 1e-6
"""Scores are kept this far from 0 and 1 before their log-odds are taken."""

Values: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A non-decreasing curve from score to coverage, straight between knots and level beyond them."""

    method: str
    scores: tuple[float, ...]
    """Ascending."""
    coverages: tuple[float, ...]
    """Within 0 and 1, not descending."""

    def __post_init__(self) -> None:
        """Refuse what is no such curve."""
        x, y = np.asarray(self.scores), np.asarray(self.coverages)
        if not (x.size == y.size >= 1 and np.isfinite(x).all() and np.isfinite(y).all()):
            raise ValueError(f"calibration: expected as many finite scores as coverages, got {x.size} and {y.size}")
        if np.any(np.diff(x) <= 0) or np.any(np.diff(y) < 0) or y[0] < 0 or y[-1] > 1:
            raise ValueError("calibration: expected ascending scores, and coverages in 0 to 1 that do not descend")

    def __call__(self, scores: ArrayLike) -> Values:
        """Coverage of scores of any shape; NaN stays NaN."""
        return np.interp(np.asarray(scores, dtype=np.float64), self.scores, self.coverages)

    def to_json(self) -> Attributes:
        """As plain data."""
        return {"method": self.method, "scores": list(self.scores), "coverages": list(self.coverages)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Calibration:
        """Read what `to_json` wrote.

        Raises:
            ValueError: a key is absent, or this is no non-decreasing curve.
        """
        if absent := {"method", "scores", "coverages"} - set(found):
            raise ValueError(
                f"calibration: expected method, scores and coverages, found no {', '.join(sorted(absent))}"
            )
        return cls(str(found["method"]), tuple(map(float, found["scores"])), tuple(map(float, found["coverages"])))


Fit: TypeAlias = Callable[[Values, Values, Values], Calibration]
"""(scores, coverages, weights), all (cell,), to a curve."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of one event or of several, flat."""

    score: Values
    """(cell,) mean score."""
    coverage: Values
    """(cell,) share that is landslide."""
    pixels: Values
    """(cell,) known pixels."""


def cell_means(scores: Raster, known: Mask | None = None, *, cell_px: int = CELL_PX) -> tuple[Values, Values]:
    """Mean score of each cell, NaN where less than half of it is known, and how many pixels are.

    Rows and columns that fill no cell are left out.

    Args:
        scores: (y, x), NaN where there is none.
        known: (y, x); everywhere by default.
        cell_px: Side of a cell.

    Returns:
        Two arrays (cell row, cell column).
    """
    mask = np.isfinite(scores) if known is None else np.isfinite(scores) & known
    pixels = _cell_sums(mask, cell_px)
    out = np.full(pixels.shape, np.nan)
    np.divide(_cell_sums(np.where(mask, scores, 0.0), cell_px), pixels, out=out, where=_used(pixels, cell_px))
    return out, pixels


def aggregate(scores: Raster, slides: Mask, known: Mask | None = None, *, cell_px: int = CELL_PX) -> Cells:
    """Scores beside coverages, by cell, where half of a cell or more is known.

    Args:
        scores: (y, x), NaN where there is none.
        slides: (y, x) hard labels.
        known: (y, x); everywhere by default.
        cell_px: Side of a cell.

    Raises:
        ValueError: shapes differ.
    """
    mask = np.isfinite(scores) if known is None else np.isfinite(scores) & known
    if not scores.shape == slides.shape == mask.shape:
        raise ValueError(f"expected one shape, got {scores.shape}, {slides.shape} and {mask.shape}")
    mean, pixels = cell_means(scores, mask, cell_px=cell_px)
    used = _used(pixels, cell_px)
    return Cells(mean[used], _cell_sums(mask & slides, cell_px)[used] / pixels[used], pixels[used])


def _used(pixels: Values, cell_px: int) -> Mask:
    return np.asarray(pixels >= KNOWN_SHARE * cell_px**2)


def _cell_sums(values: NDArray[Any], side: int) -> Values:
    """(cell row, cell column) sums over whole cells."""
    rows, columns = values.shape[0] // side, values.shape[1] // side
    whole = values[: rows * side, : columns * side].astype(np.float64)
    return np.asarray(whole.reshape(rows, side, columns, side).sum(axis=(1, 3)))


def fit_isotonic(scores: Values, coverages: Values, weights: Values) -> Calibration:
    """The non-decreasing curve of least squares (pool adjacent violators), thinned to 257 knots at most.

    It bends as the data ask, so it needs many cells; it is level beyond the scores it saw.
    """
    x, place = np.unique(scores, return_inverse=True)
    total = np.bincount(place, weights)
    mean = np.bincount(place, weights * coverages) / total
    fitted = isotonic_regression(mean, weights=total)
    y, starts = np.clip(fitted.x, 0.0, 1.0), fitted.blocks
    # A pool is a level stretch: its two ends are all the knots it needs.
    corners = np.unique(np.concatenate([starts[:-1], starts[1:] - 1]))
    if corners.size > MOST_KNOTS:
        corners = corners[np.unique(np.round(np.linspace(0, corners.size - 1, MOST_KNOTS)).astype(int))]
    return Calibration("isotonic", tuple(x[corners].tolist()), tuple(y[corners].tolist()))


def fit_logistic(scores: Values, coverages: Values, weights: Values) -> Calibration:
    """logit(coverage) = a logit(score) + b with a >= 0 (Platt 1999): shifts the base rate and stretches."""
    odds = _log_odds(scores)
    return _parametric("logistic", np.stack([odds, np.ones_like(odds)], axis=1), scores, coverages, weights)


def fit_beta(scores: Values, coverages: Values, weights: Values) -> Calibration:
    """logit(coverage) = a ln(score) - b ln(1 - score) + c, a and b >= 0 (Kull et al. 2017, doi:10.1214/17-EJS1338SI).

    Unlike the logistic curve it can bend one end of the scores more than the other.
    """
    return _parametric("beta", _beta_design(scores), scores, coverages, weights)


def _parametric(method: str, design: Values, scores: Values, coverages: Values, weights: Values) -> Calibration:
    """Fit by cross-entropy against areal coverage and tabulate over the scores seen."""
    coefficients = _cross_entropy_fit(design, coverages, weights)
    low, high = np.clip([scores.min(), scores.max()], TINY, 1.0 - TINY)
    # Knots even in log-odds: coverage is small and its logarithm matters.
    knots = np.unique(expit(np.linspace(logit(low), logit(high), KNOTS)))
    at_knots = _beta_design(knots) if method == "beta" else np.stack([_log_odds(knots), np.ones_like(knots)], axis=1)
    curve = np.maximum.accumulate(expit(at_knots @ coefficients))
    return Calibration(method, tuple(knots.tolist()), tuple(curve.tolist()))


def _cross_entropy_fit(design: Values, coverages: Values, weights: Values) -> Values:
    """Coefficients of least weighted cross-entropy, all but the last not negative."""
    weight = weights / weights.sum()

    def loss(coefficients: Values) -> tuple[float, Values]:
        odds = design @ coefficients
        value = weight @ (np.logaddexp(0.0, odds) - coverages * odds)
        return float(value), design.T @ (weight * (expit(odds) - coverages))

    start = np.zeros(design.shape[1])
    start[-1] = logit(np.clip(weight @ coverages, TINY, 1.0 - TINY))
    bounds = [(0.0, None)] * (design.shape[1] - 1) + [(None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500, "gtol": 1e-9})
    return np.asarray(found.x)


def _beta_design(scores: Values) -> Values:
    p = np.clip(scores, TINY, 1.0 - TINY)
    return np.stack([np.log(p), -np.log1p(-p), np.ones_like(p)], axis=1)


def _log_odds(scores: Values) -> Values:
    return np.asarray(logit(np.clip(scores, TINY, 1.0 - TINY)))


def shift_base_rate(probabilities: ArrayLike, *, trained_at: float, true_rate: float) -> Values:
    """What probabilities of a model trained at one base rate are at another.

    Saerens et al. (2002), doi:10.1162/089976602753284446.

    Raises:
        ValueError: a rate is not strictly between 0 and 1.
    """
    if not (0.0 < trained_at < 1.0 and 0.0 < true_rate < 1.0):
        raise ValueError(f"expected rates between 0 and 1, got {trained_at} and {true_rate}")
    return np.asarray(expit(logit(np.asarray(probabilities, np.float64)) + logit(true_rate) - logit(trained_at)))


def cross_fitted(scores: Values, coverages: Values, groups: ArrayLike, weights: Values, fit: Fit) -> Values:
    """(cell,) coverage of each cell from the curve fitted on all groups but its own.

    Judge a calibration by these; release the curve fitted on all groups.

    Args:
        scores: (cell,)
        coverages: (cell,)
        groups: (cell,) event, or cluster of events.
        weights: (cell,)
        fit: The curve's family.

    Raises:
        ValueError: there are fewer than two groups.
    """
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    if names.size < 2:
        raise ValueError(f"expected two groups or more to fit across, got {names.size}")
    out = np.empty(scores.size)
    for number in range(names.size):
        own = group == number
        out[own] = fit(scores[~own], coverages[~own], weights[~own])(scores[own])
    return out


def equal_event_pixels(pixels: Values, groups: ArrayLike) -> Values:
    """(cell,) weights in proportion to known pixels with which every event counts the same."""
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    return np.asarray(pixels / np.bincount(group, pixels)[group])


def conformal_factor(predicted: ArrayLike, observed: ArrayLike, *, level: float = 0.9) -> float:
    """The factor f such that the observed area of a new event lies in [predicted / f, predicted * f] at this level.

    Split conformal prediction on |ln(observed / predicted)| of events not trained on (Vovk et al.
    2005, doi:10.1007/b106715). It holds if a new event is drawn as those were; infinite where there
    are too few events for the level (fewer than nine for 0.9).

    Args:
        predicted: (event,) landslide area, positive.
        observed: (event,) landslide area, positive.
        level: Share of events that shall lie within.
    """
    ratios = np.sort(np.abs(np.log(np.asarray(observed, np.float64) / np.asarray(predicted, np.float64))))
    rank = int(np.ceil(level * (ratios.size + 1)))
    return float(np.exp(ratios[rank - 1])) if rank <= ratios.size else float("inf")
