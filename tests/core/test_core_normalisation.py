"""Event statistics: ranks become normal scores, whatever the distribution, and nothing malformed passes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, rankdata

from headscarp.core.normalisation import LEVELS, MAX_CHANNELS, SCORES, EventStatistics
from headscarp.errors import InvalidInput

RISING = tuple(float(n) for n in range(len(SCORES)))
quantiles = st.lists(st.floats(-1e6, 1e6, width=32), min_size=len(SCORES), max_size=len(SCORES)).map(
    lambda values: tuple(sorted(values))
)


@pytest.mark.parametrize("shape", ["normal", "exponential", "two slopes"])
def test_scores_are_normal_scores_of_ranks(shape: str) -> None:
    rng = np.random.default_rng(0)
    drawn = {
        "normal": rng.normal(7.0, 3.0, 20_000),
        "exponential": np.exp(rng.normal(0.0, 2.0, 20_000)),
        "two slopes": np.concatenate([rng.normal(3, 1, 12_000), rng.normal(30, 5, 8_000)]),
    }[shape].astype(np.float32)
    found = EventStatistics.of({"slope": drawn}).scored("slope", drawn)
    expected = np.clip(norm.ppf((rankdata(drawn) - 0.5) / drawn.size), SCORES[0], SCORES[-1])
    # Between quantiles the curve is linear in the value, not in the score.
    assert np.abs(found - expected).mean() < 0.05
    assert np.abs(found - expected).max() < 0.35
    assert found.mean() == pytest.approx(0.0, abs=0.04)
    assert found.std() == pytest.approx(1.0, abs=0.04)


def test_quantiles_are_those_of_numpy_and_skip_what_is_missing() -> None:
    values = np.random.default_rng(1).gamma(2.0, 3.0, 5_000)
    holed = np.concatenate([values, [np.nan] * 700, [np.inf, -np.inf]])
    found = EventStatistics.of({"relief": holed}).quantiles["relief"]
    np.testing.assert_allclose(found, np.quantile(values, LEVELS), rtol=1e-5)


def test_values_that_many_pixels_share_have_the_mean_of_their_scores() -> None:
    dry = np.concatenate([np.zeros(6_000), np.linspace(1.0, 2.0, 4_000)])
    event = EventStatistics.of({"ndvi": dry})
    at_zero = [score for score, level in zip(SCORES, LEVELS, strict=True) if level < 0.6]
    assert float(event.scored("ndvi", np.zeros(1, np.float32))[0]) == pytest.approx(np.mean(at_zero))
    flat = EventStatistics.of({"pga": np.full(100, 0.3)})
    np.testing.assert_array_equal(flat.scored("pga", np.array([0.1, 0.3, 0.9], np.float32)), 0.0)


@given(quantiles, st.lists(st.floats(-2e6, 2e6, width=32), min_size=2, max_size=20))
def test_a_larger_value_never_ranks_lower(table: tuple[float, ...], values: list[float]) -> None:
    found = EventStatistics({"slope": table}).scored("slope", np.sort(np.array(values, np.float32)))
    assert (np.diff(found) >= -1e-6).all()
    assert np.abs(found).max() <= SCORES[-1]


def test_missing_values_stay_missing_and_an_unknown_channel_is_ordinary() -> None:
    event = EventStatistics({"slope": RISING, "ndvi": ()})
    assert np.isnan(event.scored("slope", np.array([np.nan], np.float32))).all()
    assert event.scored("ndvi", np.array([0.7], np.float32)).tolist() == [0.0]


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True), st.just(()) | quantiles, max_size=5))
def test_text_keeps_every_bit(tables: dict[str, tuple[float, ...]]) -> None:
    event = EventStatistics(tables)
    again = EventStatistics.from_json(event.to_json())
    assert again == event
    assert again.digest == event.digest
    assert EventStatistics.from_plain(event.to_plain()) == event


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "1", "null", '"x"', '{"slope": 3}', '{"slope": [1, 2]}', '{"slope": ["1"]}', '{"slope": [true]}',
        json.dumps({"slope": [0.0] * 12 + [float("nan")]}), json.dumps({"slope": [0.0] * 12 + [float("inf")]}),
        json.dumps({"slope": [*RISING[1:], 0.0]}), json.dumps({"Slope": RISING}), json.dumps({"slope; drop": RISING}),
        json.dumps({"slope": [0.0] * 12 + [1e31]}), '{"slope": [0,0,0,0,0,0,0,0,0,0,0,0,' + "9" * 4000 + "]}",
        "[" * 100_000, json.dumps({f"c{n}": RISING for n in range(MAX_CHANNELS + 1)}),
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="event statistics"):
        EventStatistics.from_json(text)


def test_a_channel_that_is_not_there_is_named() -> None:
    event = EventStatistics({"slope": RISING, "pga": RISING})
    assert set(event.only(("pga",)).quantiles) == {"pga"}
    with pytest.raises(InvalidInput, match="found none of twi"):
        event.only(("slope", "twi"))


def test_the_text_of_many_channels_fits_a_header() -> None:
    rng = np.random.default_rng(2)
    samples: dict[str, Any] = {f"channel_{n:02d}": np.exp(rng.normal(0, 3, 1_000)) for n in range(20)}
    assert len(EventStatistics.of(samples).to_json()) < 6 << 10
