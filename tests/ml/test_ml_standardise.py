"""The first layer: physical units in, planes out, missing values marked and not invented."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headscarp.core.manifest import InputChannel
from headscarp.core.normalisation import SCORES, EventStatistics
from headscarp.errors import InvalidInput
from headscarp.ml.standardise import CLIP, Standardise, event_ranks, ranked, transformed

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


def event(seed: int, *, twi: bool = True) -> EventStatistics:
    """Statistics of skewed distributions."""
    rng = np.random.default_rng(seed)
    return EventStatistics.of(
        {
            "slope": rng.gamma(3.0, 6.0 + seed, 5_000),
            "twi": np.exp(rng.normal(1.0, 0.6, 5_000)) if twi else [],
            "pga": np.where(rng.random(5_000) < 0.4, 0.05, np.exp(rng.normal(-1.5, 0.7, 5_000))),
        }
    )


def test_ranks_in_the_network_are_those_of_the_statistics() -> None:
    rng, events, names = np.random.default_rng(3), (event(0), event(5)), ("slope", "twi", "pga")
    drawn = np.stack([rng.gamma(3.0, 8.0, (40, 50)), np.exp(rng.normal(1, 1, (40, 50))), rng.random((40, 50))])
    drawn[:, :4], drawn[0, 5, :3] = np.nan, [np.inf, -np.inf, 1e30]
    x = np.stack([drawn, drawn]).astype(np.float32)
    found = ranked(torch.from_numpy(x), event_ranks(events, names)).numpy()
    for window, of in zip(found, events, strict=True):
        for plane, name, values in zip(window, names, x[0], strict=True):
            off = np.abs(plane - np.where(np.isnan(values), 0.0, of.scored(name, values)))
            # Steep steps, as above a value that many pixels share, are as wide as the table's.
            assert off.max() < 0.25
            assert off.mean() < 0.01
    np.testing.assert_allclose(found[0, 0, 5, :3], [SCORES[-1], SCORES[0], SCORES[-1]])
    assert np.abs(found[0, 0] - found[1, 0]).max() > 0.3


def test_one_event_for_all_windows_of_a_batch() -> None:
    x = torch.rand(3, 3, 8, 8) * 20
    one, each = (event_ranks([event(0)] * n, ("slope", "twi", "pga")) for n in (1, 3))
    assert torch.equal(ranked(x, one), ranked(x, each))


def test_planes_where_the_event_normalises() -> None:
    layer = Standardise(INPUTS, embedding=2, normalisation="event", absolute=frozenset({"pga"}))
    layer.median.fill_(-1.0)
    layer.scale.fill_(0.5)
    assert layer.ranked_names == ("slope", "twi", "pga")
    assert layer.planes == 3 + 1 + 2 + 2
    usual = event(0, twi=False)
    x = torch.tensor([30.0, float("nan"), 4.0, float(np.exp(-0.5))])[None, :, None, None]
    out = layer(x, event_ranks([usual], layer.ranked_names))[0, :, 0, 0].detach().numpy()
    expected = [usual.scored(name, x[0, i, 0].numpy())[0] for name, i in (("slope", 0), ("pga", 3))]
    np.testing.assert_allclose(out[:4], [expected[0], 0.0, expected[1], 1.0], atol=0.02)
    assert out[4:6].tolist() == [1.0, 1.0]


def test_components_of_a_vector_are_not_ranked() -> None:
    inputs = (*INPUTS, InputChannel("aspect_east", "dem"), InputChannel("aspect_north", "dem"))
    layer = Standardise(inputs, embedding=2, normalisation="event")
    assert layer.ranked_names == ("slope", "twi", "pga")
    usual = EventStatistics.of({name: np.linspace(-1, 1, 99) for name in ("slope", "twi", "pga")})
    x = torch.zeros(1, 6, 1, 1)
    x[0, 4:, 0, 0] = torch.tensor([0.6, -0.8])
    out = layer(x, event_ranks([usual], layer.ranked_names))[0, 3:5, 0, 0]
    torch.testing.assert_close(out, torch.tensor([0.6, -0.8]))


def test_without_the_event_there_is_no_answer() -> None:
    layer = Standardise(INPUTS, embedding=2, normalisation="event")
    with pytest.raises(ValueError, match="ranks of an event"):
        layer(torch.zeros(1, 4, 8, 8))
    with pytest.raises(InvalidInput, match="twi"):
        event_ranks([event(0).only(("slope", "pga"))], layer.ranked_names)
