"""Information gain: against scikit-learn's mutual information, its bias, its floor, its interval."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from headscarp.core.learning import information
from headscarp.core.learning.information import (
    FLAT,
    aspect_sectors,
    equal_event_weights,
    equal_frequency,
    information_gain,
    noise_floor,
    out_of_fold_log_ratio,
    rank_by_gain,
)

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_gain_is_mutual_information_with_millers_correction(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes, slides = rng.integers(0, 6, 500), rng.random(500) < 0.4
    slides[:2] = True, False
    table = np.histogram2d(codes, slides, bins=(np.arange(7), [0, 0.5, 1]))[0]
    cells = (table.sum(1) > 0).sum() - 1 + 1 - ((table > 0).sum() - 1)
    expected = mutual_info_score(codes, slides) + cells / (2 * 500)
    assert information_gain(codes, slides) == pytest.approx(expected / np.log(2), abs=1e-12)


def test_gain_of_a_perfect_and_of_no_indicator() -> None:
    slides = np.arange(10_000) % 2 == 0
    assert information_gain(slides.astype(int), slides) == pytest.approx(1.0, abs=1e-3)
    noise = np.random.default_rng(0).integers(0, 20, 10_000)
    assert abs(information_gain(noise, slides)) < 2e-3


def test_the_correction_removes_the_bias_of_small_samples() -> None:
    rng = np.random.default_rng(1)
    draws = [(rng.integers(0, 20, 400), rng.random(400) < 0.5) for _ in range(200)]
    corrected = np.mean([information_gain(c, s) for c, s in draws])
    plain = np.mean([mutual_info_score(c, s) / np.log(2) for c, s in draws])
    assert plain > 0.03
    assert abs(corrected) < 0.003


def test_weights_make_events_equal() -> None:
    groups = np.repeat(["a", "b"], [900, 100])
    weights = equal_event_weights(groups)
    assert weights[groups == "a"].sum() == pytest.approx(weights[groups == "b"].sum())
    assert weights.mean() == pytest.approx(1.0)
    codes, slides = np.arange(1000) % 2, np.arange(1000) % 2 == 0
    slides[groups == "a"] = np.arange(900) % 4 < 2  # says nothing in the large event, everything in the small one
    assert information_gain(codes, slides, weights) > 5 * information_gain(codes, slides)


def test_the_noise_floor_is_above_noise_and_below_knowledge() -> None:
    rng = np.random.default_rng(2)
    slides = rng.random(4000) < 0.5
    slope = rng.normal(size=4000) + 0.5 * slides
    useless = rng.normal(size=4000)
    assert information_gain(equal_frequency(slope), slides) > 5 * noise_floor(equal_frequency(slope), slides, seed=0)
    above = [
        information_gain(codes, slides) > noise_floor(codes, slides, seed=k)
        for k in range(40)
        for codes in [equal_frequency(rng.permutation(useless))]
    ]
    assert np.mean(above) < 0.25


def test_shuffling_within_events_keeps_what_only_tells_events_apart_below_the_floor() -> None:
    # PGA differs between events and so does prevalence: nothing is known within any of them
    groups = np.repeat([0, 1], 2000)
    rng = np.random.default_rng(3)
    slides = rng.random(4000) < np.where(groups == 0, 0.2, 0.8)
    pga = equal_frequency(groups + 0.1 * rng.random(4000))
    assert information_gain(pga, slides) > noise_floor(pga, slides, seed=0)
    assert noise_floor(pga, slides, groups, seed=0) > 0.9 * information_gain(pga, slides)


def test_intervals_have_equal_counts_and_ties_stay_together() -> None:
    values = np.random.default_rng(0).random(10_000)
    assert np.ptp(np.bincount(equal_frequency(values))) <= 2
    assert len(np.unique(equal_frequency(np.zeros(100)))) == 1
    tied = equal_frequency(np.repeat([0.0, 1.0, 2.0], [80, 15, 5]))
    assert all(len(np.unique(part)) == 1 for part in (tied[:80], tied[80:95], tied[95:]))


def test_aspect_has_eight_sectors_and_flat_ground() -> None:
    angle = np.radians([0, 22, 23, 90, 180, 270, 337, 338, -1])
    found = aspect_sectors(np.append(np.sin(angle), 0.0), np.append(np.cos(angle), 0.0))
    assert found.tolist() == [0, 0, 1, 2, 4, 6, 7, 0, 0, FLAT]


def test_frequency_ratios_are_counted_on_the_others_only() -> None:
    codes = np.array(["a", "a", "b", "b", "a", "a", "b", "b", "c"])
    slides = np.array([1, 0, 1, 0, 1, 1, 0, 0, 1], bool)
    groups = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1])
    found = out_of_fold_log_ratio(codes, slides, groups)
    # group 1 has 3 slides on 5 pixels: a holds 2 of 3 and 2 of 5, b none; group 0 sees b once in two of both
    assert found[0] == found[1] == pytest.approx(np.log((2 / 3) / (2 / 5) + 0.01))
    assert found[2] == found[3] == pytest.approx(np.log(0.01))
    assert found[4] == found[6] == pytest.approx(np.log(1.01))
    # group 0 has no c: it says nothing
    assert found[8] == pytest.approx(np.log(1.01))


def test_counted_in_fold_a_useless_class_would_look_informative() -> None:
    rng = np.random.default_rng(4)
    codes, slides, groups = rng.integers(0, 400, 2000), rng.random(2000) < 0.5, np.arange(2000) % 5
    inside = (np.bincount(codes, slides) / np.maximum(np.bincount(codes), 1))[codes]
    honest = out_of_fold_log_ratio(codes, slides, groups)
    assert information_gain(equal_frequency(inside), slides) > 0.1
    assert information_gain(equal_frequency(honest), slides) < 0.02


def test_out_of_fold_needs_two_folds_with_slides() -> None:
    with pytest.raises(ValueError, match="two groups"):
        out_of_fold_log_ratio([1, 2], [True, False], [0, 0])
    with pytest.raises(ValueError, match="more than one group"):
        out_of_fold_log_ratio([1, 2], [True, False], [0, 1])


def test_indicators_are_ranked_with_their_floor_and_interval() -> None:
    rng = np.random.default_rng(5)
    groups = np.arange(3000) % 10
    slides = rng.random(3000) < 0.5
    strong, weak, none = (equal_frequency(k * slides + rng.normal(size=3000)) for k in (1.5, 0.6, 0.0))
    found = rank_by_gain({"none": none, "weak": weak, "strong": strong}, slides, groups, seed=0)
    assert [g.name for g in found] == ["strong", "weak", "none"]
    assert [g.informative for g in found[:2]] == [True, True]
    for gain in found[:2]:
        assert gain.low < gain.bits < gain.high
    assert found[0].low > found[1].high
    assert json.dumps([g.to_json() for g in found])
    again = rank_by_gain({"weak": weak}, slides, groups, seed=0)
    assert again[0] == found[1]


def test_one_event_has_no_interval() -> None:
    slides = np.arange(100) % 2 == 0
    (found,) = rank_by_gain({"a": np.arange(100) % 2}, slides, np.zeros(100), seed=0)
    assert np.isnan(found.low)
    assert found.to_json()["high"] is None


def test_a_resample_of_events_is_the_gain_of_its_samples() -> None:
    rng = np.random.default_rng(6)
    groups, codes, slides = np.repeat(np.arange(4), 50), rng.integers(0, 5, 200), rng.random(200) < 0.4
    replicates = information._replicates(codes, slides, groups, None, seed=3)
    times = information.resampled_counts(4, draws=information.DRAWS, seed=3)
    for k in (0, 7, 100):
        chosen = np.concatenate([np.flatnonzero(groups == g) for g in np.repeat(np.arange(4), times[k])])
        assert replicates[k] == pytest.approx(information_gain(codes[chosen], slides[chosen]), abs=1e-12)
