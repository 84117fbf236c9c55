"""Curves fitted on made-up events whose truth is known."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score, roc_auc_score

from headscarp.core.learning.calibration import Calibration, fit_isotonic, fit_logistic
from headscarp.core.normalisation import EventStatistics
from headscarp.errors import InvalidInput
from headscarp.ml.calibrate import ScoredScene, covered, cross_fitted, fit_calibration, reliability_at_250_m
from headscarp.ml.windows import Scene


def truth(scores: np.ndarray, shift: float = -4.0) -> np.ndarray:
    return expit(1.4 * logit(scores) + shift)


def event(seed: int, shape: tuple[int, int] = (160, 200), *, shift: float = -4.0) -> ScoredScene:
    """SYNTHETIC scores and slides drawn at the true coverage; the first rows unknown, the first column unscored."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(1.5, 2.0, shape).astype(np.float32)
    slides = rng.random(shape) < truth(scores.astype(np.float64), shift)
    label = slides.astype(np.float32)
    label[:5] = np.nan
    scores[:, 0] = np.nan
    none = np.zeros((0, *shape), np.float32)
    ln_std = np.full(shape, 0.5, np.float32)
    return scores, Scene(f"event{seed}", (), none, label, slides, ln_std, EventStatistics({}), synthetic=True)


def judged(pair: ScoredScene) -> np.ndarray:
    return pair[1].known & np.isfinite(pair[0])


MAPS = [event(1), event(2, (80, 90)), event(3, (240, 160), shift=-3.0)]


@pytest.mark.parametrize("fit", [None, fit_logistic, fit_isotonic])
def test_mean_coverage_is_the_observed_share_of_equally_weighted_events(fit: object) -> None:
    curve = fit_calibration(MAPS, **({} if fit is None else {"fit": fit}))
    predicted = np.mean([covered(pair[0], curve)[judged(pair)].mean() for pair in MAPS])
    observed = np.mean([pair[1].slides[judged(pair)].mean() for pair in MAPS])
    pooled = np.concatenate([pair[1].slides[judged(pair)] for pair in MAPS]).mean()
    assert abs(pooled / observed - 1) > 0.05  # or equal weights could not be told from none
    assert predicted == pytest.approx(observed, rel=2e-4)


def test_the_typical_level_lies_in_the_middle_of_the_events() -> None:
    """What each event would have to be raised by, in log-odds, is nothing on average; the mean follows the largest."""
    maps = [event(seed, (300, 300), shift=-5.0 + by) for seed, by in ((1, -1.0), (2, 0.0), (3, 4.0))]

    def wanted(curve: Calibration, pair: ScoredScene) -> float:
        at, share = pair[0][judged(pair)], pair[1].slides[judged(pair)].mean()
        return float(brentq(lambda by: expit(logit(curve(at)) + by).mean() - share, -9, 9))

    typical, mean = (fit_calibration(maps, fit_logistic, level=level) for level in ("typical", "mean"))
    assert np.mean([wanted(typical, pair) for pair in maps]) == pytest.approx(0.0, abs=0.02)
    assert np.mean([wanted(mean, pair) for pair in maps]) < -0.5


def test_an_event_that_holds_a_seventh_of_what_it_marks_counts_as_such() -> None:
    scores, scene = event(1, (300, 300))
    filled = (scores, replace(scene, filled=0.2))
    whole, part = (fit_calibration([pair]) for pair in ((scores, scene), filled))
    shares = [covered(scores, curve)[judged(filled)].mean() for curve in (whole, part)]
    assert shares[1] == pytest.approx(0.2 * shares[0], rel=2e-3)
    assert reliability_at_250_m([(covered(scores, part), filled[1])]).area_ratio == pytest.approx(1.0, abs=0.02)


def test_a_family_that_misses_is_put_right_on_average() -> None:
    def straight(*_: np.ndarray) -> Calibration:
        return Calibration("straight", (0.0, 1.0), (0.001, 0.05))

    curve = fit_calibration(MAPS, straight)
    predicted = np.mean([covered(pair[0], curve)[judged(pair)].mean() for pair in MAPS])
    assert predicted == pytest.approx(np.mean([pair[1].slides[judged(pair)].mean() for pair in MAPS]), rel=1e-3)


def test_the_true_curve_is_found() -> None:
    curve = fit_calibration([event(seed, (400, 400)) for seed in range(4)])
    at = np.array([0.2, 0.4, 0.6, 0.8])
    np.testing.assert_allclose(curve(at), truth(at), rtol=0.1)


