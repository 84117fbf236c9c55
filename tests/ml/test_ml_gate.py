"""Given the event's channel gate, a map is the same however it is tiled; without it there is a seam."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from headscarp.core.gate import EventGate
from headscarp.core.manifest import MANIFEST_FILE, OLDER, Architecture, Configuration, Manifest
from headscarp.core.normalisation import EventStatistics
from headscarp.core.tiling import YX, CropPlan, Window, read_padded
from headscarp.errors import BadBundle, BadRequest, InvalidInput
from headscarp.ml.bundle import load_bundle
from headscarp.ml.ensemble import build_model
from headscarp.ml.local import LocalPredictor, score_map
from headscarp.ml.network import Network, Scoring, score
from tests.ml.bundled import manifest_of, write_bundle

SIDE = 64
Y, X = np.mgrid[:260, :228].astype(np.float32)
STACK = np.stack([20 + 15 * np.sin(X / 9) * np.cos(Y / 13), 0.1 + 0.9 * X / 228]).astype(np.float32)
STACK[:, :40, :30] = np.nan
"""(slope, PGA) of a made event that differs from place to place."""
EVENT = EventStatistics.of({"slope": STACK[0], "pga": STACK[1]})
KINDS = pytest.mark.parametrize(("configuration", "members"), [("A", 1), ("C", 1), ("C", 3)])


def made(configuration: Configuration = "C", members: int = 1, gate_px: int = SIDE) -> tuple[Manifest, Scoring]:
    """A model whose attention matters: random weights, large where the gate is made."""
    manifest = manifest_of(architecture=Architecture(configuration, 4), members=members, gate_px=gate_px)
    torch.manual_seed(7)
    network = build_model(manifest)
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 1.0, 2.0)
            nn.init.uniform_(module.bias, 0.1, 0.5)
        if isinstance(module, nn.Conv2d) and ".channel." in f".{name}":
            nn.init.normal_(module.weight, 0.0, 1.0)
    return manifest, network.eval()


def sample(*corners: tuple[int, int]) -> list[np.ndarray]:
    return [read_padded(STACK, Window(y, x, SIDE, SIDE)) for y, x in corners]


CORNERS = ((0, 0), (100, 40), (180, 160), (60, 120))


def whole(model: LocalPredictor) -> np.ndarray:
    """One pass; beyond the event it sees the margin of nodata that tiles see."""
    edge = 44
    padded = np.pad(STACK, ((0, 0), (edge, edge), (edge, edge)), constant_values=np.nan)
    return model.predict(padded)[edge:-edge, edge:-edge]


def tiled(model: LocalPredictor, plan: CropPlan) -> np.ndarray:
    shape = YX(*STACK.shape[1:])
    out = np.full(shape, np.nan, np.float32)
    for core in plan.cores(shape):
        seen, inside = core.padded(plan.margin), core.clipped(shape)
        out[inside.slices] = model.predict(read_padded(STACK, seen))[inside.within(seen)]
    return out


@KINDS
def test_tiles_of_any_size_equal_the_whole(configuration: Configuration, members: int) -> None:
    model = LocalPredictor(*made(configuration, members)).bound_to(EVENT).gated(sample(*CORNERS))
    expected = whole(model)
    assert np.nanmax(expected) - np.nanmin(expected) > 1e-2
    for size in (116, 164):
        np.testing.assert_allclose(tiled(model, CropPlan(size, 88)), expected, rtol=0, atol=1e-6)


@KINDS
def test_without_it_they_have_seams(configuration: Configuration, members: int) -> None:
    manifest, network = made(configuration, members)
    own = LocalPredictor(replace(manifest, gate_px=0), network).bound_to(EVENT)
    assert np.nanmax(np.abs(tiled(own, CropPlan(128, 88)) - whole(own))) > 1e-4


def test_the_gate_is_that_of_the_mean_of_the_windows_features() -> None:
    manifest, network = made(members=2)
    bound = LocalPredictor(manifest, network).bound_to(EVENT).gated(iter(sample(*CORNERS)))
    gate = bound.event_gate
    assert gate is not None
    assert (gate.windows, gate.side, gate.values.shape) == (4, SIDE, (2 * 16 * 4,))
    assert bound.event_gates == {"tiny": gate}
    again = LocalPredictor(manifest, network).bound_to(EVENT).gated(sample(*CORNERS[::-1]))
    assert again.event_gate is not None
    np.testing.assert_allclose(again.event_gate.values, gate.values, rtol=0, atol=1e-7)
    from headscarp.ml.standardise import event_ranks

    expected = []
    for member in network.networks:  # type: ignore[union-attr]
        assert isinstance(member, Network)
        ranks = event_ranks([EVENT], member.ranked_names)
        with torch.inference_mode():
            windows = torch.from_numpy(np.stack(sample(*CORNERS)))
            deepest = member.encoder(member.standardise(windows, ranks))[2]
            mean, top = deepest.mean(dim=(2, 3)).mean(0), deepest.amax(dim=(2, 3)).mean(0)
            mlp = [member.attention.channel(v[None, :, None, None]) for v in (mean, top)]
            expected.append(torch.sigmoid(mlp[0] + mlp[1]).flatten().numpy())
    np.testing.assert_allclose(gate.values, np.concatenate(expected), rtol=0, atol=1e-6)


def test_training_may_put_the_event_s_features_in_place_of_the_window_s() -> None:
    _, network = made()
    assert isinstance(network, Network)
    from headscarp.ml.standardise import event_ranks

    x, ranks = torch.from_numpy(np.stack(sample(*CORNERS))), event_ranks([EVENT], network.ranked_names)
    with torch.inference_mode():
        mean = network.pooled(x, ranks=ranks).mean(dim=0, keepdim=True)
        expected = network.logits(x, network.gate_of(mean), ranks=ranks)
        found = network.logits(x, ranks=ranks, gate_from=lambda own: own.mean(dim=0, keepdim=True).expand_as(own))
        same = network.logits(x, ranks=ranks, gate_from=lambda own: own)
        assert torch.allclose(found, expected, atol=1e-6)
        assert torch.equal(same, network.logits(x, ranks=ranks))
        assert not torch.allclose(same, found, atol=1e-4)


def test_a_map_in_memory_takes_its_own_sample_whatever_its_plan() -> None:
    manifest, network = made()
    maps = [
        score_map(network, replace(manifest, plan=CropPlan(size, 88)), STACK, statistics=EVENT) for size in (128, 200)
    ]
    np.testing.assert_allclose(*maps, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(np.isnan(maps[0]), np.isnan(STACK).any(axis=0))


def test_without_the_event_s_gate_such_a_model_does_not_answer() -> None:
    manifest, network = made()
    with pytest.raises(BadRequest, match="channel gate of the event, which is not given"):
        score(network, manifest, STACK, statistics=EVENT)
    model = LocalPredictor(manifest, network).bound_to(EVENT)
    with pytest.raises(InvalidInput, match="at least one window"):
        model.gated([])
    with pytest.raises(InvalidInput, match=r"\(channel, 64, 64\), found \(2, 260, 228\)"):
        model.gated([STACK])
    gated = model.gated(sample(*CORNERS))
    with pytest.raises(BadRequest, match="not given"):
        gated.bound_to(EVENT).predict(STACK)


def test_models_with_gates_of_their_own_look_at_no_window() -> None:
    model = LocalPredictor(*made(gate_px=0)).bound_to(EVENT)
    assert model.gated(iter([])) is model
    assert model.event_gates == {}


@pytest.mark.parametrize("side", [-4, 4, 30, 66, 132, 128.0, True, "64"])
def test_sides_that_cannot_be(tmp_path: Path, side: Any) -> None:
    path = write_bundle(tmp_path) / MANIFEST_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"gate_px": side}))
    with pytest.raises(BadBundle, match="gate_px"):
        load_bundle(path.parent)


def test_the_format_before_has_no_gate_of_the_event(tmp_path: Path) -> None:
    path = write_bundle(tmp_path) / MANIFEST_FILE
    plain = json.loads(path.read_text()) | {"format": "headscarp-bundle/2"}
    plain = {name: value for name, value in plain.items() if name not in OLDER["headscarp-bundle/2"]}
    path.write_text(json.dumps(plain))
    assert Manifest.load(path.parent).gate_px == 0
    path.write_text(json.dumps(plain | {"gate_px": 64}))
    with pytest.raises(BadBundle, match=r"has no fields \['gate_px'\]"):
        Manifest.load(path.parent)


@pytest.mark.parametrize(("values", "windows"), [([0.5, np.nan], 1), ([1.5], 1), ([-0.1], 1), ([[0.5]], 1), ([0.5], 0)])
def test_what_is_no_gate(values: list[Any], windows: int) -> None:
    with pytest.raises(InvalidInput, match="channel gate"):
        EventGate(np.array(values, np.float32), windows, 64)


def test_a_gate_has_a_digest() -> None:
    gate = EventGate(np.array([0.0, 1.0], np.float32), 3, 64)
    # sha256 of 00 00 00 00 00 00 80 3f
    assert gate.to_plain() == {
        "sha256": "22b6f43bd8d27738d3213f29e96b62d01d9d6c0ab4f9732aaae803186f51eab7",
        "windows": 3,
        "gate_px": 64,
    }
