"""Landslide frequencies with answers known from how the pixels were drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headscarp.core.learning.frequency import Frequency, by_class, by_interval


def slopes_and_slides() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slopes 0 to 99 degrees, a hundred pixels each; from 30 to 39 every tenth slid, elsewhere every hundredth."""
    slope, number = np.meshgrid(np.arange(100.0), np.arange(100), indexing="ij")
    slides = np.where((slope >= 30) & (slope < 40), number % 10 == 0, number == 0)
    return slope, slides, np.ones_like(slides)


def test_a_planted_preference_comes_out_as_it_was_planted() -> None:
    found = by_interval(*slopes_and_slides(), edges=range(0, 101, 10))
    assert found.ground.tolist() == [1000] * 10
    assert found.slides.tolist() == [10, 10, 10, 100, 10, 10, 10, 10, 10, 10]
    assert found.mode == 3
    np.testing.assert_allclose(found.ratio()[[0, 3]], [10 / 190 * 10, 100 / 190 * 10])
    assert (found.slide_share.sum(), found.ground_share.sum()) == (pytest.approx(1), pytest.approx(1))


def test_where_slides_ignore_the_indicator_every_ratio_is_one() -> None:
    slope, _, mapped = slopes_and_slides()
    slides = np.tile(np.arange(100) % 4 == 0, (100, 1))
    np.testing.assert_allclose(by_interval(slope, slides, mapped, edges=[0, 7, 30, 90]).ratio(), 1)


def test_ignored_ground_and_missing_values_are_not_counted() -> None:
    slope, slides, mapped = slopes_and_slides()
    mapped[:50] = False
    slope[60:70, :50] = np.nan
    found = by_interval(slope, slides, mapped, edges=[0, 50, 60, 70, 90])
    assert found.ground.tolist() == [0, 1000, 500, 2000]
    assert found.slides.tolist() == [0, 10, 0, 20]
    assert np.isnan(found.ratio()[0])
    assert np.isnan(found.ratio(at_least=501)[2])


def test_an_interval_holds_its_lower_edge_only() -> None:
    everywhere = np.ones(4, dtype=bool)
    found = by_interval([0.0, 1.0, 2.0, -0.1], everywhere, everywhere, edges=[0, 1, 2])
    assert found.ground.tolist() == [1, 1]


def test_classes_are_counted_by_code_in_the_order_asked_for() -> None:
    codes = np.array([[10, 10, 60, 60], [60, 60, 0, np.nan]])
    slides = np.array([[True, False, True, True], [True, True, True, True]])
    found = by_class(codes, slides, np.ones_like(slides), classes=[60, 10, 20])
    assert found.ground.tolist() == [4, 2, 0]
    assert found.slides.tolist() == [4, 1, 0]
    np.testing.assert_allclose(found.ratio()[:2], [(4 / 5) / (4 / 6), (1 / 5) / (2 / 6)])


def test_the_run_around_the_mode_stops_at_the_first_low_class() -> None:
    slides = np.array([60, 10, 55, 100, 50, 49, 90])
    found = Frequency(ground=slides * 0 + 1000, slides=slides)
    assert found.around_mode() == (2, 4)
    assert found.around_mode(0.0) == (0, 6)


def test_without_landslides_there_is_no_mode() -> None:
    found = by_interval([1.0], [False], [True], edges=[0, 2])
    assert np.isnan(found.slide_share).all() and np.isnan(found.ratio()).all()
    with pytest.raises(ValueError, match="none with a value"):
        found.around_mode()


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        by_interval(np.zeros((2, 3)), np.zeros((3, 2)), np.ones((2, 3)), edges=[0, 1])
    with pytest.raises(ValueError, match="ascending"):
        by_interval([1.0], [True], [True], edges=[1, 1])
    with pytest.raises(ValueError, match="each class once"):
        by_class([1], [True], [True], classes=[1, 1])


@given(
    pixels=st.lists(st.tuples(st.floats(-5, 15) | st.just(float("nan")), st.booleans(), st.booleans()), min_size=1),
    edges=st.lists(st.integers(-4, 14), min_size=2, max_size=6, unique=True).map(sorted),
)
def test_counts_are_those_of_numpy(pixels: list[tuple[float, bool, bool]], edges: list[int]) -> None:
    values, slides, mapped = (np.array(column) for column in zip(*pixels, strict=True))
    found = by_interval(values, slides, mapped, edges=edges)
    kept = mapped & (values < edges[-1])  # numpy's last interval holds its upper edge too
    assert found.ground.tolist() == np.histogram(values[kept], edges)[0].tolist()
    assert found.slides.tolist() == np.histogram(values[kept & slides], edges)[0].tolist()
    base = found.slides.sum() / found.ground.sum() if found.ground.sum() else 0
    where = np.isfinite(found.ratio())
    np.testing.assert_allclose(found.ratio()[where] * base, (found.slides / np.maximum(found.ground, 1))[where])