def test_the_ranking_is_kept() -> None:
    scores, scene = MAPS[0]
    known = judged(MAPS[0])
    coverages = covered(scores, fit_calibration(MAPS))
    order = np.argsort(scores[known])
    assert (np.diff(coverages[known][order]) >= 0).all()
    assert len(np.unique(coverages[known])) > 0.98 * len(np.unique(scores[known]))
    for metric in (roc_auc_score, average_precision_score):
        raw, calibrated = (metric(scene.slides[known], values[known]) for values in (scores, coverages))
        assert calibrated == pytest.approx(raw, abs=1e-5)


def test_maps_of_one_event_count_as_one() -> None:
    """The same event in two halves and in one piece."""
    scores, scene = MAPS[0]
    halves = [(scores[:80], piece(scene, slice(0, 80))), (scores[80:], piece(scene, slice(80, 160)))]
    whole = fit_calibration([MAPS[0], MAPS[2]])
    parts = fit_calibration([*halves, MAPS[2]], events=["a", "a", "b"])
    np.testing.assert_allclose(parts.coverages, whole.coverages, rtol=1e-3)  # levels of a score are 0.05 % wide
    apart = fit_calibration([*halves, MAPS[2]], events=["a", "c", "b"])
    assert np.abs(np.array(apart.coverages) / np.array(whole.coverages) - 1).max() > 0.02


def piece(scene: Scene, rows: slice) -> Scene:
    parts = {name: getattr(scene, name)[rows] for name in ("label", "slides", "ln_std")}
    return replace(scene, stack=scene.stack[:, rows], **parts)


def test_an_event_is_never_judged_by_its_own_labels() -> None:
    maps = cross_fitted(MAPS)
    for index in range(3):
        alone = fit_calibration([pair for number, pair in enumerate(MAPS) if number != index])
        np.testing.assert_array_equal(maps[index], covered(MAPS[index][0], alone))
    scores, scene = MAPS[0]
    flipped = [(scores, replace(scene, slides=~scene.slides)), *MAPS[1:]]
    again = cross_fitted(flipped)
    np.testing.assert_array_equal(again[0], maps[0])
    assert not np.array_equal(again[1], maps[1], equal_nan=True)


def test_reliability_at_250_m_of_true_and_of_doubled_coverage() -> None:
    maps = [event(seed, (400, 400), shift=-2.0) for seed in range(3)]
    true = [(truth(scores, -2.0).astype(np.float32), scene) for scores, scene in maps]
    found = reliability_at_250_m(true)
    assert found.area_ratio == pytest.approx(1.0, abs=0.03)
    assert all(0.9 < b.ratio < 1.1 for b in found.reliability)
    doubled = reliability_at_250_m([(np.minimum(2 * coverage, 1), scene) for coverage, scene in true])
    assert doubled.area_ratio > 1.7
    assert doubled.brier > found.brier


def test_two_million_pixels_are_a_matter_of_levels() -> None:
    maps = [event(5, (1000, 1000)), event(6, (1000, 1000))]
    begin = time.process_time()
    curve = fit_calibration(maps)
    assert time.process_time() - begin < 20.0
    assert len(curve.scores) <= 257


def test_refusals() -> None:
    scores, scene = MAPS[0]
    with pytest.raises(InvalidInput, match="expected score maps, found none"):
        fit_calibration([])
    with pytest.raises(InvalidInput, match="event1: expected known pixels"):
        fit_calibration([(np.full_like(scores, np.nan), scene)])
    with pytest.raises(InvalidInput, match="event1: expected scores in 0 to 1"):
        fit_calibration([(scores * 20, scene)])
    with pytest.raises(InvalidInput, match="one kind only"):
        fit_calibration([(scores, replace(scene, slides=np.zeros_like(scene.slides)))])
    with pytest.raises(InvalidInput, match="two events or more"):
        cross_fitted(MAPS[:1])
    with pytest.raises(InvalidInput, match="of each of 3 maps, found 2"):
        fit_calibration(MAPS, events=["a", "b"])
    with pytest.raises(InvalidInput, match="of which half is known"):
        reliability_at_250_m([(np.full_like(scores, np.nan), scene)])


def test_a_constant_score_gets_the_base_rate() -> None:
    scores, scene = MAPS[0]
    flat = np.where(np.isfinite(scores), np.float32(0.3), np.float32(np.nan))
    curve = fit_calibration([(flat, scene)])
    assert isinstance(curve, Calibration)
    assert float(curve(0.3)) == pytest.approx(scene.slides[judged(MAPS[0])].mean(), rel=0.01)
