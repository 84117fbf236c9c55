"""A response takes one channel gate for the event, says which, and maps do not depend on how they were tiled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import rasterio

from headscarp.core.hazard.jessee import NowickiJessee
from headscarp.core.tiling import CropPlan
from headscarp.io.cubes.cube import Cube
from headscarp.io.outputs.product import cube_key
from headscarp.io.store import LocalStore
from headscarp.ml.bundle import load_bundle
from headscarp.ml.local import LocalPredictor, score_map
from headscarp.pipeline.gate import gated_by
from headscarp.pipeline.predict import predict_map
from headscarp.pipeline.statistics import event_statistics
from headscarp.pipeline.world import write_world
from headscarp.world.generate import make_world
from tests.ml.bundled import write_bundle
from tests.pipeline.test_pipeline_statistics import Maps, answer, gradients


def test_the_map_and_its_lineage(tmp_path: Path) -> None:
    folder = write_world(make_world(301, shape=(130, 110)), tmp_path / "event")
    manifest, network = load_bundle(write_bundle(tmp_path, gate_px=64, seed=2))
    model, store = LocalPredictor(manifest, network), LocalStore(tmp_path / "store")
    lineage = answer(store, folder, model, NowickiJessee())
    cube = Cube.open(store, cube_key(lineage["run"].event, lineage["run"].id))
    statistics = event_statistics(cube, model.ranked)
    gate = gated_by(cube, model.bound_to(statistics)).event_gate
    assert gate is not None
    assert lineage["headscarp:channel_gates"] == {"tiny": gate.to_plain()}
    assert gate.windows > 1
    maps = []
    for size in (100, 164):
        tiled = LocalPredictor(replace(manifest, plan=CropPlan(size, 88)), network)
        made = predict_map(cube, tiled, tmp_path / f"{size}.tif", statistics=statistics)
        assert made.gates == {"tiny": gate.to_plain()}
        with rasterio.open(made.path) as source:
            maps.append(source.read(1))
    assert np.isfinite(maps[0]).any()
    np.testing.assert_allclose(*maps, rtol=0, atol=1e-6)


def test_a_sample_is_land_that_shook_and_the_same_as_in_memory(tmp_path: Path) -> None:
    manifest, network = load_bundle(write_bundle(tmp_path, gate_px=64, seed=2))
    maps: Maps = gradients(400, 500)
    stack = np.stack([maps.maps["slope"], maps.maps["pga"]])
    stack[0][maps.maps["land"] == 0] = np.nan
    maps.maps["slope"] = stack[0]
    statistics = event_statistics(cast("Cube", maps), manifest.ranked)
    maps.read_px = 0
    bound = gated_by(cast("Cube", maps), LocalPredictor(manifest, network).bound_to(statistics))
    assert bound.event_gate is not None
    assert bound.event_gate.windows == 24
    # 56 squares of 64 px cover it; each that is tried costs land and PGA, each that counts four more channels.
    assert maps.read_px <= 64 * 64 * (2 * 56 + 2 * 24 + 2 * 56)
    expected = score_map(network, manifest, stack, statistics=statistics)
    core = bound.predict(stack)[100:300, 150:350]
    np.testing.assert_allclose(core, expected[100:300, 150:350], rtol=0, atol=1e-6)


def test_models_without_such_a_gate_cost_nothing(tmp_path: Path) -> None:
    model = LocalPredictor(*load_bundle(write_bundle(tmp_path)))
    maps = gradients(100, 80)
    assert gated_by(cast("Cube", maps), model) is model
    assert gated_by(cast("Cube", maps), NowickiJessee()).event_gates == {}
    assert maps.read_px == 0


@pytest.mark.parametrize("change", [{"land": 0.0}, {"pga": 0.019}])
def test_an_event_without_shaken_land_has_a_gate_too(tmp_path: Path, change: dict[str, float]) -> None:
    manifest, network = load_bundle(write_bundle(tmp_path, gate_px=64))
    maps = gradients(200, 200)
    for name, value in change.items():
        maps.maps[name][:] = value
    model = LocalPredictor(manifest, network).bound_to(event_statistics(cast("Cube", maps), manifest.ranked))
    gate = gated_by(cast("Cube", maps), model).event_gate
    assert gate is not None
    assert gate.windows == 1
