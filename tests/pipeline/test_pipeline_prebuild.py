"""Filling ahead of time: by box and belt, with any executor, through lost workers, and from the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import yaml

from headscarp.core.belts import boundaries_of
from headscarp.core.grid import Bounds
from headscarp.core.pci.table import Table
from headscarp.errors import InvalidInput, Misconfigured, SourceUnavailable, Unavailable
from headscarp.io.store import LocalStore, Store
from headscarp.pipeline.executors import open_executor
from headscarp.pipeline.fill import Order, fill_blocks
from headscarp.pipeline.prebuild import Prebuilt, chosen_boxes, planned, prebuild
from headscarp.pipeline.recipe import static_recipe
from headscarp.tables.belts import BELTS
from headscarp.tables.coseismic import COSEISMIC
from headscarp.tables.regions import BELTS as RULES
from tests.pipeline.grounds import BLOCK, QUICK, ZONE, Ground, cube_of, keys, make_ground, objects, part

SPAWN = get_context("spawn")
"""As on machines where a fork would copy threads that hold locks."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("ground"))


def fill(store: Store, ground: Ground, executor: Executor | None, *, table: Table = QUICK) -> Prebuilt:
    """A backfill of eight blocks and more."""
    west, south, east, north = box_of(part(0, 200, 480, 500))
    return prebuild(
        store,
        [Bounds(west, south, east, north)],
        table=table,
        registry=ground.registry(),
        executor=executor,
        block=BLOCK,
    )


def box_of(grid: Any) -> tuple[float, float, float, float]:
    box = grid.geographic_extent.boundingbox
    return box.left, box.bottom, box.right, box.top


@pytest.fixture(scope="module")
def alone(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> tuple[Prebuilt, dict[str, bytes]]:
    """What one thread makes."""
    store = LocalStore(tmp_path_factory.mktemp("alone"))
    found = fill(store, ground, None)
    assert found.computed >= 12 and found.with_land >= 6 and found.read == 0
    return found, objects(store)


def test_an_event_on_prebuilt_ground_makes_nothing(tmp_path: Path, ground: Ground) -> None:
    store = LocalStore(tmp_path)
    fill(store, ground, None)
    cube = cube_of(store, "a.zarr", part(20, 220, 400, 400), ground.registry())
    assert cube.attributes["headscarp:lattice"]["computed"] == []
    assert set(cube.attributes["headscarp:lattice"]["read"]) == keys(part(20, 220, 400, 400))
    again = fill(store, ground, None)
    assert (again.computed, again.read > 0) == (0, True)


def test_threads_make_the_same_objects(
    tmp_path: Path, ground: Ground, alone: tuple[Prebuilt, dict[str, bytes]]
) -> None:
    with ThreadPoolExecutor(3) as executor:
        assert fill(LocalStore(tmp_path), ground, executor) == alone[0]
    assert objects(LocalStore(tmp_path)) == alone[1]


def test_processes_make_the_same_objects_and_a_killed_one_is_made_up_for(
    tmp_path: Path, ground: Ground, alone: tuple[Prebuilt, dict[str, bytes]]
) -> None:
    store = LocalStore(tmp_path)
    with ProcessPoolExecutor(2, mp_context=SPAWN) as executor:
        killer = threading.Thread(target=kill_when, args=(store, lambda: list(executor._processes)[:1]))
        killer.start()
        with pytest.raises(Unavailable, match="workers were lost"):
            fill(store, ground, executor)
        killer.join()
    done = len(list(store.list("lattice/"))) and sum("/blocks/" in key for key in objects(store))
    assert 0 < done < alone[0].computed, "it was killed midway"
    with ProcessPoolExecutor(2, mp_context=SPAWN) as executor:
        resumed = fill(store, ground, executor)
    assert resumed.read >= done and resumed.read + resumed.computed == alone[0].computed
    assert objects(store) == alone[1]


def kill_when(store: Store, pids: Any, *, blocks: int = 2) -> None:
    """SIGKILL to the processes once so many blocks stand."""
    deadline = time.monotonic() + 120
    while sum("/blocks/" in key for key in store.list("lattice/")) < blocks and time.monotonic() < deadline:
        time.sleep(0.01)
    for pid in pids():
        os.kill(pid, signal.SIGKILL)


def test_dask_workers_make_the_same_objects_though_one_is_killed(
    tmp_path: Path, ground: Ground, alone: tuple[Prebuilt, dict[str, bytes]]
) -> None:
    distributed = pytest.importorskip("distributed")
    store = LocalStore(tmp_path)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit="2GiB"
    ) as cluster:
        with distributed.Client(cluster) as client:
            pids = list(client.run(os.getpid).values())
            assert len(set(pids)) == 2 and os.getpid() not in pids
        killer = threading.Thread(target=kill_when, args=(store, lambda: pids[:1]))
        killer.start()
        with open_executor(workers=1, dask=cluster.scheduler_address) as executor:
            found = fill(store, ground, executor)
        killer.join()
    assert found.computed + found.read == alone[0].computed
    assert objects(store) == alone[1]


LIMIT = 700 * 2**20


