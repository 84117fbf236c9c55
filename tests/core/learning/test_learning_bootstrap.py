"""Intervals: against the normal limit, against scipy, and that pairing is what makes differences visible."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from headscarp.core.learning import bootstrap
from headscarp.core.learning.bootstrap import (
    BlockCounts,
    block_difference,
    block_interval,
    count_blocks,
    event_difference,
    event_interval,
    interval,
    resampled_counts,
)

seeds = st.integers(0, 2**32 - 1)


def raster(seed: int, *, noise: float = 0.0, shape: tuple[int, int] = (96, 96)) -> tuple[np.ndarray, ...]:
    """Scores, labels that follow them block by block, and 36 blocks."""
    rng = np.random.default_rng(seed)
    blocks = (np.arange(shape[0])[:, None] // 16) * 6 + np.arange(shape[1])[None] // 16
    score = rng.random(shape)
    rate = rng.uniform(0.02, 0.3, 36)[blocks]
    slides = rng.random(shape) < rate * score * 2
    return np.clip(score + noise * rng.standard_normal(shape), 0, 1), slides, blocks


def test_an_event_interval_is_the_normal_one_for_many_events() -> None:
    values = np.random.default_rng(0).normal(0.8, 0.05, 400)
    found = event_interval(values, seed=1, draws=4000)
    error = values.std() / np.sqrt(values.size)
    assert found.estimate == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)
    assert found.units == 400


def test_an_event_interval_equals_scipys() -> None:
    values = np.random.default_rng(2).beta(5, 2, 12)
    found = event_interval(values, seed=0, draws=20_000)
    oracle = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1))
    assert found.low == pytest.approx(oracle.confidence_interval.low, abs=3e-3)
    assert found.high == pytest.approx(oracle.confidence_interval.high, abs=3e-3)


def test_weights_of_events_count() -> None:
    found = event_interval([0.0, 1.0], seed=0, weights=[3.0, 1.0])
    assert found.estimate == pytest.approx(0.25)
    assert (found.low, found.high) == (0.0, 1.0)


def test_pairing_shows_a_difference_that_events_hide() -> None:
    rng = np.random.default_rng(3)
    level = rng.uniform(0.6, 0.95, 20)
    better, worse = level + 0.01 + 0.004 * rng.standard_normal(20), level
    paired = event_difference(better, worse, seed=0)
    assert paired.excludes_zero
    assert paired.low > 0
    alone = event_interval(better, seed=0)
    assert alone.low < np.mean(worse) < alone.high


def test_equal_models_do_not_differ() -> None:
    found = event_difference([0.7, 0.8, 0.9], [0.7, 0.8, 0.9], seed=0)
    assert (found.estimate, found.low, found.high) == (0.0, 0.0, 0.0)
    assert not found.excludes_zero


def test_coverage_of_the_interval_is_what_it_says() -> None:
    # of 300 experiments with 40 events, about 95 % of the intervals hold the true mean
    rng = np.random.default_rng(5)
    held = [
        found.low <= 0.5 <= found.high
        for k in range(300)
        for found in [event_interval(rng.uniform(0, 1, 40), seed=k, draws=400)]
    ]
    assert 0.90 <= np.mean(held) <= 0.98


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_statistics_of_counts_equal_scikit_learn(seed: int) -> None:
    scores, slides, blocks = raster(seed)
    scores = np.round(scores * 40) / 40
    counts = count_blocks(scores, slides, blocks, levels=10_000)
    for statistic, oracle in (
        (bootstrap.auc, roc_auc_score),
        (bootstrap.average_precision, average_precision_score),
        (bootstrap.brier, brier_score_loss),
    ):
        estimate, _ = bootstrap.block_replicates(counts, statistic, draws=2, seed=0)
        assert estimate == pytest.approx(oracle(slides.ravel(), scores.ravel()), abs=1e-9)
    ratio, _ = bootstrap.block_replicates(counts, bootstrap.area_ratio, draws=2, seed=0)
    assert ratio == pytest.approx(scores.sum() / slides.sum())


def test_five_hundred_levels_are_enough() -> None:
    scores, slides, blocks = raster(7)
    estimate, _ = bootstrap.block_replicates(count_blocks(scores, slides, blocks), bootstrap.auc, draws=2, seed=0)
    assert estimate == pytest.approx(roc_auc_score(slides.ravel(), scores.ravel()), abs=1e-4)


def test_a_resample_is_what_counting_its_blocks_gives() -> None:
    scores, slides, blocks = raster(8)
    scores = np.round(scores * 40) / 40
    counts = count_blocks(scores, slides, blocks, levels=10_000)
    _, replicates = bootstrap.block_replicates(counts, bootstrap.auc, draws=3, seed=9)
    for times, found in zip(resampled_counts(36, draws=3, seed=9), replicates, strict=True):
        parts = [np.flatnonzero(blocks.ravel() == b) for b in np.repeat(np.arange(36), times)]
        chosen = np.concatenate(parts)
        assert found == pytest.approx(roc_auc_score(slides.ravel()[chosen], scores.ravel()[chosen]), abs=1e-9)


def test_blocks_of_another_model_are_drawn_alike() -> None:
    sharp, slides, blocks = raster(10)
    blunt = np.clip(sharp + 0.1 * np.random.default_rng(0).standard_normal(sharp.shape), 0, 1)
    first, second = ([count_blocks(s, slides, blocks)] for s in (sharp, blunt))
    difference = block_difference(first, second, bootstrap.auc, seed=4, draws=500)
    alone = block_interval(first, bootstrap.auc, seed=4, draws=500)
    assert difference.high - difference.low < 0.6 * (alone.high - alone.low)
    assert difference.low > 0


def test_correlated_pixels_need_blocks() -> None:
    # the same label all over a block: the interval must be as wide as 36 samples make it, not 9216
    rng = np.random.default_rng(11)
    blocks = raster(0)[2]
    level = rng.random(36)
    slides = (rng.random(36) < 0.2 + 0.6 * level)[blocks]
    found = block_interval([count_blocks(level[blocks], slides, blocks)], bootstrap.auc, seed=0)
    assert found.high - found.low > 0.2


def test_nodata_and_ground_outside_blocks_do_not_count() -> None:
    scores, slides, blocks = raster(12)
    known = np.ones_like(slides)
    known[:16] = False
    scores[16:32, :16] = np.nan
    blocks[80:] = -1
    counts = count_blocks(scores, slides, blocks, known)
    assert counts.blocks == 36 - 6 - 1 - 6
    assert counts.ground.sum() == (4 * 6 - 1) * 256


def test_resamples_without_landslides_are_left_out() -> None:
    score = np.array([0.2, 0.8])
    ground, slides = np.full((3, 2), 5.0), np.array([[1.0, 4.0], [0, 0], [0, 0]])
    found = block_interval([BlockCounts(score, ground, slides)], bootstrap.auc, seed=0)
    assert np.isfinite([found.low, found.high]).all()


def test_what_cannot_be_resampled() -> None:
    with pytest.raises(ValueError, match="at least one unit"):
        resampled_counts(0, seed=0)
    with pytest.raises(ValueError, match="same events"):
        event_difference([1.0], [1.0, 2.0], seed=0)
    with pytest.raises(ValueError, match="with a number"):
        interval(0.0, [np.nan], units=1)
    with pytest.raises(ValueError, match="known ground"):
        count_blocks(np.full((2, 2), np.nan), np.ones((2, 2)), np.zeros((2, 2), int))
    with pytest.raises(ValueError, match="one shape"):
        count_blocks(np.ones((2, 2)), np.ones((2, 3)), np.zeros((2, 2), int))
    one = count_blocks(np.ones((2, 2)), np.eye(2), np.arange(4).reshape(2, 2))
    two = count_blocks(np.ones((2, 2)), np.eye(2), np.zeros((2, 2), int))
    with pytest.raises(ValueError, match="same blocks"):
        block_difference([one], [two], bootstrap.auc, seed=0)


def test_an_interval_is_plain_data() -> None:
    assert event_interval([1.0, 1.0], seed=0).to_json() == {"estimate": 1.0, "low": 1.0, "high": 1.0, "units": 2}
