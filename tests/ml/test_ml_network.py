"""The network: how far it sees, what it does where input is missing, that tiles equal the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from headscarp.core.manifest import Architecture, Configuration, InputChannel, Manifest
from headscarp.core.normalisation import EventStatistics
from headscarp.core.tiling import YX, CropPlan, read_padded
from headscarp.errors import BadRequest
from headscarp.ml.network import Network, build_network, score
from headscarp.ml.standardise import event_ranks

INPUTS = (
    InputChannel("slope", "dem"),
    InputChannel("twi", "dem"),
    InputChannel("pga", "shaking", "ln"),
    InputChannel("ndvi", "ndvi"),
    InputChannel("lithology", "lithology", "code", 5),
)
BOTH = pytest.mark.parametrize("configuration", ["A", "C"])


def manifest(configuration: Configuration = "C", width: int = 4) -> Manifest:
    """A small model of five channels."""
    return Manifest(
        name="tiny",
        version="1",
        inputs=INPUTS,
        required=frozenset({"slope", "pga"}),
        architecture=Architecture(configuration, width),
        table_digest="00",
        plan=CropPlan(128, 88),
    )


def network(configuration: Configuration = "C", width: int = 4) -> Network:
    """Random weights that let signal through, in evaluation mode."""
    torch.manual_seed(1)
    built = build_network(manifest(configuration, width))
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.8, 1.5)
            nn.init.uniform_(module.bias, 0.0, 0.3)
    return built.eval()


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(channel, y, x) of plausible values."""
    rng = np.random.default_rng(seed)
    stack = rng.random((5, height, width)).astype(np.float32) + 0.05
    stack[4] = rng.integers(0, 6, (height, width))
    return stack


@BOTH
def test_encoder_ends_at_a_quarter_of_the_size_with_16_n(configuration: Configuration) -> None:
    net = network(configuration, width=4)
    full, half, quarter = net.encoder(net.standardise(torch.from_numpy(scene(32, 48))[None]))
    assert full.shape[1:] == (4, 32, 48)
    assert half.shape[2:] == (16, 24)
    assert quarter.shape[1:] == (64, 8, 12)
    assert net(torch.from_numpy(scene(32, 48))[None]).shape == (1, 1, 32, 48)


@BOTH
def test_sees_no_further_than_half_the_overlap_of_windows(configuration: Configuration) -> None:
    net, gate = network(configuration), torch.ones(1, 64, 1, 1)
    reach = 0
    for place in range(80, 84):  # the four positions relative to the poolings
        inputs = torch.from_numpy(scene(160, 160))[None].requires_grad_()
        (slope,) = torch.autograd.grad(net.logits(inputs, gate)[0, 0, place, place], inputs)
        rows, cols = np.nonzero(slope.abs().sum(dim=(0, 1)).numpy())
        reach = max(reach, int(np.abs(rows - place).max()), int(np.abs(cols - place).max()))
    assert 20 < reach <= CropPlan().margin


@BOTH
def test_a_change_beyond_the_radius_changes_not_one_bit(configuration: Configuration) -> None:
    net, gate = network(configuration), torch.ones(1, 64, 1, 1)
    before, after = scene(160, 160), scene(160, 160)
    after[:, 80 - 45, :] = 9.0
    with torch.inference_mode():
        a, b = (net(torch.from_numpy(s)[None], gate)[0, 0] for s in (before, after))
    assert torch.equal(a[80:], b[80:])
    assert not torch.equal(a[40:50], b[40:50])


@BOTH
def test_tiles_equal_the_whole_under_one_channel_gate(configuration: Configuration) -> None:
    net, model, stack = network(configuration), manifest(configuration), scene(200, 152)
    gate = net.gate_of(net.pooled(torch.from_numpy(stack)[None])).detach()
    edge = model.plan.margin
    # Beyond the grid both see nodata; the whole needs the same margin of it.
    padded = np.pad(stack, ((0, 0), (edge, edge), (edge, edge)), constant_values=np.nan)
    whole = score(net, model, padded, gate=gate)[edge:-edge, edge:-edge]
    tiled = np.full((200, 152), np.nan, np.float32)
    for core in model.plan.cores(YX(200, 152)):
        outer = core.padded(edge)
        inside = core.clipped(YX(200, 152))
        tiled[inside.slices] = score(net, model, read_padded(stack, outer), gate=gate)[inside.within(outer)]
    np.testing.assert_allclose(tiled, whole, atol=1e-6)


