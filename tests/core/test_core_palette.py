"""Palettes against the numbers USGS publishes and the eye's need for ever darker steps."""

from __future__ import annotations

import json
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from headscarp.core.palette import (
    ALPHA,
    COVERAGE,
    GROUND,
    SCORE,
    Bin,
    Palette,
    Shade,
    StatusPalette,
    hex_of,
    palette_for,
)
from headscarp.core.status import Status

USGS_BINS = (0.002, 0.01, 0.02, 0.05, 0.1, 0.2)
USGS_COLOURS = (
    (0.94, 0.94, 0.70),
    (0.90, 0.78, 0.18),
    (0.92, 0.45, 0.03),
    (0.75, 0.22, 0.36),
    (0.36, 0.16, 0.70),
    (0.12, 0.12, 0.39),
)


def luminance(rgb: tuple[int, int, int]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb)]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_coverage_has_the_bins_and_colours_of_usgs() -> None:
    assert COVERAGE.edges == USGS_BINS
    found = np.array([b.rgb for b in COVERAGE.bins]) / 255
    assert np.abs(found - USGS_COLOURS).max() < 1 / 255


@pytest.mark.parametrize("palette", [COVERAGE, SCORE])
def test_each_class_is_darker_than_the_one_below(palette: Palette) -> None:
    lights = [luminance(b.rgb) for b in palette.bins]
    assert all(high < low for low, high in pairwise(lights))


def test_score_and_coverage_share_neither_colours_nor_bins_nor_words() -> None:
    assert palette_for("score") is SCORE
    assert palette_for("coverage") is COVERAGE
    for attribute in ("lower", "rgb", "words"):
        ours = {getattr(b, attribute) for b in SCORE.bins}
        assert len(ours) == len(SCORE.bins)
        if attribute != "lower":
            assert ours.isdisjoint(getattr(b, attribute) for b in COVERAGE.bins)
    assert SCORE.edges != COVERAGE.edges


def test_nothing_about_the_score_calls_it_a_probability() -> None:
    text = json.dumps(SCORE.legend()) + SCORE.legend_text()
    assert "probab" not in text.lower()
    assert "not calibrated" in text


@pytest.mark.parametrize("palette", [COVERAGE, SCORE])
def test_an_edge_belongs_to_the_class_above_it(palette: Palette) -> None:
    edges = np.array(palette.edges, np.float32)
    numbers = np.arange(1, len(edges) + 1)
    np.testing.assert_array_equal(palette.classes(edges), numbers)
    np.testing.assert_array_equal(palette.classes(np.nextafter(edges, np.float32(-1))), numbers - 1)


def test_nan_zero_and_below_the_lowest_bin_are_transparent() -> None:
    pixels = COVERAGE.rgba(np.array([[np.nan, 0.0, 0.0019, 0.002, 1.0]], np.float32))
    assert pixels[0, :, 3].tolist() == [0, 0, 0, ALPHA, ALPHA]
    assert tuple(pixels[0, 4, :3]) == COVERAGE.bins[-1].rgb


@given(arrays(np.float32, (3, 5), elements=st.floats(0, 1, width=32) | st.just(np.nan)))
def test_classes_agree_with_numpy_digitize(raster: np.ndarray) -> None:
    expected = np.where(np.isnan(raster), 0, np.digitize(raster, np.float32(SCORE.edges)))
    np.testing.assert_array_equal(SCORE.classes(raster), expected)


@pytest.mark.parametrize("palette", [COVERAGE, SCORE])
def test_the_legend_tells_what_is_drawn(palette: Palette) -> None:
    entries = palette.legend()["entries"]
    middles = [(e["from"] + (e["to"] or 1.0)) / 2 for e in entries]
    drawn = palette.rgba(np.array([middles], np.float32))[0]
    assert [f"#{r:02x}{g:02x}{b:02x}" for r, g, b, _ in drawn.tolist()] == [e["color"] for e in entries]
    assert [e["to"] for e in entries[:-1]] == [e["from"] for e in entries[1:]]
    assert entries[-1]["to"] is None


def test_edges_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="must increase"):
        Palette("p", "t", "n", (Bin(0.2, (0, 0, 0), "a"), Bin(0.1, (1, 1, 1), "b")))


def test_the_ground_is_opaque_pale_and_tells_every_status_apart() -> None:
    colours = {status: GROUND.rgb(status) for status in Status}
    assert set(GROUND.table[1:, 3].tolist()) == {255}
    assert GROUND.table[0].tolist() == [0, 0, 0, 0]
    pairs = combinations(colours.values(), 2)
    assert min(np.abs(np.subtract(one, other)).max() for one, other in pairs) >= 16
    red, _, blue = colours[Status.SEA]
    assert blue - red > 30
    lights = {status: luminance(colour) for status, colour in colours.items()}
    assert lights[Status.VALID] > lights[Status.WEAK_SHAKING] > lights[Status.NODATA] > 0.3
    assert lights[Status.VALID] > max(luminance(b.rgb) for b in SCORE.bins)


def test_ranks_keep_doubt_and_land_before_sea() -> None:
    codes = np.array([[*Status, 77]], np.uint8)
    ranks = dict(zip(Status, GROUND.classes(codes)[0].tolist(), strict=False))
    assert GROUND.classes(codes).shape == codes.shape
    assert GROUND.classes(codes)[0, -1] == 0
    assert sorted(ranks, key=ranks.__getitem__) == [
        Status.SEA,
        Status.NODATA,
        Status.WEAK_SHAKING,
        Status.VALID,
        Status.OUT_OF_DOMAIN,
    ]
    assert [tuple(GROUND.table[ranks[status], :3]) for status in Status] == [GROUND.rgb(status) for status in Status]


def test_the_legend_of_the_ground_has_the_words_of_the_codes() -> None:
    entries = GROUND.legend()["entries"]
    assert [(e["value"], e["name"], e["label"]) for e in entries] == [(s.value, s.slug, s.words) for s in Status]
    assert [e["color"] for e in entries] == [hex_of(GROUND.rgb(status)) for status in Status]


def test_a_status_without_a_shade_is_refused() -> None:
    with pytest.raises(ValueError, match="one shade per status"):
        StatusPalette("p", "t", "n", (Shade(Status.SEA, (0, 0, 0)),))


def test_status_codes_are_the_published_ones_and_say_what_they_mean() -> None:
    assert [(s.value, s.slug) for s in Status] == [
        (0, "nodata"),
        (1, "valid"),
        (2, "sea"),
        (3, "weak_shaking"),
        (4, "out_of_domain"),
    ]
    assert len({s.words for s in Status}) == len(Status)
    assert "0.02 g" in Status.WEAK_SHAKING.words
