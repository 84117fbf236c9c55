"""The most used statistics straight from masked rasters.

Every function takes scores and hard labels of any one shape and looks only where both are known:
scores finite and `known` True. Ties share their rank. `tally` and `metrics` have the rest.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from headscarp.core.learning import metrics
from headscarp.core.learning.tally import tally


def auc(scores: ArrayLike, slides: ArrayLike, known: ArrayLike | None = None) -> float:
    """Area under the receiver operating characteristic: P(a slide outranks a non-slide), ties half.

    Raises:
        ValueError: shapes differ, or one class is absent.
    """
    return metrics.auc(tally(scores, slides, known))


def average_precision(scores: ArrayLike, slides: ArrayLike, known: ArrayLike | None = None) -> float:
    """Mean of the precision over recall, as a step function; compare it with the prevalence.

    Raises:
        ValueError: shapes differ, or one class is absent.
    """
    return metrics.average_precision(tally(scores, slides, known))


def brier(probabilities: ArrayLike, slides: ArrayLike, known: ArrayLike | None = None) -> float:
    """Mean squared difference of probability and outcome (Brier 1950); NaN if no pixel counts.

    Raises:
        ValueError: shapes differ.
    """
    return metrics.brier(tally(probabilities, slides, known))


def area_ratio(probabilities: ArrayLike, slides: ArrayLike, known: ArrayLike | None = None) -> float:
    """Predicted over observed landslide area; NaN where none was observed.

    Raises:
        ValueError: shapes differ.
    """
    return metrics.area_ratio(tally(probabilities, slides, known))


def prevalence(scores: ArrayLike, slides: ArrayLike, known: ArrayLike | None = None) -> float:
    """Share of landslide pixels among those that count; NaN if none does.

    Raises:
        ValueError: shapes differ.
    """
    return metrics.prevalence(tally(scores, slides, known))
