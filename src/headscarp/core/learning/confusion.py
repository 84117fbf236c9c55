"""Two-by-two tables and the protocol of the paper, which judges on a balanced sample.

doi:10.1093/nsr/nwaf179, Methods. With as many negatives as positives Kappa is 2 ACC - 1 and
precision says nothing about a map, where landslides are rare; `metrics` has the honest profile.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from headscarp.core.learning import metrics
from headscarp.core.learning.metrics import plain
from headscarp.core.learning.sampling import paper_sample
from headscarp.core.learning.tally import tally
from headscarp.core.types import Attributes

PAPER_THRESHOLD = 0.5
"""Not stated in the paper: the middle of the regression's range."""


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """Counts of a yes-or-no prediction; ratios without a denominator are NaN."""

    true_positives: float
    false_positives: float
    false_negatives: float
    true_negatives: float

    @classmethod
    def of(cls, scores: ArrayLike, slides: ArrayLike, threshold: float) -> ConfusionMatrix:
        """Count flat scores, positive from `threshold` up, against hard labels."""
        yes, label = np.asarray(scores) >= threshold, np.asarray(slides, dtype=bool)
        counts = (yes & label, yes & ~label, ~yes & label, ~yes & ~label)
        return cls(*(float(np.count_nonzero(c)) for c in counts))

    @property
    def total(self) -> float:
        """All that was counted."""
        return self.true_positives + self.false_positives + self.false_negatives + self.true_negatives

    @property
    def accuracy(self) -> float:
        """Share predicted rightly: ACC."""
        return _ratio(self.true_positives + self.true_negatives, self.total)

    @property
    def precision(self) -> float:
        """Share of landslides among what was predicted as such."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of the landslides that were predicted."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return _ratio(
            2.0 * self.true_positives, 2.0 * self.true_positives + self.false_positives + self.false_negatives
        )

    @property
    def kappa(self) -> float:
        """Agreement beyond that of chance (Cohen 1960, doi:10.1177/001316446002000104)."""
        said, is_so = self.true_positives + self.false_positives, self.true_positives + self.false_negatives
        chance = _ratio(said * is_so + (self.total - said) * (self.total - is_so), self.total**2)
        return _ratio(self.accuracy - chance, 1.0 - chance)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


@dataclass(frozen=True, slots=True)
class PaperScores:
    """The paper's numbers on its own terms."""

    positives: int
    negatives: int
    threshold: float
    auc: float
    accuracy: float
    precision: float
    recall: float
    f1: float
    kappa: float

    def to_json(self) -> Attributes:
        """As plain data, None where there is no number."""
        return plain(asdict(self))


def paper_scores(
    scores: ArrayLike,
    coverage: ArrayLike,
    pga: ArrayLike,
    known: ArrayLike | None = None,
    *,
    seed: int,
    threshold: float = PAPER_THRESHOLD,
) -> PaperScores:
    """Score one event as the paper does, on the pixels that `sampling.paper_sample` draws.

    Args:
        scores: (y, x), NaN where there is none: such pixels are not drawn.
        coverage: (y, x) share of each pixel that landslides cover.
        pga: (y, x), g.
        known: (y, x) where landslides were mapped; everywhere by default.
        seed: Of the draw.
        threshold: From which score a pixel counts as predicted.

    Raises:
        ValueError: shapes differ, or one class has no pixel to draw.
    """
    values = np.asarray(scores, dtype=np.float64)
    mask = np.isfinite(values) if known is None else np.isfinite(values) & np.asarray(known, dtype=bool)
    positives, negatives = paper_sample(coverage, pga, mask, seed=seed)
    drawn = np.concatenate([positives, negatives])
    labels = np.arange(drawn.size) < positives.size
    chosen = values.ravel()[drawn]
    table = ConfusionMatrix.of(chosen, labels, threshold)
    return PaperScores(
        positives=positives.size,
        negatives=negatives.size,
        threshold=threshold,
        auc=metrics.auc(tally(chosen, labels)),
        accuracy=table.accuracy,
        precision=table.precision,
        recall=table.recall,
        f1=table.f1,
        kappa=table.kappa,
    )
