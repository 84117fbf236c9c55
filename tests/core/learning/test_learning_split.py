"""Folds: disjoint, buffered, balanced, the same on every machine; events and clusters left out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from scipy import ndimage
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from headscarp.core.learning.split import (
    BlockFolds,
    EventFold,
    block_folds,
    distances_km,
    event_clusters,
    leave_clusters_out,
    leave_one_out,
    named_split,
)

seeds = st.integers(0, 2**32 - 1)


def inventory(seed: int, shape: tuple[int, int] = (230, 310)) -> tuple[np.ndarray, np.ndarray]:
    """Clustered landslides on an extent with a corner unknown."""
    rng = np.random.default_rng(seed)
    density = ndimage.gaussian_filter(rng.random(shape), 25)
    slides = rng.random(shape) < 0.1 * (density > np.quantile(density, 0.5))
    known = np.ones(shape, bool)
    known[:60, :60] = False
    return slides, known


@settings(max_examples=20, deadline=None)
@given(seed=seeds, folds=st.integers(2, 5), buffer_px=st.integers(0, 20))
def test_no_training_pixel_lies_within_the_buffer_of_its_test(seed: int, folds: int, buffer_px: int) -> None:
    slides, known = inventory(seed)
    found = block_folds(slides, known, folds=folds, block_px=50, buffer_px=buffer_px)
    tests = [found.test(k) for k in range(folds)]
    assert (np.sum(tests, axis=0) <= 1).all()
    assert (np.any(tests, axis=0) >= known).all()
    for k, test in enumerate(tests):
        training = found.training(k)
        assert not (training & test).any()
        assert training.any()
        # chessboard distance, since a receptive field is a square
        distance = ndimage.distance_transform_cdt(~test, "chessboard")
        assert distance[training].min() > buffer_px
        kept = (distance > buffer_px) & np.any([t for j, t in enumerate(tests) if j != k], axis=0)
        np.testing.assert_array_equal(training, kept)


@pytest.mark.parametrize("seed", range(5))
def test_folds_have_similar_landslide_area(seed: int) -> None:
    slides, known = inventory(seed, shape=(600, 600))
    found = block_folds(slides, known, folds=5, block_px=60, buffer_px=10)
    area = [int((slides & known & found.test(k)).sum()) for k in range(5)]
    assert max(area) / min(area) < 1.15


def test_blocks_are_at_least_as_wide_as_asked_and_cover_all() -> None:
    slides, known = inventory(1)
    found = block_folds(slides, known, folds=3, block_px=64, buffer_px=8, window_px=64)
    assert found.block_px >= 64
    blocks = found.blocks()
    assert blocks.shape == slides.shape
    assert set(np.unique(blocks)) <= {-1, *range(blocks.max() + 1)}
    assert (blocks[known] >= 0).all()
    for number in np.unique(blocks[blocks >= 0]):
        ys, xs = np.nonzero(blocks == number)
        assert (np.ptp(ys) + 1) * (np.ptp(xs) + 1) == ys.size


def test_ground_where_nothing_is_known_belongs_to_no_fold() -> None:
    slides, known = inventory(2)
    known[:, :130] = False
    found = block_folds(slides, known, folds=2, block_px=60, buffer_px=5)
    assert found.blocks()[0, 0] == -1
    assert not found.test(0)[:, :100].any()
    assert not found.training(0)[:, :100].any()


def test_folds_are_the_same_every_time_and_survive_their_file() -> None:
    slides, known = inventory(3)
    found = block_folds(slides, known, folds=4, block_px=50, buffer_px=12)
    assert found == block_folds(slides, known, folds=4, block_px=50, buffer_px=12)
    text = json.dumps(found.to_json())
    assert len(text) < 300
    again = BlockFolds.from_json(json.loads(text))
    assert again == found
    np.testing.assert_array_equal(again.training(2), found.training(2))


def test_more_than_ten_folds_survive_their_file() -> None:
    slides, known = np.ones((120, 120), bool), np.ones((120, 120), bool)
    found = block_folds(slides, known, folds=12, block_px=20, buffer_px=2)
    assert BlockFolds.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": ["0 1", "1"]}, "one length"),
        ({"folds": [""]}, "one length"),
        ({"shape": None}, "found no shape"),
    ],
)
def test_a_damaged_file_is_refused(change: dict[str, object], message: str) -> None:
    whole = {"shape": [10, 10], "buffer_px": 2, "folds": ["0 1", "1 0"]}
    damaged = {k: v for k, v in (whole | change).items() if v is not None}
    with pytest.raises(ValueError, match=message):
        BlockFolds.from_json(damaged)


def test_what_would_leak_or_cannot_be_judged_is_refused() -> None:
    slides, known = inventory(4)
    with pytest.raises(ValueError, match="no larger than a block"):
        block_folds(slides, known, folds=2, block_px=50, buffer_px=5, window_px=80)
    few = np.zeros_like(slides)
    few[100, 100] = True
    with pytest.raises(ValueError, match="landslides in every fold"):
        block_folds(few, known, folds=3, block_px=50, buffer_px=5)
    with pytest.raises(ValueError, match="2 folds or more"):
        block_folds(slides, known, folds=1, block_px=50, buffer_px=5)
    with pytest.raises(ValueError, match="one shape"):
        block_folds(slides, known[:10], folds=2, block_px=50, buffer_px=5)


def test_distances_are_great_circles() -> None:
    lon, lat = np.array([-179.0, 179.5, 84.7, 85.3, 0.0]), np.array([10.0, 10.2, 28.2, 27.8, 90.0])
    found = distances_km(lon, lat)
    geod = Geod(a=6371000.0, b=6371000.0)
    for i in range(5):
        for j in range(5):
            assert found[i, j] == pytest.approx(geod.inv(lon[i], lat[i], lon[j], lat[j])[2] / 1000, abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_clusters_are_those_of_single_linkage(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lon, lat = rng.uniform(100, 106, 15), rng.uniform(28, 33, 15)
    found = event_clusters(lon, lat, within_km=120.0)
    oracle = fcluster(linkage(squareform(distances_km(lon, lat), checks=False), "single"), 119.999999, "distance")
    same = np.equal.outer(found, found)
    np.testing.assert_array_equal(same, np.equal.outer(oracle, oracle))
    assert list(dict.fromkeys(found)) == list(range(max(found) + 1))


def test_the_clusters_of_the_specification() -> None:
    # Gorkha, Dolakha; Haiti 2010, Nippes 2021; Wenchuan, Lushan, Luding in a chain; Kaikoura alone; across 180 degrees
    lon = [84.73, 86.07, -72.57, -73.48, 103.32, 102.95, 102.08, 173.05, 179.6, -179.7]
    lat = [28.23, 27.81, 18.44, 18.41, 31.00, 30.30, 29.59, -42.74, -17.0, -17.0]
    assert event_clusters(lon, lat) == (0, 0, 1, 1, 2, 2, 2, 3, 4, 4)


def test_footprints_that_overlap_join_clusters() -> None:
    lon, lat = [0.0, 10.0, 20.0], [0.0, 0.0, 0.0]
    assert event_clusters(lon, lat) == (0, 1, 2)
    assert event_clusters(lon, lat, overlapping=[(2, 0)]) == (0, 1, 0)


def test_each_cluster_is_left_out_once() -> None:
    folds = leave_clusters_out(("a", "b", "c", "d"), (0, 1, 0, 2))
    assert [f.test for f in folds] == [("a", "c"), ("b",), ("d",)]
    assert folds[0].training == ("b", "d")
    assert folds[0].name == "a+c"
    assert [f.test for f in leave_one_out(("x", "y"))] == [("x",), ("y",)]
    assert folds[1].to_json() == {"name": "b", "test": ["b"], "training": ["a", "c", "d"]}


def test_the_papers_split_is_a_named_protocol() -> None:
    events = [f"e{k}" for k in range(38)]
    fold = named_split("paper-33/5", events, ["e3", "e1", "e30", "e7", "e9"])
    assert (len(fold.training), len(fold.test)) == (33, 5)
    assert fold.test == ("e1", "e3", "e7", "e9", "e30")
    with pytest.raises(ValueError, match="found no e99"):
        named_split("paper-33/5", events, ["e99"])


def test_leaks_between_events_are_refused() -> None:
    with pytest.raises(ValueError, match="disjoint"):
        EventFold("f", ("a", "b"), ("b", "c"))
    with pytest.raises(ValueError, match="disjoint"):
        leave_clusters_out(("a", "b"), (0, 0))
    with pytest.raises(ValueError, match="each event once"):
        leave_one_out(("a", "a"))
