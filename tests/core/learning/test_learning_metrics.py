"""Ranking and coverage metrics against scikit-learn and by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from headscarp.core.learning import metrics
from headscarp.core.learning.tally import Tally, merge, merge_equally, tally

seeds = st.integers(0, 2**32 - 1)


def sample(seed: int, size: int = 400, ties: int = 10**6, rate: float = 0.15) -> tuple[np.ndarray, np.ndarray]:
    """Scores that know something, and labels of both classes."""
    rng = np.random.default_rng(seed)
    scores = np.round(rng.beta(1, 4, size) * ties) / ties
    slides = rng.random(size) < np.clip(rate / 0.2 * scores, 0, 1)
    slides[:2] = True, False
    return scores, slides


@settings(max_examples=60, deadline=None)
@given(seed=seeds, ties=st.sampled_from([1, 4, 30, 10**6]))
def test_equal_scikit_learn(seed: int, ties: int) -> None:
    scores, slides = sample(seed, ties=ties)
    found = tally(scores, slides)
    assert metrics.auc(found) == pytest.approx(oracle.roc_auc_score(slides, scores), abs=1e-12)
    assert metrics.average_precision(found) == pytest.approx(oracle.average_precision_score(slides, scores), abs=1e-12)
    assert metrics.brier(found) == pytest.approx(oracle.brier_score_loss(slides, scores), abs=1e-12)
    clipped = np.clip(scores, metrics.TINY, 1 - metrics.TINY)
    assert metrics.log_loss(found) == pytest.approx(oracle.log_loss(slides, clipped), abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, -0.5])
def test_binned_agrees_with_exact_to_a_ten_thousandth(shift: float) -> None:
    scores, slides = sample(5, size=300_000, rate=0.03)
    scores = scores + shift
    exact, binned = tally(scores, slides, exact=True), tally(scores.astype(np.float32), slides, exact=False)
    for metric, bound in (
        (metrics.auc, metrics.auc_error(binned)),
        (metrics.average_precision, metrics.average_precision_error(binned)),
    ):
        assert abs(metric(binned) - metric(exact)) <= bound + 1e-7
        assert abs(metric(binned) - metric(exact)) < 1e-4
    assert metrics.brier(binned) == pytest.approx(metrics.brier(exact), abs=1e-6)
    assert metrics.area_ratio(binned) == pytest.approx(metrics.area_ratio(exact), rel=1e-6)
    assert metrics.auc_error(exact) == 0.0 < metrics.auc_error(binned) < 1e-3


def test_binned_orders_negative_scores_and_keeps_nodata_out() -> None:
    scores = np.array([-3.0, -1e-20, 0.0, 2.0, np.nan, 5.0], np.float32)
    slides, known = np.array([0, 0, 0, 1, 1, 1], bool), np.array([1, 1, 1, 1, 1, 0], bool)
    found = tally(scores, slides, known, exact=False)
    np.testing.assert_allclose(found.score, [-3.0, -1e-20, 0.0, 2.0])
    assert found.pixels == 4
    assert metrics.auc(found) == 1.0


def test_binned_counts_shares_of_pixels_too() -> None:
    rng = np.random.default_rng(2)
    predicted, observed = rng.random(50_000), rng.random(50_000) * 0.3
    exact, binned = (tally(predicted, observed, exact=e) for e in (True, False))
    assert binned.slide_total == pytest.approx(exact.slide_total)
    assert metrics.brier(binned) == pytest.approx(metrics.brier(exact), rel=1e-6)
    assert metrics.area_ratio(binned) == pytest.approx(metrics.area_ratio(exact), rel=1e-6)
    assert [b.observed for b in metrics.reliability(binned)] == pytest.approx(
        [b.observed for b in metrics.reliability(exact)], abs=1e-3
    )


def test_the_bound_says_when_levels_are_too_wide() -> None:
    # all scores within one interval of 0.05 %: nothing is left to rank by, and the bound owns up to it
    rng = np.random.default_rng(0)
    scores = (1.0 + rng.random(1000) * 1e-4).astype(np.float32)
    slides = scores > np.median(scores)
    binned = tally(scores, slides, exact=False)
    assert metrics.auc(binned) == pytest.approx(0.5)
    assert metrics.auc_error(binned) >= 0.5 - 1e-9


def test_many_pixels_are_binned_without_being_asked() -> None:
    rng = np.random.default_rng(1)
    scores = rng.random(5_000_000, dtype=np.float32)
    slides = rng.random(5_000_000, dtype=np.float32) < 0.02 * scores
    found = tally(scores, slides)
    assert not found.exact
    assert found.pixels == 5_000_000
    # where P(slide) is proportional to a uniform score, AUC is two thirds
    assert metrics.auc(found) == pytest.approx(2 / 3, abs=5e-3)


def test_events_weigh_the_same_however_large() -> None:
    large, small = sample(1, size=5000), sample(2, size=200)
    pooled = merge_equally([tally(*large), tally(*small)])
    scores, slides = np.concatenate([large[0], small[0]]), np.concatenate([large[1], small[1]])
    weights = np.concatenate([np.full(5000, 1 / 5000), np.full(200, 1 / 200)])
    assert metrics.auc(pooled) == pytest.approx(oracle.roc_auc_score(slides, scores, sample_weight=weights))
    assert metrics.average_precision(pooled) == pytest.approx(
        oracle.average_precision_score(slides, scores, sample_weight=weights)
    )
    assert metrics.brier(pooled) == pytest.approx(oracle.brier_score_loss(slides, scores, sample_weight=weights))


@settings(max_examples=30, deadline=None)
@given(seed=seeds, cut=st.integers(1, 399))
def test_parts_merge_to_the_whole(seed: int, cut: int) -> None:
    scores, slides = sample(seed, ties=20)
    parts = merge([tally(scores[:cut], slides[:cut]), tally(scores[cut:], slides[cut:])])
    whole = tally(scores, slides)
    np.testing.assert_allclose(parts.score, whole.score)
    np.testing.assert_allclose(parts.slides, whole.slides)
    np.testing.assert_allclose(parts.ground, whole.ground)
    assert metrics.brier(parts) == pytest.approx(metrics.brier(whole))


def test_ranking_scores_by_hand() -> None:
    # ten pixels, slides ranked first and third
    scores, slides = np.linspace(1.0, 0.1, 10), np.isin(np.arange(10), (0, 2))
    found = metrics.ranking_scores(tally(scores, slides))
    assert found.prevalence == pytest.approx(0.2)
    assert found.average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert found.average_precision_skill == pytest.approx((5 / 6 - 0.2) / 0.8)
    # the top tenth holds one of two slides, half of it half of one
    assert dict(found.success) == pytest.approx({0.01: 0.05, 0.05: 0.25, 0.1: 0.5, 0.2: 0.5})


def test_a_constant_forecast_has_no_skill_and_the_truth_has_all() -> None:
    slides = np.arange(1000) < 30
    none = metrics.coverage_scores(tally(np.full(1000, 0.03), slides))
    assert none.brier_skill == pytest.approx(0.0)
    assert none.area_ratio == pytest.approx(1.0)
    assert none.calibration_error == pytest.approx(0.0)
    perfect = metrics.coverage_scores(tally(slides.astype(float), slides))
    assert perfect.brier_skill == pytest.approx(1.0)
    assert perfect.log_loss == pytest.approx(0.0, abs=1e-6)


def test_climatology_may_come_from_elsewhere() -> None:
    slides = np.arange(1000) < 30
    found = metrics.coverage_scores(tally(np.full(1000, 0.03), slides), climatology=0.1)
    assert found.climatology_brier == pytest.approx(0.03 * 0.81 + 0.97 * 0.01)
    assert found.brier_skill > 0


def test_reliability_sees_a_forecast_that_says_twice_too_much() -> None:
    rng = np.random.default_rng(0)
    truth = rng.beta(1, 8, 400_000)
    slides = rng.random(truth.size) < truth
    bins = metrics.reliability(tally(np.clip(2 * truth, 0, 1), slides), bins=8)
    assert len(bins) == 8
    np.testing.assert_allclose([b.share for b in bins], 1 / 8, atol=1e-4)
    np.testing.assert_allclose([b.ratio for b in bins[1:7]], 0.5, rtol=0.05)


def test_reliability_keeps_equal_scores_together() -> None:
    scores = np.repeat([0.1, 0.5], [90, 10])
    bins = metrics.reliability(tally(scores, scores > 0.3), bins=10)
    assert [b.predicted for b in bins] == pytest.approx([0.1, 0.5])
    assert [b.observed for b in bins] == pytest.approx([0.0, 1.0])
    assert [b.share for b in bins] == pytest.approx([0.9, 0.1])


def test_coverage_targets_need_not_be_hard() -> None:
    predicted, observed = np.array([0.1, 0.3, 0.2]), np.array([0.0, 0.5, 0.25])
    found = tally(predicted, observed)
    assert metrics.brier(found) == pytest.approx(np.mean((predicted - observed) ** 2))
    assert metrics.area_ratio(found) == pytest.approx(0.6 / 0.75)
    constant = metrics.constant_brier(found, observed.mean())
    assert constant == pytest.approx(observed.var())


def test_refuses_scores_that_are_no_coverage() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        metrics.coverage_scores(tally([0.5, 1.5], [True, False]))
    with pytest.raises(ValueError, match="none"):
        metrics.coverage_scores(tally([], np.zeros(0, bool)))


def test_one_class_cannot_be_ranked() -> None:
    for slides in (np.zeros(3, bool), np.ones(3, bool)):
        with pytest.raises(ValueError, match="both classes"):
            metrics.ranking_scores(tally([0.1, 0.2, 0.3], slides))


def test_scores_are_plain_data() -> None:
    scores, slides = sample(3)
    found = tally(scores, slides)
    text = json.dumps([metrics.ranking_scores(found).to_json(), metrics.coverage_scores(found).to_json()])
    assert json.loads(text)[1]["reliability"][0]["share"] > 0
    empty = json.dumps(metrics.plain({"ratio": float("nan")}))
    assert empty == '{"ratio": null}'


def test_the_threshold_marks_the_share_it_was_asked_for() -> None:
    found = tally(np.arange(100.0), np.arange(100) > 50)
    assert found.threshold(0.1) == 90.0
    assert found.threshold(0.0) == np.inf
    ties = tally(np.repeat([1.0, 2.0], [80, 20]), np.arange(100) > 90)
    assert ties.threshold(0.1) == np.inf


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="one shape"):
        tally(np.ones(3), np.ones(4))


def test_nothing_to_merge() -> None:
    with pytest.raises(ValueError, match="at least one"):
        merge([])
    assert isinstance(merge([tally([0.1], [True])]), Tally)
