"""How much control indicators say the same: variance inflation and correlation, for vectors too.

Aspect is an indicator of two columns, east and north, that only mean something together: its
variance inflation is the generalised one and its correlation the canonical one, neither of which
depends on where north is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

NULL_EIGENVALUE = 1e-10
"""Eigenvalues of a correlation matrix below this are zero: the columns are linearly dependent."""
NULL_LOADING = 1e-6
"""Share of a column in the dependent directions from which it takes part in the dependence."""

Values: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Indicator:
    """One control indicator at the sampled pixels, numeric: categories as logarithms of their frequency ratio."""

    name: str
    columns: Values
    """(sample, degree of freedom), finite."""

    def __post_init__(self) -> None:
        """Refuse what cannot be correlated."""
        if self.columns.ndim != 2 or not np.isfinite(self.columns).all():
            raise ValueError(f"indicator {self.name}: expected finite columns (sample, df), got {self.columns.shape}")

    @property
    def freedom(self) -> int:
        """Number of columns."""
        return int(self.columns.shape[1])

    @property
    def constant(self) -> bool:
        """Whether some column does not vary, so that nothing correlates with it."""
        return bool(np.any(np.ptp(self.columns, axis=0) == 0))


@dataclass(frozen=True, slots=True)
class Correlations:
    """Correlation matrix of the columns of several indicators."""

    names: tuple[str, ...]
    matrix: Values
    """(column, column)"""
    place: tuple[slice, ...]
    """Columns of each indicator."""

    def without(self, name: str) -> Correlations:
        """The same with one indicator left out."""
        kept = [k for k, other in enumerate(self.names) if other != name]
        columns = np.concatenate([np.arange(len(self.matrix))[self.place[k]] for k in kept] or [np.array([], int)])
        sizes = [self.place[k].stop - self.place[k].start for k in kept]
        return Correlations(tuple(self.names[k] for k in kept), self.matrix[np.ix_(columns, columns)], _slices(sizes))

    @property
    def singular(self) -> bool:
        """Whether some columns are linear combinations of others."""
        return bool(np.linalg.eigvalsh(self.matrix)[0] < NULL_EIGENVALUE)

    def inflation(self) -> dict[str, float]:
        """Variance inflation of each indicator; infinite where others determine it.

        Of one column, 1 / (1 - R2); of several, the generalised factor to the power 1 / df, so that
        all compare with one limit (Fox and Monette 1992, doi:10.1080/01621459.1992.10475190).

        A singular matrix is inverted on the space it spans. A column that lies in that space
        gets the factor it would have without redundant others; any other is infinite. (A plain
        pseudo-inverse would give two identical columns the factor 1/4 and prune neither.)
        """
        eigenvalues, vectors = np.linalg.eigh(self.matrix)
        null = eigenvalues < NULL_EIGENVALUE
        inverse = (vectors[:, ~null] / eigenvalues[~null]) @ vectors[:, ~null].T
        dependent = (vectors[:, null] ** 2).sum(axis=1) > NULL_LOADING
        return {
            name: float("inf") if dependent[here].any() else self._factor(inverse, here)
            for name, here in zip(self.names, self.place, strict=True)
        }

    def _factor(self, inverse: Values, here: slice) -> float:
        # det(R) = det(R of the others) / det(this block of the inverse)
        generalised = np.linalg.det(self.matrix[here, here]) * np.linalg.det(inverse[here, here])
        return float(generalised ** (1.0 / (here.stop - here.start)))

    def between(self, first: int, second: int) -> float:
        """Correlation of two indicators by number: Pearson's; the first canonical one, unsigned, for vectors.

        Hotelling (1936), doi:10.1093/biomet/28.3-4.321.
        """
        a, b = self.place[first], self.place[second]
        if a.stop - a.start == 1 and b.stop - b.start == 1:
            return float(self.matrix[a.start, b.start])
        white = _inverse_root(self.matrix[a, a]) @ self.matrix[a, b] @ _inverse_root(self.matrix[b, b])
        return float(np.linalg.svd(white, compute_uv=False)[0])

    def strongest(self) -> tuple[str, str, float] | None:
        """The two indicators with the largest |r|, the first in order of several; None if there are not two."""
        pairs = [
            (abs(round(self.between(i, j), 12)), -i, -j)
            for i in range(len(self.names))
            for j in range(i + 1, len(self.names))
        ]
        if not pairs:
            return None
        _, i, j = max(pairs)
        return self.names[-i], self.names[-j], self.between(-i, -j)


def correlations(indicators: Sequence[Indicator], weights: Values | None = None) -> Correlations:
    """Correlate the columns of all indicators, pixels weighted.

    Raises:
        ValueError: none are given, samples differ in size, or an indicator is constant.
    """
    if not indicators or len({i.columns.shape[0] for i in indicators}) != 1:
        raise ValueError(f"expected indicators of one sample, got {[(i.name, i.columns.shape) for i in indicators]}")
    if constant := [i.name for i in indicators if i.constant]:
        raise ValueError(f"expected indicators that vary, these do not: {', '.join(constant)}")
    columns = np.concatenate([i.columns for i in indicators], axis=1)
    covariance = np.atleast_2d(np.cov(columns, rowvar=False, aweights=weights))
    deviation = np.sqrt(np.diag(covariance))
    return Correlations(
        tuple(i.name for i in indicators),
        covariance / np.outer(deviation, deviation),
        _slices([i.freedom for i in indicators]),
    )


def _slices(sizes: Sequence[int]) -> tuple[slice, ...]:
    ends = np.cumsum([0, *sizes]).tolist()
    return tuple(slice(a, b) for a, b in pairwise(ends))


def _inverse_root(matrix: Values) -> Values:
    """Inverse square root of a correlation matrix, zero in its null directions."""
    eigenvalues, vectors = np.linalg.eigh(matrix)
    used = eigenvalues > NULL_EIGENVALUE
    return np.asarray((vectors[:, used] / np.sqrt(eigenvalues[used])) @ vectors[:, used].T)
