"""Elementary functions against numpy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headscarp.core.pci.elementary import arctangent, ln_row, tangent


@given(st.floats(0.0, 1e6, width=32))
@settings(deadline=None)
def test_arctangent(value: float) -> None:
    with np.errstate(divide="ignore", over="ignore"):
        found = arctangent(np.float32(value), np.float32(1.0) / np.float32(value))
    assert found == pytest.approx(np.degrees(np.arctan(value)), abs=1.2e-5)


@given(st.floats(0.0, 89.99))
@settings(deadline=None)
def test_tangent(degrees: float) -> None:
    assert tangent(np.radians(degrees)) == pytest.approx(np.tan(np.radians(degrees)), rel=1e-8, abs=1e-300)


@given(st.lists(st.floats(1e-30, 1e30), min_size=1, max_size=70))
@settings(deadline=None)
def test_logarithm(values: list[float]) -> None:
    expected = np.log(values).astype(np.float32)
    out = np.empty(len(values), np.float32)
    ln_row(np.array(values), out)
    np.testing.assert_allclose(out, expected, rtol=1.2e-7, atol=1e-12)


def test_logarithm_of_what_is_missing() -> None:
    out = np.zeros(3, np.float32)
    ln_row(np.array([1.0, np.nan, np.e]), out)
    np.testing.assert_allclose(out, [0.0, np.nan, 1.0], rtol=1e-7)
