"""Calibration: a known distortion is undone, out of event, and survives its file."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from headscarp.core.learning import metrics
from headscarp.core.learning.calibration import (
    Calibration,
    Fit,
    aggregate,
    cell_means,
    conformal_factor,
    cross_fitted,
    equal_event_pixels,
    fit_beta,
    fit_isotonic,
    fit_logistic,
    shift_base_rate,
)
from headscarp.core.learning.tally import tally

seeds = st.integers(0, 2**32 - 1)
FITS = (fit_isotonic, fit_logistic, fit_beta)


def cells(seed: int, size: int = 20_000, pixels: int = 64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores that overstate a rare coverage, and the coverage of cells of 64 pixels drawn from the truth."""
    rng = np.random.default_rng(seed)
    score = rng.beta(1.2, 3.0, size)
    truth = expit(1.3 * logit(score) - 2.0)
    return score, rng.binomial(pixels, truth) / pixels, truth


@pytest.mark.parametrize("fit", FITS)
def test_a_known_distortion_is_undone(fit: Fit) -> None:
    score, coverage, truth = cells(0)
    curve = fit(score, coverage, np.ones_like(score))
    assert np.mean(np.abs(score - truth)) > 0.1
    assert np.mean(np.abs(curve(score) - truth)) < 0.005
    before = metrics.coverage_scores(tally(score, coverage))
    after = metrics.coverage_scores(tally(np.clip(curve(score), 0, 1), coverage))
    assert before.brier_skill < 0 < after.brier_skill
    assert after.area_ratio == pytest.approx(1.0, abs=0.01)
    assert all(0.67 < b.ratio < 1.5 for b in after.reliability if b.predicted > 0.02)


def test_isotonic_equals_scikit_learn() -> None:
    score, coverage, _ = cells(1, size=300)
    score = np.round(score, 2)
    weights = np.random.default_rng(0).uniform(0.5, 2, score.size)
    oracle = IsotonicRegression(out_of_bounds="clip").fit(score, coverage, weights)
    grid = np.linspace(0, 1, 500)
    curve = fit_isotonic(score, coverage, weights)
    np.testing.assert_allclose(curve(grid), oracle.predict(grid), atol=1e-12)


def test_many_pools_are_thinned_without_harm() -> None:
    score = np.linspace(0.0, 1.0, 5000)
    curve = fit_isotonic(score, score**2, np.ones_like(score))
    assert len(curve.scores) <= 257
    np.testing.assert_allclose(curve(score), score**2, atol=1e-4)


def test_logistic_equals_scikit_learn_on_hard_labels() -> None:
    rng = np.random.default_rng(2)
    score = rng.beta(1.2, 3.0, 4000)
    slides = rng.random(4000) < expit(0.7 * logit(score) - 1.0)
    oracle = LogisticRegression(C=1e12, max_iter=5000, tol=1e-12).fit(logit(score)[:, None], slides)
    curve = fit_logistic(score, slides.astype(float), np.ones(4000))
    np.testing.assert_allclose(curve(score), oracle.predict_proba(logit(score)[:, None])[:, 1], atol=2e-4)


def test_beta_bends_where_logistic_cannot() -> None:
    rng = np.random.default_rng(3)
    score = rng.uniform(0.001, 0.999, 40_000)
    truth = expit(0.4 * np.log(score) - 2.5 * np.log1p(-score) - 3.0)
    beta, logistic = (
        np.abs(f(score, truth, np.ones_like(score))(score) - truth).max() for f in (fit_beta, fit_logistic)
    )
    assert beta < 1e-3
    assert logistic > 0.02


@settings(max_examples=25, deadline=None)
@given(seed=seeds, fit=st.sampled_from(FITS), falling=st.booleans())
def test_every_curve_is_monotone_bounded_and_plain(seed: int, fit: Fit, falling: bool) -> None:
    rng = np.random.default_rng(seed)
    score = rng.random(60)
    coverage = np.clip((1 - score if falling else score) + 0.5 * rng.standard_normal(60), 0, 1)
    curve = fit(score, coverage, rng.uniform(0.1, 1, 60))
    values = curve(np.linspace(-0.5, 1.5, 300))
    assert (np.diff(values) >= 0).all()
    assert values.min() >= 0
    assert values.max() <= 1
    text = json.dumps(curve.to_json())
    assert Calibration.from_json(json.loads(text)) == curve
    assert len(text) < 12_000


@pytest.mark.parametrize("fit", FITS)
def test_nothing_but_background_gives_nothing(fit: Fit) -> None:
    score = np.linspace(0.0, 1.0, 50)
    assert fit(score, np.zeros(50), np.ones(50))(score).max() < 1e-3


@pytest.mark.parametrize("fit", FITS)
def test_one_score_gives_its_mean_coverage(fit: Fit) -> None:
    curve = fit(np.full(40, 0.3), np.repeat([0.0, 0.2], 20), np.ones(40))
    assert curve([0.0, 0.3, 1.0]) == pytest.approx([0.1, 0.1, 0.1], abs=1e-4)


