"""Ranking and probability statistics against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from headscarp.core.learning import statistics


def sample(seed: int, ties: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores with ties and nodata, hard labels of both classes, and a mask."""
    rng = np.random.default_rng(seed)
    scores = np.round(rng.random((13, 17)) * ties) / ties
    slides = rng.random(scores.shape) < 0.05 + 0.4 * scores
    slides[0, :2] = True, False
    known = rng.random(scores.shape) < 0.9
    known[0, :2] = True
    scores[5, 5:9] = np.nan
    return scores, slides, known


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), ties=st.sampled_from([1, 3, 20, 10**6]))
def test_equal_scikit_learn(seed: int, ties: int) -> None:
    scores, slides, known = sample(seed, ties)
    counted = known & np.isfinite(scores)
    s, y = scores[counted], slides[counted]
    assert statistics.auc(scores, slides, known) == pytest.approx(roc_auc_score(y, s), abs=1e-12)
    assert statistics.average_precision(scores, slides, known) == pytest.approx(
        average_precision_score(y, s), abs=1e-12
    )
    assert statistics.brier(scores, slides, known) == pytest.approx(brier_score_loss(y, s), abs=1e-12)
    assert statistics.prevalence(scores, slides, known) == pytest.approx(y.mean())
    assert statistics.area_ratio(scores, slides, known) == pytest.approx(s.sum() / y.sum())


def test_four_pixels_by_hand() -> None:
    scores, slides = [0.9, 0.8, 0.7, 0.6], [True, False, True, False]
    assert statistics.auc(scores, slides) == pytest.approx(0.75)
    assert statistics.average_precision(scores, slides) == pytest.approx((1.0 + 2.0 / 3.0) / 2.0)
    assert statistics.area_ratio(scores, slides) == pytest.approx(1.5)


def test_a_constant_score_says_nothing() -> None:
    slides = np.arange(100) < 10
    assert statistics.auc(np.full(100, 0.3), slides) == pytest.approx(0.5)
    assert statistics.average_precision(np.full(100, 0.3), slides) == pytest.approx(0.1)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_ranking_does_not_see_monotone_transforms(seed: int) -> None:
    scores, slides, known = sample(seed, 50)
    stretched = np.exp(3.0 * scores) - 7.0
    assert statistics.auc(stretched, slides, known) == pytest.approx(statistics.auc(scores, slides, known))


@pytest.mark.parametrize("slides", [np.zeros(5, bool), np.ones(5, bool)])
def test_refuse_to_rank_one_class(slides: np.ndarray) -> None:
    with pytest.raises(ValueError, match="both classes"):
        statistics.auc(np.arange(5.0), slides)


def test_nothing_known_is_not_a_number_rather_than_zero() -> None:
    nothing = np.zeros(4, bool)
    assert np.isnan(statistics.brier(np.ones(4), nothing, nothing))
    assert np.isnan(statistics.area_ratio(np.ones(4), nothing))
    assert np.isnan(statistics.prevalence(np.ones(4), nothing, nothing))


def test_refuse_differing_shapes() -> None:
    with pytest.raises(ValueError, match="one shape"):
        statistics.auc(np.ones(4), np.ones(5, bool))
