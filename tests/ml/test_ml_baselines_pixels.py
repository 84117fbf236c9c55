"""Which pixels are drawn and what is seen of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headscarp.core.normalisation import EventStatistics
from headscarp.errors import InvalidInput
from headscarp.ml import pixels
from headscarp.ml.pixels import PixelFeatures, balanced_pixels, draw_sample, window_moments
from tests.ml.hillsides import CHANNELS, hillside

SEEN = PixelFeatures(channels=CHANNELS)


def test_half_of_the_pixels_are_slides_and_all_are_known() -> None:
    scene, _ = hillside(1)
    drawn = balanced_pixels(scene, seed=0, most=100)
    assert drawn.size == np.unique(drawn).size == 200
    assert scene.slides.ravel()[drawn].sum() == 100
    assert scene.known.ravel()[drawn].all()
    assert balanced_pixels(scene, seed=0).size == 2 * scene.slides.sum()


def test_the_draw_depends_on_name_ground_and_seed_alone() -> None:
    scene, _ = hillside(1)
    drawn = balanced_pixels(scene, seed=0, most=100)
    np.testing.assert_array_equal(balanced_pixels(scene.selecting(("pga", "slope")), seed=0, most=100), drawn)
    ground = np.arange(128)[:, None] < 100
    others = [replace(scene, name="elsewhere"), scene.only(np.broadcast_to(ground, scene.label.shape))]
    assert all(not np.array_equal(balanced_pixels(other, seed=0, most=100), drawn) for other in others)
    assert not np.array_equal(balanced_pixels(scene, seed=1, most=100), drawn)


def test_scenes_count_the_same_and_the_base_rate_is_their_mean() -> None:
    large, small = hillside(1)[0], hillside(2, side=64)[0]
    calm = replace(hillside(3)[0], slides=np.zeros((128, 128), bool))
    sample = draw_sample([large, calm, small], SEEN, seed=0)
    first = 2 * int(large.slides.sum())
    assert sample.examples.shape == (sample.slides.size, len(CHANNELS))
    assert sample.examples.dtype == np.float32
    assert sample.weight[:first].sum() == pytest.approx(sample.weight[first:].sum())
    assert sample.weight.mean() == pytest.approx(1.0)
    assert np.average(sample.slides, weights=sample.weight) == pytest.approx(0.5)
    assert sample.prevalence == pytest.approx((large.slides.sum() / 16_000 + small.slides.sum() / 3_904) / 3)


def test_columns() -> None:
    features = PixelFeatures(channels=CHANNELS, absolute=("pga",), context_px=3)
    own = ("slope", "relief", "roughness", "ndvi", "pga", "aspect_east", "aspect_north", "pga")
    assert features.names == (*own, *(f"{name}_{what}" for name in own for what in ("mean", "std")), "lithology")
    raw = PixelFeatures(channels=CHANNELS, normalisation="training")
    assert raw.names == (*(name for name in CHANNELS if name != "lithology"), "lithology")


def test_features_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, _ = hillside(1, side=32)
    scene.stack[CHANNELS.index("lithology"), 0, :4] = [0.0, 17.0, np.nan, 16.0]
    features = PixelFeatures(channels=CHANNELS, absolute=("pga",), context_px=5)
    at = np.array([0, 1, 2, 3, 32 * 17 + 9, 1023])
    whole = features.at(scene, at)
    found = dict(zip(features.names, whole.T, strict=True))
    slope, pga = (scene.stack[CHANNELS.index(name)] for name in ("slope", "pga"))
    around = scene.statistics.scored("slope", slope)[15:20, 7:12]
    np.testing.assert_array_equal(found["lithology"][:4], [np.nan, np.nan, np.nan, 16.0])
    np.testing.assert_array_equal(found["pga"], pga.ravel()[at])
    assert found["slope_mean"][4] == pytest.approx(around.mean(), rel=1e-5)
    assert found["slope_std"][4] == pytest.approx(around.std(), rel=1e-5)
    assert found["pga_mean"][5] == pytest.approx(pga[-3:, -3:].mean(), rel=1e-5)
    monkeypatch.setattr(pixels, "STRIP_PIXELS", 32 * 3)
    np.testing.assert_allclose(features.at(scene, at), whole, rtol=1e-5)


def test_moments_equal_a_loop_over_windows() -> None:
    rng = np.random.default_rng(0)
    values = (2e5 + rng.normal(size=(23, 31))).astype(np.float32)
    values[rng.random(values.shape) < 0.6] = np.nan
    values[:9, :9] = np.nan
    mean, deviation = window_moments(values, 7)
    padded = np.pad(values.astype(np.float64), 3, constant_values=np.nan)
    for y, x in np.ndindex(values.shape):
        around = padded[y : y + 7, x : x + 7]
        inside = around[np.isfinite(around)]
        if not inside.size:
            assert np.isnan(mean[y, x])
            assert np.isnan(deviation[y, x])
            continue
        assert mean[y, x] == pytest.approx(inside.mean(), rel=1e-6)
        assert deviation[y, x] == pytest.approx(inside.std(), abs=0.02)
    assert np.isnan(mean).any()


@pytest.mark.parametrize("settings", [{"channels": ("slope", "colour")}, {"channels": CHANNELS, "context_px": 8}])
def test_refused(settings: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match=r"colour|odd"):
        PixelFeatures(**settings)


def test_statistics_that_lack_a_channel() -> None:
    scene = replace(hillside(1)[0], statistics=EventStatistics({"pga": tuple(np.arange(13.0))}))
    with pytest.raises(InvalidInput, match="found none of slope"):
        SEEN.at(scene, np.arange(3))
