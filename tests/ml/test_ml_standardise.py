"""The first layer: physical units in, planes out, missing values marked and not invented."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headscarp.core.manifest import InputChannel
from headscarp.ml.standardise import CLIP, Standardise, transformed

INPUTS = (
    InputChannel("slope", "dem"),
    InputChannel("lithology", "lithology", "code", 3),
    InputChannel("twi", "dem"),
    InputChannel("pga", "shaking", "ln"),
)


@pytest.fixture
def layer() -> Standardise:
    """Three continuous channels of two sources, one categorical."""
    built = Standardise(INPUTS, embedding=2)
    built.median.copy_(torch.tensor([20.0, 7.0, -1.0]))
    built.scale.copy_(torch.tensor([10.0, 2.0, 0.5]))
    torch.nn.init.normal_(built.embeddings[0], generator=torch.Generator().manual_seed(0))
    return built


def planes(layer: Standardise, **values: float) -> np.ndarray:
    """The planes of a single pixel."""
    pixel = [values.get(channel.name, float("nan")) for channel in INPUTS]
    x = torch.tensor(pixel, dtype=torch.float32)[None, :, None, None]
    return layer(x)[0, :, 0, 0].detach().numpy()


def test_values_by_hand(layer: Standardise) -> None:
    out = planes(layer, slope=35.0, twi=5.0, pga=float(np.exp(-0.5)), lithology=2.0)
    assert out.shape == (layer.planes,) == (3 + 2 + 2,)
    np.testing.assert_allclose(out[:3], [1.5, -1.0, 1.0], rtol=1e-5)
    np.testing.assert_array_equal(out[3:5], [1.0, 1.0])
    table = layer.embeddings[0].detach().numpy()
    np.testing.assert_allclose(out[5:], table[0] + table[2], rtol=1e-6)


def test_missing_is_zero_and_marks_its_source_invalid(layer: Standardise) -> None:
    out = planes(layer, slope=20.0, pga=0.3)
    assert out[1] == 0.0
    np.testing.assert_array_equal(out[3:5], [0.0, 1.0])


@pytest.mark.parametrize("code", [0.0, float("nan"), 4.0, 255.0, -3.0, float("inf")])
def test_codes_outside_the_legend_are_the_unknown_class(layer: Standardise, code: float) -> None:
    np.testing.assert_array_equal(planes(layer, lithology=code)[5:], layer.embeddings[0][0].detach())


def test_a_code_never_trained_on_is_as_good_as_unknown() -> None:
    fresh = Standardise(INPUTS, embedding=2)
    torch.nn.init.constant_(fresh.embeddings[0][0], 0.7)
    np.testing.assert_array_equal(planes(fresh, lithology=3.0)[5:], planes(fresh)[5:])


def test_outliers_are_cut_off(layer: Standardise) -> None:
    assert planes(layer, slope=1e9)[0] == CLIP
    assert planes(layer, pga=0.0)[2] == -CLIP
    assert np.isfinite(planes(layer, slope=float("inf"), pga=float("-inf"))).all()


def test_transforms_are_the_named_functions() -> None:
    x = np.array([0.25, 3.0, np.nan], np.float32)
    expected = {"ln": np.log(x), "log1p": np.log1p(x), "log10": np.log10(x + 1e-5), "identity": x}
    for name, values in expected.items():
        np.testing.assert_allclose(transformed(torch.from_numpy(x), name).numpy(), values, rtol=1e-6)
