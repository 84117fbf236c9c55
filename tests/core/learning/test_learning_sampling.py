"""Which pixels are drawn: by the protocol, deterministically, and never outside it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from headscarp.core.learning.sampling import matched_sample, paper_sample, selection_sample

seeds = st.integers(0, 2**32 - 1)


def event(seed: int, shape: tuple[int, int] = (60, 70)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coverage, PGA and what is known."""
    rng = np.random.default_rng(seed)
    coverage = np.clip(ndimage.gaussian_filter((rng.random(shape) < 0.02).astype(float), 1.0) * 12 - 0.3, 0, 1)
    return coverage, rng.uniform(0.05, 0.4, shape), rng.random(shape) < 0.9


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_the_papers_sample_is_balanced_and_within_its_rules(seed: int) -> None:
    coverage, pga, known = event(seed)
    coverage[0, 0], coverage[0, 1], pga[0, 1], known[0, :2] = 1.0, 0.0, 0.3, True
    positives, negatives = paper_sample(coverage, pga, known, seed=seed)
    assert positives.size == negatives.size > 0
    assert (coverage.ravel()[positives] == 1.0).all()
    assert (coverage.ravel()[negatives] == 0.0).all()
    assert (pga.ravel()[negatives] > 0.12).all()
    assert known.ravel()[np.concatenate([positives, negatives])].all()
    again = paper_sample(coverage, pga, known, seed=seed)
    np.testing.assert_array_equal(negatives, again[1])


def test_another_seed_draws_others() -> None:
    coverage, pga, known = event(3)
    first, second = (paper_sample(coverage, pga, known, seed=s)[1] for s in (0, 1))
    assert not np.array_equal(first, second)


def test_negatives_are_drawn_evenly() -> None:
    coverage, pga = np.zeros((100, 100)), np.full((100, 100), 0.3)
    coverage[:10] = 1.0
    drawn = np.concatenate([paper_sample(coverage, pga, pga > 0, seed=s)[1] for s in range(50)])
    # 1000 of 9000 pixels fifty times: the northern half of them gets half
    assert np.mean(drawn < 5500) == pytest.approx(0.5, abs=0.01)


def test_matched_negatives_have_the_slope_of_the_slides() -> None:
    rng = np.random.default_rng(0)
    slope = rng.uniform(0, 60, (300, 300))
    slides = rng.random((300, 300)) < 0.1 * (slope / 60) ** 2
    positives, negatives = matched_sample(slope, slides, np.ones_like(slides), seed=1)
    flat = slope.ravel()
    assert positives.size == negatives.size
    assert (
        np.abs(np.quantile(flat[positives], [0.1, 0.5, 0.9]) - np.quantile(flat[negatives], [0.1, 0.5, 0.9])).max() < 1
    )
    assert np.median(flat[~slides.ravel()]) < np.median(flat[negatives]) - 5
    assert slides.ravel()[positives].all()
    assert not slides.ravel()[negatives].any()


def test_the_selection_sample_keeps_its_distance() -> None:
    coverage, pga, known = event(5)
    slides = coverage > 0.5
    positives, negatives = selection_sample(slides, known, pga, seed=0, size=40)
    distance = ndimage.distance_transform_edt(~slides).ravel()
    assert positives.size == negatives.size == 40
    assert (distance[negatives] >= 2).all()
    assert (pga.ravel()[np.concatenate([positives, negatives])] > 0.12).all()
    assert slides.ravel()[positives].all()


def test_an_event_without_slides_cannot_be_sampled() -> None:
    nothing, everything = np.zeros((5, 5), bool), np.ones((5, 5), bool)
    for draw in (
        lambda: paper_sample(nothing, everything, everything, seed=0),
        lambda: matched_sample(everything, nothing, everything, seed=0),
        lambda: selection_sample(nothing, everything, everything, seed=0),
    ):
        with pytest.raises(ValueError, match="both classes"):
            draw()


def test_shapes_must_agree() -> None:
    a, b = np.ones((2, 2)), np.ones((2, 3))
    for draw in (paper_sample, matched_sample):
        with pytest.raises(ValueError, match="one shape"):
            draw(a, b, a, seed=0)
    with pytest.raises(ValueError, match="one shape"):
        selection_sample(a, a, b, seed=0)