def test_tiles_equal_the_whole_where_the_event_normalises() -> None:
    model = replace(manifest(), normalisation="event", absolute=frozenset({"pga"}))
    torch.manual_seed(1)
    net, stack, edge = build_network(model).eval(), scene(200, 152), model.plan.margin
    usual = EventStatistics.of({name: stack[i] for i, name in enumerate(model.ranked)})
    ranks = event_ranks([usual], net.standardise.ranked_names)
    gate = net.gate_of(net.pooled(torch.from_numpy(stack)[None], ranks=ranks)).detach()
    padded = np.pad(stack, ((0, 0), (edge, edge), (edge, edge)), constant_values=np.nan)
    whole = score(net, model, padded, statistics=usual, gate=gate)[edge:-edge, edge:-edge]
    for core in model.plan.cores(YX(200, 152)):
        outer, inside = core.padded(edge), core.clipped(YX(200, 152))
        tile = score(net, model, read_padded(stack, outer), statistics=usual, gate=gate)[inside.within(outer)]
        np.testing.assert_allclose(tile, whole[inside.slices], atol=1e-6)


def test_the_window_own_gate_is_the_default_and_a_given_one_replaces_it() -> None:
    net, x = network(), torch.from_numpy(scene(64, 64))[None]
    with torch.inference_mode():
        assert torch.equal(net(x), net(x, net.gate_of(net.pooled(x))))
        assert not torch.allclose(net(x), net(x, torch.zeros(1, 64, 1, 1)))


@BOTH
def test_missing_values_never_become_missing_scores(configuration: Configuration) -> None:
    net, stack = network(configuration), scene(64, 64)
    stack[:, 20:30, 20:30] = np.nan
    stack[1] = np.nan
    stack[4, :10] = np.inf
    with torch.inference_mode():
        out = net(torch.from_numpy(stack)[None])
    assert torch.isfinite(out).all()
    assert ((out > 0) & (out < 1)).all()


def test_score_is_nan_exactly_where_a_required_channel_is() -> None:
    stack = scene(50, 61)
    stack[0, 3, 4] = np.nan
    stack[2, 7, 60] = np.nan
    stack[1, 9, 9] = stack[3, 9, 9] = stack[4, 9, 9] = np.nan
    out = score(network(), manifest(), stack)
    assert out.shape == (50, 61)
    assert out.dtype == np.float32
    assert list(zip(*np.nonzero(np.isnan(out)), strict=True)) == [(3, 4), (7, 60)]


def test_a_batch_scores_as_its_members() -> None:
    stacks = np.stack([scene(48, 44, seed) for seed in range(3)])
    together = score(network(), manifest(), stacks)
    np.testing.assert_allclose(together, [score(network(), manifest(), s) for s in stacks], atol=1e-6)


def test_the_same_input_gives_the_same_bytes() -> None:
    net, stack = network(), scene(96, 96)
    assert score(net, manifest(), stack).tobytes() == score(net, manifest(), stack).tobytes()


@pytest.mark.parametrize("shape", [(4, 32, 32), (32, 32), (1, 1, 5, 32, 32)])
def test_score_refuses_other_stacks(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadRequest, match="slope, twi, pga"):
        score(network(), manifest(), np.zeros(shape, np.float32))


def test_sides_must_fit_the_pooling() -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        network()(torch.zeros(1, 5, 30, 32))


def test_nothing_but_the_score_depends_on_the_gradient_mode() -> None:
    stack = scene(32, 32)
    with torch.no_grad():
        expected = network()(torch.from_numpy(stack)[None])[0, 0].numpy()
    np.testing.assert_array_equal(score(network(), manifest(), stack), expected)
