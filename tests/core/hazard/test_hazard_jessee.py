"""The formula in scalars, its masks and codes, and the predictor around it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headscarp.core.hazard import jessee
from headscarp.core.hazard.jessee import NowickiJessee
from headscarp.core.predictor import Predictor
from headscarp.tables.legends import GLIM, WORLDCOVER


def by_hand(slope: float, pgv: float, lithology: float, cti: float, cover: float) -> tuple[float, float, float]:
    """P, coverage and d coverage / dP in scalars."""
    x = -6.30 + 1.65 * math.log(pgv) + 0.06 * slope + lithology + 0.03 * cti + cover + 0.01 * math.log(pgv) * slope
    p = 1 / (1 + math.exp(-x))
    areal = math.exp(-7.592 + 5.237 * p - 3.042 * p * p + 4.035 * p**3)
    return p, areal, areal * (5.237 - 6.084 * p + 12.105 * p * p)


def one(slope: float, pgv: float, **terms: float) -> float:
    given_terms = {"lithology_term": -1.36, "cti": 5.0, "land_cover_term": 0.91, **terms}
    return float(jessee.coverage(np.array(slope), np.array(pgv), **given_terms))


@given(
    st.floats(2.01, 90.0),
    st.floats(0.1, 211.0),
    st.floats(-2.0, 0.0),
    st.floats(0.0, 19.0),
    st.floats(-1.3, 2.4),
)
def test_equals_scalars(slope: float, pgv: float, lithology: float, cti: float, cover: float) -> None:
    _, expected, _ = by_hand(slope, pgv, lithology, cti, cover)
    assert one(slope, pgv, lithology_term=lithology, cti=cti, land_cover_term=cover) == pytest.approx(expected)


def test_range_of_coverage() -> None:
    assert one(45.0, 1e-9) == pytest.approx(0.000504, abs=1e-6)
    assert one(90.0, 211.0, lithology_term=9.0) == pytest.approx(0.2561, abs=1e-4)


@pytest.mark.parametrize(("slope", "zero"), [(0.0, True), (2.0, True), (2.001, False), (90.0, False), (90.1, True)])
def test_flat_and_impossible_slopes_are_zero_not_nodata(slope: float, zero: bool) -> None:
    assert (one(slope, 40.0) == 0.0) is zero


def test_clips() -> None:
    assert one(30.0, 500.0) == one(30.0, 211.0) > one(30.0, 200.0)
    assert one(30.0, 40.0, cti=25.0) == one(30.0, 40.0, cti=19.0) > one(30.0, 40.0, cti=18.0)
    assert one(30.0, 40.0, cti=-3.0) == one(30.0, 40.0, cti=0.0)


@pytest.mark.parametrize("slope", [1.0, 30.0])
def test_nan_stays_nan_even_on_flat_ground(slope: float) -> None:
    assert math.isnan(one(slope, math.nan))
    assert math.isnan(one(math.nan, 40.0))
    assert math.isnan(one(slope, 40.0, cti=math.nan))


@given(st.floats(2.5, 60.0), st.floats(1.0, 200.0), st.floats(0.05, 0.9))
def test_sigma_is_the_slope_of_coverage(slope: float, pgv: float, pgv_ln_std: float) -> None:
    """Against a finite difference in ln PGV."""
    terms = {"lithology_term": -1.0, "cti": 5.0, "land_cover_term": 0.5}
    found = jessee.sigma(np.array(slope), np.array(pgv), **terms, pgv_ln_std=pgv_ln_std, model_std=0.0)
    step = 1e-4
    high, low = (one(slope, pgv * math.exp(s), **terms) for s in (step, -step))
    assert float(found) == pytest.approx((high - low) / (2 * step) * pgv_ln_std, rel=1e-3)


def test_sigma_is_not_masked_on_flat_ground() -> None:
    found = jessee.sigma(
        np.array(1.0), np.array(40.0), lithology_term=-1.0, cti=5.0, land_cover_term=0.5, pgv_ln_std=0.5
    )
    _, _, gradient = by_hand(1.0, 40.0, -1.0, 5.0, 0.5)
    p, _, _ = by_hand(1.0, 40.0, -1.0, 5.0, 0.5)
    spread = math.sqrt((1.66 * 0.5) ** 2 + 0.03**2) * p * (1 - p)
    assert float(found) == pytest.approx(gradient * spread)


def test_every_legend_code_has_its_own_term() -> None:
    assert set(jessee.LITHOLOGY_TERMS) == set(GLIM)
    assert set(jessee.WORLDCOVER_TO_GLOBCOVER) == set(WORLDCOVER)
    assert set(jessee.WORLDCOVER_TO_GLOBCOVER.values()) <= set(jessee.GLOBCOVER_TERMS)
    assert jessee.GLOBCOVER_TERMS[170] == jessee.GLOBCOVER_TERMS[180]


@pytest.mark.parametrize("code", [0.0, np.nan, 17.0, 300.0, -1.0, 2.5, np.inf])
def test_codes_outside_the_legend_are_no_data(code: float) -> None:
    assert float(jessee.lithology_terms(np.array([code]))[0]) == pytest.approx(-0.66)
    if code != 17.0:
        assert float(jessee.land_cover_terms(np.array([code]))[0]) == pytest.approx(-1.08)


def test_codes_by_name() -> None:
    su, mt, water, trees = 1.0, 8.0, 11.0, 10.0
    np.testing.assert_allclose(jessee.lithology_terms(np.array([su, mt, water])), [-1.36, -1.87, 0.0])
    np.testing.assert_allclose(jessee.land_cover_terms(np.array([trees, 80.0, 40.0])), [1.50, 0.0, 0.91])
    np.testing.assert_allclose(jessee.land_cover_terms(np.array([11.0, 160.0]), "globcover"), [0.0, 2.34])


def stack() -> np.ndarray:
    rng = np.random.default_rng(1)
    layers = [rng.uniform(0, 50, (6, 7)), rng.uniform(1, 90, (6, 7)), rng.integers(0, 17, (6, 7))]
    layers += [rng.uniform(2, 15, (6, 7)), rng.choice([0, 10, 30, 80], (6, 7))]
    return np.stack(layers).astype(np.float32)


def test_predictor_is_the_formula() -> None:
    model: Predictor = NowickiJessee()
    values = stack()
    found = model.predict(values)
    assert found.dtype == np.float32
    for y, x in np.ndindex(found.shape):
        slope, pgv, lithology, twi, cover = (float(v) for v in values[:, y, x])
        terms = {
            "lithology_term": jessee.LITHOLOGY_TERMS.get(int(lithology), -0.66),
            "land_cover_term": {0: -1.08, 10: 1.5, 30: 1.03, 80: 0.0}[int(cover)],
        }
        assert found[y, x] == pytest.approx(one(slope, pgv, cti=twi, **terms), rel=1e-4)


def test_predictor_lives_without_optional_channels() -> None:
    model, values = NowickiJessee(), stack()
    for name in set(model.channels) - model.required:
        values[model.channels.index(name)] = np.nan
    assert np.isfinite(model.predict(values)).all()
    for name in model.required:
        gap = stack()
        gap[model.channels.index(name), 2, 3] = np.nan
        assert np.argwhere(np.isnan(model.predict(gap))).tolist() == [[2, 3]]


def test_predictor_refuses_a_wrong_stack() -> None:
    with pytest.raises(ValueError, match=r"expected \(5, y, x\), found \(4, 6, 7\)"):
        NowickiJessee().predict(stack()[:4])
