"""Columns as scikit-learn's estimators can take them: without gaps, or in a few steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from headscarp.ml.pixels import Examples, PixelFeatures, Sample

STEPS: Final = 250
"""Into which boosted trees see a column cut; their limit is 255."""


class Classifier(Protocol):
    """What scikit-learn's estimators have in common once they are fitted."""

    def predict_proba(self, X: Examples, /) -> NDArray[np.floating]:
        """(pixel, class) probabilities that sum to 1."""


def fitted_on_columns(features: PixelFeatures, estimator: Any, sample: Sample) -> Classifier:
    """An estimator behind the columns it can take, both fitted."""
    from sklearn.feature_selection import VarianceThreshold
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    # A column that never varied taught nothing; without it an event where it does gets no random answer.
    steps = [("columns", complete_columns(features)), ("varying", VarianceThreshold()), ("scale", StandardScaler())]
    weights = {"scale__sample_weight": sample.weight, "model__sample_weight": sample.weight}
    whole: Classifier = Pipeline([*steps, ("model", estimator)]).fit(sample.examples, sample.slides, **weights)
    return whole


def complete_columns(features: PixelFeatures) -> Any:
    """Columns without NaN: missing ranks are the median's, and missing values the examples' median, all marked.

    Each class is a column, the unknown one too where there were examples of it.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder

    ends = np.cumsum([len(features.ranked), len(features.names) - len(features.ranked) - len(features.codes)])
    ranks, values, codes = (part.tolist() for part in np.split(np.arange(len(features.names)), ends))
    marked: dict[str, Any] = {"add_indicator": True, "keep_empty_features": True}
    return ColumnTransformer(
        [
            ("ranks", SimpleImputer(strategy="constant", fill_value=0.0, **marked), ranks),
            ("values", SimpleImputer(strategy="median", **marked), values),
            ("codes", OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32), codes),
        ]
    )


@dataclass(frozen=True, slots=True)
class Steps:
    """Cuts columns at quantiles of the examples; classes stay, NaN stays, columns without any value go.

    Trees on histograms would do so themselves, but take a second a column where examples have weights,
    and stop at a column without values.
    """

    kept: NDArray[np.intp]
    """Columns that had a value."""
    edges: tuple[NDArray[np.float32] | None, ...]
    """Of each kept column, ascending; None for classes."""

    @classmethod
    def of(cls, examples: Examples, is_code: NDArray[np.bool_]) -> Steps:
        """Of the examples (pixel, column); `is_code` (column,)."""
        kept = np.flatnonzero(np.isfinite(examples).any(axis=0))
        return cls(kept, tuple(None if is_code[column] else _edges(examples[:, column]) for column in kept))

    def __call__(self, examples: Examples) -> Examples:
        """(pixel, column) to (pixel, kept column)."""
        columns = [_stepped(examples[:, at], edges) for at, edges in zip(self.kept, self.edges, strict=True)]
        return np.stack(columns, axis=1)


def _edges(column: NDArray[np.float32]) -> NDArray[np.float32]:
    found = np.quantile(column[np.isfinite(column)], np.linspace(0.0, 1.0, STEPS + 1)[1:-1])
    return np.unique(found.astype(np.float32))


def _stepped(column: NDArray[np.float32], edges: NDArray[np.float32] | None) -> NDArray[np.float32]:
    if edges is None:
        return column
    return np.where(np.isnan(column), np.float32(np.nan), np.searchsorted(edges, column)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class InSteps:
    """A classifier that sees columns cut."""

    steps: Steps
    classifier: Classifier

    def predict_proba(self, examples: Examples, /) -> NDArray[np.floating]:
        """(pixel, class) probabilities of whole examples."""
        return self.classifier.predict_proba(self.steps(examples))