def test_workers_with_less_memory_than_the_ground_make_the_same_objects(tmp_path: Path) -> None:
    """Six blocks of full size; a worker that needed more than its limit would be killed by its nanny."""
    distributed = pytest.importorskip("distributed")
    big = make_ground(tmp_path, height=4096, width=6144)
    zone = replace(ZONE, block=2048)
    recipe = static_recipe(QUICK, big.registry())
    indices = zone.blocks_under(part(0, 0, 4096, 6144))
    assert len(indices) == 6
    assert len(recipe.channels) * 4096 * 6144 * 4 > LIMIT
    alone, shared = LocalStore(tmp_path / "alone"), LocalStore(tmp_path / "shared")
    fill_blocks(Order(alone.url, recipe, zone.epsg), indices)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=LIMIT
    ) as cluster:
        with open_executor(workers=1, dask=cluster.scheduler_address) as executor:
            found = fill_blocks(Order(shared.url, recipe, zone.epsg), indices, executor=executor)
        killed = [worker for worker in cluster.workers.values() if worker.status.name != "running"]
    assert not killed and all(block.computed for block in found.values())
    keys = list(alone.list("lattice/"))
    assert keys == list(shared.list("lattice/"))
    assert all(alone.read(key) == shared.read(key) for key in keys)
    assert sum("/slope/c/" in key for key in keys) == 6


def test_a_cluster_that_is_not_there() -> None:
    pytest.importorskip("distributed")
    with (
        pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"),
        open_executor(workers=1, dask="tcp://127.0.0.1:9", timeout_s=1),
    ):
        pass


def test_dask_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(Misconfigured, match=r"headscarp\[dask\]"), open_executor(workers=1, dask="tcp://127.0.0.1:9"):
        pass


def test_errors_come_through_processes(tmp_path: Path, ground: Ground) -> None:
    registry = ground.registry(dem={"href": "http://127.0.0.1:9/dem.tif"})
    order = Order(LocalStore(tmp_path).url, static_recipe(QUICK, registry, block=BLOCK), ZONE.epsg, timeout_s=1)
    indices = ZONE.blocks_under(part(0, 0, 10, 10))
    with ProcessPoolExecutor(1, mp_context=SPAWN) as executor, pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1"):
        fill_blocks(order, indices, executor=executor)


def test_belts_hold_the_boundaries_and_orogens_they_are_made_of(shared_data: Path) -> None:
    found = boundaries_of(json.loads((shared_data / "global/PB2002_boundaries.json").read_text()))
    for rule, name in zip(RULES, ("alpine-himalayan", "circum-pacific"), strict=True):
        boxes = shapely.union_all([shapely.box(*bounds) for bounds in BELTS[name]])
        vertices = np.concatenate([np.asarray(b.line) for b in found if rule.holds(b.plates)])
        inside = shapely.contains_xy(boxes, (vertices[:, 0] + 180) % 360 - 180, vertices[:, 1])
        # The rest lies in oceans, more than 300 km from land: ridges of the south-east Pacific above all.
        assert inside.mean() > 0.6
    himalaya_kashmir_italy = ((84.7, 28.2), (73.5, 34.6), (13.2, 42.6))
    alaska_kaikoura_iburi = ((-147.4, 63.5), (173.1, -42.7), (142.0, 42.7))
    for name, places in (("alpine-himalayan", himalaya_kashmir_italy), ("circum-pacific", alaska_kaikoura_iburi)):
        for lon, lat in places:
            assert any(b.west <= lon <= b.east and b.south <= lat <= b.north for b in BELTS[name])


def test_boxes_are_chosen_by_name_or_by_corners() -> None:
    assert chosen_boxes(bbox=(20, 38, 21, 39), belt=None) == (Bounds(20, 38, 21, 39),)
    assert chosen_boxes(bbox=None, belt="circum-pacific") == BELTS["circum-pacific"]
    for wrong in ({"bbox": None, "belt": None}, {"bbox": (1, 2, 3, 4), "belt": "circum-pacific"}):
        with pytest.raises(InvalidInput, match="either a box"):
            chosen_boxes(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="expected one of"):
        chosen_boxes(bbox=None, belt="mid-atlantic")
    with pytest.raises(InvalidInput, match="south < north"):
        planned([Bounds(20, 39, 21, 38)])


def test_the_command_line(tmp_path: Path, ground: Ground) -> None:
    sources = tmp_path / "sources.yaml"
    absent = {name: {"absent": "not in the test"} for name in ("soil", "ndvi", "rivers")}
    sources.write_text(yaml.safe_dump({"layers": {**ground.layers, **absent}}))
    box = [str(v) for v in box_of(part(10, 300, 50, 50))]
    base = [
        sys.executable,
        "-m",
        "headscarp",
        "prebuild",
        "--store",
        str(tmp_path / "store"),
        "--sources",
        str(sources),
    ]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*base, *arguments], capture_output=True, text=True, check=False)

    first = run("--bbox", *box, "--json")
    assert first.returncode == 0, first.stderr
    made = json.loads(first.stdout)
    assert (made["computed"], made["read"], made["with_land"]) == (1, 0, 1)
    assert made["reasons"]["soil"] == "not in the test"
    again = run("--bbox", *box)
    assert again.returncode == 0 and "0 blocks made, 1 stood there" in again.stdout
    assert run("--belt", "nowhere").returncode == 2
    assert run().returncode == 2
    assert (tmp_path / "store/lattice" / made["digest"][:16] / "32634.zarr/zarr.json").is_file()
    assert made["digest"] == static_recipe(COSEISMIC, _registry(sources)).digest


def _registry(path: Path) -> Any:
    from headscarp.io.inputs.sources import SourceRegistry

    return SourceRegistry.load(path)
