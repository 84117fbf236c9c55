"""The event's statistics: of its shaken land alone, the same for everyone, from a sample that is small and fair."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import rasterio

from headscarp.core.hazard.jessee import NowickiJessee
from headscarp.core.normalisation import LEVELS, SCORES, EventStatistics
from headscarp.core.predictor import Predictor
from headscarp.core.tiling import Window, read_padded
from headscarp.io.cubes.cube import Cube
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.inputs.usgs import UsgsClient
from headscarp.io.ledger import Ledger
from headscarp.io.outputs.product import cube_key
from headscarp.io.store import LocalStore
from headscarp.ml.bundle import load_bundle
from headscarp.ml.local import LocalPredictor
from headscarp.pipeline.predict import predict_map
from headscarp.pipeline.quake import load_quake
from headscarp.pipeline.respond import Workshop, respond
from headscarp.pipeline.statistics import MOST_WINDOWS, SAMPLE, event_statistics
from headscarp.pipeline.world import write_world
from headscarp.tables.coseismic import COSEISMIC
from headscarp.world.generate import make_world


class Maps:
    """Maps in memory that are read as a cube is; counts the pixels read."""

    def __init__(self, **maps: np.ndarray) -> None:
        self.maps = maps
        self.grid = SimpleNamespace(shape=maps["pga"].shape)
        self.read_px = 0

    def read(self, channels: Sequence[str], window: Window) -> np.ndarray:
        self.read_px += len(channels) * window.height * window.width
        return np.stack([read_padded(self.maps[name], window) for name in channels])


def statistics(maps: Any, channels: Sequence[str]) -> EventStatistics:
    return event_statistics(cast("Cube", maps), channels)


def gradients(height: int, width: int, seed: int = 0) -> Maps:
    """Slope that rises eastward, shaking that fades southward, sea in the west, holes."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    slope = (40 * x / width + rng.normal(0, 3, (height, width))).astype(np.float32)
    slope[rng.random((height, width)) < 0.1] = np.nan
    pga = (0.4 * np.exp(-4.5 * y / height)).astype(np.float32)
    land = np.where(x < 0.2 * width, 0, 1).astype(np.float32)
    return Maps(slope=slope, pga=pga, land=land, soil=np.full((height, width), np.nan, np.float32))


def counted(maps: Maps, channel: str) -> np.ndarray:
    """The same by hand: everything that counts."""
    values = maps.maps[channel][(maps.maps["land"] == 1) & (maps.maps["pga"] >= 0.02)]
    return values[np.isfinite(values)]


def test_a_small_event_is_counted_whole() -> None:
    maps = gradients(300, 250)
    found = statistics(maps, ("slope", "pga", "soil"))
    for name in ("slope", "pga"):
        np.testing.assert_allclose(found.quantiles[name], np.quantile(counted(maps, name), LEVELS), rtol=2e-5)
    assert found.quantiles["soil"] == ()
    assert found.quantiles["pga"][0] >= 0.02


def test_a_large_event_is_sampled_fairly_and_cheaply() -> None:
    maps = gradients(3000, 3700)
    found = statistics(maps, ("slope", "pga"))
    for name in ("slope", "pga"):
        values = counted(maps, name)
        share = np.searchsorted(np.sort(values), found.quantiles[name]) / values.size
        # 16 of 48 windows of smooth gradients: little is as uneven.
        np.testing.assert_allclose(found.scored(name, np.quantile(values, LEVELS)), SCORES, atol=0.35)
        np.testing.assert_allclose(share, LEVELS, atol=0.07)
    visits = -(-3000 // 512) * -(-3700 // 512)
    assert maps.read_px < 512 * 512 * (2 * visits + 2 * MOST_WINDOWS)
    assert SAMPLE < 512 * 512 * MOST_WINDOWS


def test_a_channel_s_table_does_not_depend_on_the_others() -> None:
    maps = gradients(700, 900)
    alone, together = statistics(maps, ("slope",)), statistics(maps, ("pga", "soil", "slope"))
    assert together.only(("slope",)) == alone
    assert statistics(maps, ("slope",)).digest == alone.digest


@pytest.mark.parametrize("change", [{"land": 0.0}, {"pga": 0.019}, {"pga": np.nan}])
def test_without_shaken_land_nothing_is_known(change: dict[str, float]) -> None:
    maps = gradients(100, 80)
    for name, value in change.items():
        maps.maps[name][:] = value
    assert statistics(maps, ("slope",)) == EventStatistics.unknown(("slope",))


def test_models_that_rank_nothing_cost_nothing() -> None:
    maps = gradients(100, 80)
    assert statistics(maps, ()) == EventStatistics({})
    assert maps.read_px == 0


def answer(store: LocalStore, folder: Path, *models: Predictor) -> dict[str, Any]:
    """The lineage of the item that a response to an event folder publishes."""
    ledger = Ledger(store, lease=timedelta(seconds=30))
    house = Workshop(store, ledger, COSEISMIC, SourceRegistry({}, {}), models)
    with UsgsClient("http://127.0.0.1:9", timeout_s=1.0, attempts=1) as client:
        response = respond(load_quake(str(folder), client), house)
    assert response.item
    item = json.loads((store.root / response.item).read_text())
    return dict(item["properties"]["headscarp:lineage"], run=response.run, folder=(store.root / response.item).parent)


def test_a_response_ranks_by_its_event_and_says_how(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = write_world(make_world(301, shape=(96, 96)), tmp_path / "event")
    store, model = LocalStore(tmp_path / "store"), LocalPredictor(*load_bundle(tiny_bundle))
    lineage = answer(store, folder, model, NowickiJessee())
    run = lineage["run"]
    cube = Cube.open(store, cube_key(run.event, run.id))
    written = EventStatistics.from_plain(lineage["headscarp:event_statistics"])
    assert set(written.quantiles) == {"slope", "river_distance", "pga"}
    assert written == event_statistics(cube, model.ranked)
    again = predict_map(cube, model.bound_to(written), tmp_path / "again.tif", statistics=written)
    with rasterio.open(lineage["folder"] / "hazard.tif") as published, rasterio.open(again.path) as made:
        values, expected = published.read(1), made.read(1)
    shown = np.isfinite(values)
    assert shown.any()
    np.testing.assert_allclose(values[shown], expected[shown], atol=1e-3)
    other = predict_map(cube, model, tmp_path / "other.tif", statistics=EventStatistics.unknown(model.ranked))
    with rasterio.open(other.path) as made:
        assert np.abs(made.read(1)[shown] - expected[shown]).max() > 1e-3


def test_a_response_without_such_a_model_has_no_statistics(tmp_path: Path) -> None:
    folder = write_world(make_world(301, shape=(96, 96)), tmp_path / "event")
    assert answer(LocalStore(tmp_path / "store"), folder, NowickiJessee())["headscarp:event_statistics"] == {}
