"""Newmark's sliding block against statics, a printed table's order and its own limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headscarp.core.hazard.newmark import (
    FAILED_FRACTION,
    GODT_2008,
    NewmarkPredictor,
    critical_acceleration,
    displacement_eq6,
    displacement_eq7,
    factor_of_safety,
    failure_probability,
    strengths,
)
from headscarp.core.predictor import Predictor

SLOPES, RATIOS = st.floats(1.0, 80.0), st.floats(0.01, 0.99)


@given(SLOPES, st.floats(0.0, 60.0), st.floats(5.0, 45.0), st.floats(0.0, 1.0))
def test_safety_is_resisting_over_driving_stress(slope: float, c: float, phi: float, wet: float) -> None:
    """Stresses on the base of a column, water pressure taken off the normal stress."""
    a, depth, weight = math.radians(slope), GODT_2008.thickness_m, GODT_2008.weight_kn_m3
    driving = weight * depth * math.sin(a)
    resisting = c + (weight * depth * math.cos(a) - wet * 9.81 * depth * math.cos(a)) * math.tan(math.radians(phi))
    found = factor_of_safety(slope, c, friction=phi, saturated=wet)
    assert float(found) == pytest.approx(resisting / driving, rel=1e-9)


def test_dry_sand_stands_at_its_friction_angle() -> None:
    assert float(factor_of_safety(33.0, 0.0, friction=33.0)) == pytest.approx(1.0)


def test_flat_ground_never_fails() -> None:
    safety = factor_of_safety(np.array([0.0, np.nan]), 10.0, friction=30.0)
    assert safety[0] == math.inf and math.isnan(safety[1])
    acceleration = critical_acceleration(np.array([0.0, np.nan]), safety)
    assert acceleration[0] == math.inf and math.isnan(acceleration[1])
    assert failure_probability(displacement_eq6(acceleration[:1] / 0.5))[0] == 0.0


def test_critical_acceleration_and_its_floors() -> None:
    assert float(critical_acceleration(30.0, 1.6)) == pytest.approx(0.6 * 0.5)
    assert float(critical_acceleration(30.0, 0.7)) == 0.05
    assert float(critical_acceleration(2.0, 1.5)) == 0.05


@given(RATIOS)
def test_displacement_equals_its_logarithmic_form(ratio: float) -> None:
    eq6 = 0.215 + math.log10((1 - ratio) ** 2.341 * ratio**-1.438)
    eq7 = -2.710 + math.log10((1 - ratio) ** 2.335 * ratio**-1.478) + 0.424 * 7.1
    assert math.log10(float(displacement_eq6(ratio))) == pytest.approx(eq6, abs=1e-9)
    assert math.log10(float(displacement_eq7(ratio, 7.1))) == pytest.approx(eq7, abs=1e-9)


def test_both_displacements_agree_for_an_average_quake() -> None:
    """The two regressions are of the same records: they cross between magnitudes 6 and 7.5."""
    ratios = np.linspace(0.1, 0.8, 50)
    low, high = displacement_eq7(ratios, 6.0), displacement_eq7(ratios, 7.5)
    middle = displacement_eq6(ratios)
    assert ((low < middle) & (middle < high)).all()


def test_no_movement_below_the_critical_acceleration() -> None:
    np.testing.assert_array_equal(displacement_eq6(np.array([1.0, 1.5, np.inf])), 0.0)
    assert math.isnan(float(displacement_eq6(math.nan)))


@given(RATIOS, st.floats(0.001, 0.2))
def test_weaker_ground_moves_further(ratio: float, step: float) -> None:
    assert float(displacement_eq6(ratio)) > float(displacement_eq6(min(ratio + step, 1.0)))


def test_probability_limits() -> None:
    assert float(failure_probability(0.0)) == 0.0
    assert float(failure_probability(1e4)) == pytest.approx(FAILED_FRACTION)
    assert float(failure_probability(5.0)) == pytest.approx(0.335 * (1 - math.exp(-0.048 * 5.0**1.565)))
    assert (np.diff(failure_probability(np.linspace(0, 40, 200))) > 0).all()


def test_strengths_of_codes() -> None:
    cohesion, friction = strengths(np.array([1.0, 9.0, 0.0, np.nan, 400.0, 11.0]))
    np.testing.assert_array_equal(cohesion, [5.0, 17.5, 10.0, 10.0, 10.0, 10.0])
    np.testing.assert_array_equal(friction, [30.0, 38.0, 34.0, 34.0, 34.0, 34.0])


def test_predictor_needs_slope_and_shaking_only() -> None:
    model: Predictor = NewmarkPredictor()
    slope, pga = np.meshgrid(np.linspace(0, 60, 13), np.linspace(0, 1.2, 9))
    stack = np.stack([slope, pga, np.full(slope.shape, np.nan)]).astype(np.float32)
    found = model.predict(stack)
    assert found.dtype == np.float32 and np.isfinite(found).all()
    assert (found[:, 0] == 0).all() and (found[0] == 0).all() and found.max() > 0.3
    assert (np.diff(found, axis=0) >= 0).all(), "more shaking, more sliding"
    stack[:2, 4, 6] = np.nan
    assert np.argwhere(np.isnan(model.predict(stack))).tolist() == [[4, 6]]
    with pytest.raises(ValueError, match=r"expected \(3, y, x\)"):
        model.predict(stack[:2])


def test_predictor_averages_over_scattered_strength() -> None:
    """Against plain sampling of strength for one steep pixel."""
    stack = np.array([38.0, 0.4, 3.0], np.float32)[:, None, None]
    rng = np.random.default_rng(0)
    cohesion, friction = (float(v) for v in strengths(3.0))
    safety = float(factor_of_safety(38.0, cohesion, friction=friction)) * np.exp(0.3 * rng.standard_normal(200_000))
    sampled = failure_probability(displacement_eq6(critical_acceleration(38.0, safety) / 0.4)).mean()
    assert float(NewmarkPredictor().predict(stack)[0, 0]) == pytest.approx(sampled, rel=0.1)
