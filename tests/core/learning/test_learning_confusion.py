"""Two-by-two tables, the paper's protocol on counted cases, and landslides found by size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from headscarp.core.learning.bodies import bodies_of, hit_rates
from headscarp.core.learning.confusion import ConfusionMatrix, paper_scores

seeds = st.integers(0, 2**32 - 1)


def sample(seed: int, ties: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores that know something, and labels of both classes."""
    rng = np.random.default_rng(seed)
    scores = np.round(rng.beta(1, 4, 400) * ties) / ties
    slides = rng.random(400) < np.clip(2 * scores, 0, 1)
    slides[:2] = True, False
    return scores, slides


@settings(max_examples=40, deadline=None)
@given(seed=seeds, ties=st.sampled_from([3, 30, 10**6]))
def test_the_confusion_matrix_equals_scikit_learn(seed: int, ties: int) -> None:
    scores, slides = sample(seed, ties)
    table, said = ConfusionMatrix.of(scores, slides, 0.3), scores >= 0.3
    assert table.accuracy == pytest.approx(oracle.accuracy_score(slides, said))
    assert table.recall == pytest.approx(oracle.recall_score(slides, said))
    assert table.f1 == pytest.approx(oracle.f1_score(slides, said))
    assert table.kappa == pytest.approx(oracle.cohen_kappa_score(slides, said), abs=1e-12)
    if said.any():
        assert table.precision == pytest.approx(oracle.precision_score(slides, said))


def test_a_confusion_matrix_by_hand() -> None:
    # 40 hits, 10 misses, 20 false alarms, 30 rightly left alone
    table = ConfusionMatrix(40, 20, 10, 30)
    assert table.accuracy == pytest.approx(0.70)
    assert table.precision == pytest.approx(2 / 3)
    assert table.recall == pytest.approx(0.80)
    assert table.f1 == pytest.approx(8 / 11)
    # chance agrees on (60 * 50 + 40 * 50) / 100^2 = 0.5
    assert table.kappa == pytest.approx(0.40)


def test_ratios_without_a_denominator_are_not_numbers() -> None:
    table = ConfusionMatrix.of([0.1, 0.2], [False, False], 0.5)
    assert np.isnan(table.precision)
    assert np.isnan(table.recall)
    assert np.isnan(table.kappa)
    assert table.accuracy == 1.0


def paper_case() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Four wholly covered pixels, two partly covered, four eligible negatives, the rest weakly shaken."""
    coverage = np.zeros((4, 4))
    coverage[0] = 1.0
    coverage[1, :2] = 0.5
    pga = np.full((4, 4), 0.3)
    pga[3] = 0.12  # not beyond 0.12 g
    pga[1, 2:] = 0.05
    scores = np.full((4, 4), np.nan)
    scores[0] = 0.9, 0.8, 0.6, 0.2
    scores[1] = 0.99, 0.99, 0.99, 0.99
    scores[2] = 0.7, 0.4, 0.3, 0.1
    scores[3] = 0.99
    return scores, coverage, pga


def test_the_papers_protocol_by_hand() -> None:
    found = paper_scores(*paper_case(), seed=0)
    assert (found.positives, found.negatives) == (4, 4)
    # 3 of 4 slides and 1 of 4 others at 0.5 or more
    assert found.accuracy == found.precision == found.recall == pytest.approx(0.75)
    assert found.f1 == pytest.approx(0.75)
    assert found.kappa == pytest.approx(0.50)
    # pairs won: 4 + 4 + 3 + 1 of 16
    assert found.auc == pytest.approx(12 / 16)


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_on_a_balanced_sample_kappa_is_twice_accuracy_less_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    coverage, scores = (rng.random((40, 40)) < 0.1).astype(float), rng.random((40, 40))
    found = paper_scores(scores, coverage, np.full((40, 40), 0.5), seed=seed)
    assert found.positives == found.negatives
    assert found.kappa == pytest.approx(2 * found.accuracy - 1, abs=1e-12)


def test_the_paper_needs_both_classes() -> None:
    scores, coverage, pga = paper_case()
    with pytest.raises(ValueError, match="both classes"):
        paper_scores(scores, np.zeros_like(coverage), pga, seed=0)
    with pytest.raises(ValueError, match="both classes"):
        paper_scores(scores, coverage, np.zeros_like(pga), seed=0)


def test_hit_rates_count_bodies_by_size() -> None:
    slides = np.zeros((12, 12), bool)
    slides[0, 0] = slides[0, 5] = True  # two bodies of one pixel
    slides[4, 4] = slides[5, 5] = True  # one of two pixels that share a corner
    slides[8:11, 8:12] = True  # one of twelve
    bodies = bodies_of(slides)
    assert bodies.max() == 4
    scores = np.zeros((12, 12))
    scores[0, 0] = scores[4, 4] = 1.0
    scores[8:9, 8:12] = 1.0
    scores[0, 5] = np.nan  # no score, so neither hit nor missed
    found = {rate.smallest_px: rate for rate in hit_rates(scores, bodies, threshold=0.5)}
    assert (found[1].bodies, found[1].hit) == (1, 1)
    assert (found[2].bodies, found[2].hit) == (1, 1)  # half of its pixels
    assert (found[10].bodies, found[10].hit) == (1, 0)  # a third
    assert found[100].bodies == 0
    assert np.isnan(found[100].rate)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="one shape"):
        hit_rates(np.ones((2, 2)), np.ones((2, 3), int), threshold=0.5)
    with pytest.raises(ValueError, match="one shape"):
        paper_scores(np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 3)), seed=0)
