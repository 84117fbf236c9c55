"""How well scores rank and how well probabilities are meant; exact, on masked rasters.

Every function takes scores and hard labels of any one shape and looks only where both are known:
scores finite and `known` True. Ties share their rank.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]


def select(scores: ArrayLike, slides: ArrayLike, known: ArrayLike | None = None) -> tuple[Values, NDArray[np.bool_]]:
    """Scores and hard labels of the pixels that count, flat.

    Raises:
        ValueError: shapes differ.
    """
    values, labels = np.asarray(scores, dtype=np.float64), np.asarray(slides, dtype=bool)
    mask = np.isfinite(values) if known is None else np.isfinite(values) & np.asarray(known, dtype=bool)
    if not values.shape == labels.shape == mask.shape:
        raise ValueError(f"expected one shape, got scores {values.shape}, labels {labels.shape}, mask {mask.shape}")
    return values[mask], labels[mask]


def _thresholds(values: Values, labels: NDArray[np.bool_]) -> tuple[Values, Values]:
    """Cumulative true and false positives at each distinct score, from the highest down.

    Raises:
        ValueError: one of the two classes is absent, so that nothing can be ranked.
    """
    if labels.all() or not labels.any():
        raise ValueError(f"expected both classes, got {int(labels.sum())} landslide pixels of {labels.size}")
    order = np.argsort(-values, kind="stable")
    ranked, hits = values[order], labels[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), ranked.size - 1)
    true = np.cumsum(hits)[last].astype(np.float64)
    return true, last + 1.0 - true


def auc(scores: ArrayLike, slides: ArrayLike, known: ArrayLike | None = None) -> float:
    """Area under the receiver operating characteristic: P(a slide outranks a non-slide), ties half.

    Raises:
        ValueError: shapes differ, or one class is absent.
    """
    true, false = _thresholds(*select(scores, slides, known))
    return float(np.trapezoid(np.append(0.0, true), np.append(0.0, false)) / (true[-1] * false[-1]))


def average_precision(scores: ArrayLike, slides: ArrayLike, known: ArrayLike | None = None) -> float:
    """Mean of the precision over recall, as a step function; compare it with the prevalence.

    Raises:
        ValueError: shapes differ, or one class is absent.
    """
    true, false = _thresholds(*select(scores, slides, known))
    gained = np.diff(true, prepend=0.0) / true[-1]
    return float(np.sum(gained * true / (true + false)))


def brier(probabilities: ArrayLike, slides: ArrayLike, known: ArrayLike | None = None) -> float:
    """Mean squared difference of probability and outcome (Brier 1950); NaN if no pixel counts."""
    values, labels = select(probabilities, slides, known)
    return float(np.mean((values - labels) ** 2)) if values.size else float("nan")


def area_ratio(probabilities: ArrayLike, slides: ArrayLike, known: ArrayLike | None = None) -> float:
    """Predicted over observed landslide area; NaN where none was observed."""
    values, labels = select(probabilities, slides, known)
    return float(values.sum() / labels.sum()) if labels.any() else float("nan")


def prevalence(scores: ArrayLike, slides: ArrayLike, known: ArrayLike | None = None) -> float:
    """Share of landslide pixels among those that count; NaN if none does."""
    _, labels = select(scores, slides, known)
    return float(labels.mean()) if labels.size else float("nan")
