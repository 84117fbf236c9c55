"""Formulas that learn nothing, on values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from headscarp.core.hazard.jessee import NowickiJessee
from headscarp.core.hazard.newmark import STRENGTH_UNKNOWN, NewmarkPredictor
from headscarp.core.normalisation import EventStatistics
from headscarp.ml import pixels
from headscarp.ml.formulas import Jessee, Newmark, Slope, SlopePga
from headscarp.ml.learner import Learner
from headscarp.ml.windows import Scene

NAN = np.nan


def scene(**planes: list[list[float]]) -> Scene:
    """A scene of these channels."""
    stack = np.array(list(planes.values()), np.float32)
    flat, calm = np.zeros(stack.shape[1:], np.float32), np.zeros(stack.shape[1:], bool)
    return Scene("by-hand", tuple(planes), stack, flat, calm, flat, EventStatistics({}), synthetic=True)


def score(learner: Learner, of: Scene) -> np.ndarray:
    found = learner.fit([]).score(of)
    assert found.dtype == np.float32
    assert found.shape == of.label.shape
    return found


def test_slope() -> None:
    np.testing.assert_allclose(score(Slope(), scene(slope=[[0, 45, 90, NAN]])), [[0, 0.5, 1, NAN]])


def test_slope_and_shaking() -> None:
    found = score(
        SlopePga(), scene(slope=[[90, 45, 30, 30, NAN, 30]], pga=[[10, 0.02 * np.sqrt(500), 0.02, 0, 1, NAN]])
    )
    np.testing.assert_allclose(found, [[1, 0.25, 0, 0, NAN, NAN]], atol=1e-6)


def test_jessee_is_the_predictor_in_any_order_of_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    planes = {
        "pgv": rng.uniform(1, 100, (9, 5)), "land_cover": rng.choice([0, 10, 40, NAN], (9, 5)),
        "slope": rng.uniform(0, 60, (9, 5)), "twi": rng.choice([NAN, 4, 8], (9, 5)),
        "lithology": rng.choice([1, 5, NAN], (9, 5)),
    }  # fmt: skip
    planes["slope"][3, 3] = NAN
    of = scene(**{name: plane.tolist() for name, plane in planes.items()})
    expected = NowickiJessee().predict(of.read(NowickiJessee.channels))
    monkeypatch.setattr(pixels, "STRIP_PIXELS", 10)
    np.testing.assert_array_equal(score(Jessee(), of), expected)
    assert np.isnan(expected).sum() == 1


def test_newmark_takes_usgs_strength_where_the_rock_is_unknown() -> None:
    # 1 kPa and 26 degrees on 40 degrees: FS 0.62, the floors hold for every residual, critical is 0.05 g.
    # At 0.5 g: D = 10^0.215 0.9^2.341 0.1^-1.438 = 35.2 cm, all of 0.335 fails; at 0.1 g: 0.877 cm, 0.01285.
    of = scene(slope=[[40, 40, 40, NAN]], pga=[[0.5, 0.1, 0.05, 0.3]], lithology=[[NAN, 0, 15, NAN]])
    np.testing.assert_allclose(score(Newmark(), of), [[0.335, 0.01285, 0.0, NAN]], rtol=2e-3, atol=1e-9)


def test_newmark_on_known_rock_is_the_predictor() -> None:
    of = scene(slope=[[35, 35, 35]], pga=[[0.4, 0.4, 0.4]], lithology=[[1, 8, NAN]])
    found, usual = score(Newmark(), of), NewmarkPredictor().predict(of.read(NewmarkPredictor.channels))
    np.testing.assert_array_equal(found[0, :2], usual[0, :2])
    assert found[0, 2] > usual[0, 2]
    np.testing.assert_array_equal(score(Newmark(STRENGTH_UNKNOWN), of), usual)
    assert Newmark(STRENGTH_UNKNOWN).identity != Newmark().identity


def test_a_layer_that_the_scene_does_not_hold() -> None:
    with pytest.raises(ValueError, match="by-hand: expected pgv"):
        score(Jessee(), scene(slope=[[30.0]], lithology=[[1]], twi=[[5]], land_cover=[[10]]))