def test_nodata_stays_nodata() -> None:
    assert np.isnan(Calibration("isotonic", (0.0, 1.0), (0.0, 0.5))([np.nan, 0.5])).tolist() == [True, False]


@pytest.mark.parametrize(
    ("scores", "coverages"),
    [((0.0, 0.0), (0.1, 0.2)), ((0.0, 1.0), (0.2, 0.1)), ((0.0, 1.0), (0.5, 1.5)), ((), ()), ((0.0,), (float("nan"),))],
)
def test_no_other_curve_is_accepted(scores: tuple[float, ...], coverages: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="calibration: expected"):
        Calibration("isotonic", scores, coverages)


def test_an_incomplete_table_is_refused() -> None:
    with pytest.raises(ValueError, match="found no coverages"):
        Calibration.from_json({"method": "isotonic", "scores": [0.0]})


def test_cells_are_means_of_what_is_known() -> None:
    scores = np.arange(256, dtype=np.float32).reshape(16, 16)
    slides = np.zeros((16, 16), bool)
    slides[0, :4] = True
    known = np.ones((16, 16), bool)
    known[:8, 8:] = False  # one cell unknown
    known[8:12, :8] = False  # one cell half known
    scores[0, 0] = np.nan
    found = aggregate(scores, slides, known)
    assert found.pixels.tolist() == [63, 32, 64]
    assert found.coverage.tolist() == pytest.approx([3 / 63, 0, 0])
    assert found.score[1] == pytest.approx(scores[12:, :8].mean())
    mean, pixels = cell_means(scores, known)
    assert mean.shape == pixels.shape == (2, 2)
    assert np.isnan(mean[0, 1])
    assert cell_means(np.ones((17, 25), np.float32))[0].shape == (2, 3)
    with pytest.raises(ValueError, match="one shape"):
        aggregate(scores, slides[:8])


def test_a_base_rate_is_shifted_as_bayes_says() -> None:
    # P(s | slide) and P(s | other) fixed: the odds change by the odds of the rates
    likelihood = np.array([0.2, 1.0, 5.0])
    half, rare = likelihood / (likelihood + 1), likelihood * 0.01 / (likelihood * 0.01 + 0.99)
    np.testing.assert_allclose(shift_base_rate(half, trained_at=0.5, true_rate=0.01), rare)
    with pytest.raises(ValueError, match="between 0 and 1"):
        shift_base_rate(half, trained_at=0.5, true_rate=0.0)


def test_cross_fitting_does_not_see_its_own_event() -> None:
    score, coverage, _ = cells(4, size=900)
    groups = np.arange(900) % 3
    coverage[groups == 2] = 0.9  # one event like no other
    found = cross_fitted(score, coverage, groups, np.ones(900), fit_isotonic)
    assert found[groups == 2].mean() < 0.3
    without = fit_isotonic(score[groups != 2], coverage[groups != 2], np.ones(600))
    np.testing.assert_allclose(found[groups == 2], without(score[groups == 2]))
    with pytest.raises(ValueError, match="two groups"):
        cross_fitted(score, coverage, np.zeros(900), np.ones(900), fit_beta)


def test_cross_fitted_coverage_is_reliable_on_events_alike() -> None:
    score, coverage, _ = cells(5, size=40_000)
    found = cross_fitted(score, coverage, np.arange(40_000) % 5, np.ones(40_000), fit_beta)
    scores = metrics.coverage_scores(tally(found, coverage))
    assert scores.brier_skill > 0
    assert scores.calibration_error < 0.005


def test_shuffled_labels_calibrate_to_the_base_rate() -> None:
    score, coverage, _ = cells(6)
    shuffled = np.random.default_rng(0).permutation(coverage)
    found = cross_fitted(score, shuffled, np.arange(score.size) % 4, np.ones(score.size), fit_beta)
    assert np.abs(found - coverage.mean()).max() < 0.03


def test_events_weigh_the_same_by_ground() -> None:
    weights = equal_event_pixels(np.array([64.0, 32.0, 64.0]), ["a", "a", "b"])
    assert weights.tolist() == pytest.approx([2 / 3, 1 / 3, 1.0])


def test_the_conformal_factor_covers_new_events() -> None:
    rng = np.random.default_rng(7)
    held = []
    for _ in range(400):
        ratios = np.exp(0.7 * rng.standard_normal(38))
        factor = conformal_factor(np.ones(37), ratios[:37])
        held.append(1 / factor <= ratios[37] <= factor)
    assert 0.86 <= np.mean(held) <= 0.96
    assert conformal_factor(np.ones(8), np.ones(8)) == np.inf
    assert conformal_factor(np.ones(9), np.full(9, 2.0)) == pytest.approx(2.0)
