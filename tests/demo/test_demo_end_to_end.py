"""The demo as a newcomer runs it: one process started, two versions published, everything looked at, nothing left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio
from pmtiles.reader import MmapSource
from pmtiles.reader import Reader as TileReader
from pyproj import Transformer

from headscarp.core.palette import ALPHA, COVERAGE, GROUND
from headscarp.core.run import State
from headscarp.core.status import Status
from headscarp.demo.guardian import marked
from headscarp.demo.run import MODEL
from headscarp.demo.services import BUCKET, ROOT
from headscarp.demo.stage import DEMO_SEED, SHAPE
from headscarp.io.cubes.cube import Cube
from headscarp.io.ledger import Ledger
from headscarp.io.outputs.product import cube_key
from headscarp.io.store import S3Store
from headscarp.world.generate import World, make_world

pytestmark = [pytest.mark.service, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Demo:
    """A demo that has published and still serves."""

    folder: Path
    page: str
    store: S3Store
    public: S3Store
    latest: dict[str, Any]
    output: str

    @property
    def assets(self) -> str:
        """HTTP folder of the latest item."""
        return f"{self.page.removesuffix('index.html')}coseismic-landslides/{self.event}/{self.latest['id']}"

    @property
    def event(self) -> str:
        return str(self.latest["id"]).split("-", 1)[0]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """`headscarp demo` in a folder, its output piped."""
    command = [sys.executable, "-m", "headscarp", "demo", "--folder", str(folder), *arguments]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "HEADSCARP_"))}
    environment |= {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def seaweed_store(folder: Path) -> S3Store:
    """The store of a demo that runs, with its administrator's key."""
    import boto3

    config = json.loads((folder / "seaweed" / "s3.json").read_text())
    (credentials,) = config["identities"][0]["credentials"]
    port = json.loads((folder / "seaweed" / "ports.json").read_text())[0]
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=credentials["accessKey"],
        aws_secret_access_key=credentials["secretKey"],
        region_name="us-east-1",
    )
    return S3Store(BUCKET, client=client)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    process = start(folder, "--stay")
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("flows "):
            break
    output = "".join(lines)
    assert process.poll() is None, output
    page = re.search(r"map page\s+(http\S+)", output)
    assert page, output
    store = seaweed_store(folder)
    (done,) = (run for run in Ledger(store, lease=timedelta(1)).runs() if run.state is State.SUCCEEDED)
    latest = json.loads(store.read(str(done.item)))
    yield Demo(folder, page[1], store, store, latest, output)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=90)
    deadline = time.monotonic() + 10
    while marked(folder) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert marked(folder) == []


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(DEMO_SEED, shape=SHAPE)


@pytest.fixture(scope="module")
def hazard(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published map, read as anyone would: by HTTP, without a key."""
    path = tmp_path_factory.mktemp("public") / "hazard.tif"
    path.write_bytes(httpx.get(f"{demo.assets}/hazard.tif").raise_for_status().content)
    return path


def test_two_versions_the_second_supersedes_the_first(demo: Demo) -> None:
    runs = sorted(Ledger(demo.store, lease=timedelta(1)).runs(), key=lambda run: run.update_time)
    assert [run.state for run in runs] == [State.SUPERSEDED, State.SUCCEEDED]
    first = json.loads(demo.store.read(str(runs[0].item)))
    assert first["properties"]["deprecated"] is True and demo.latest["properties"]["deprecated"] is False
    assert first["properties"]["title"].startswith("SYNTHETIC")
    assert "version 2, from ShakeMap to published" in demo.output and "predict headscarp-small" in demo.output


def test_every_object_of_the_catalogue_is_valid_and_whole(demo: Demo, shared_schemas: Path) -> None:
    from tests.io.outputs.products import Reader

    assert len(Reader(demo.store, shared_schemas).items()) == 2


def test_the_endpoints_map_is_the_in_process_map(demo: Demo, hazard: Path, tmp_path: Path) -> None:
    from headscarp.ml.bundle import load_bundle
    from headscarp.ml.local import LocalPredictor
    from headscarp.pipeline.predict import mask_map, predict_map, status_map

    key = cube_key(demo.event, demo.latest["id"])
    cube = Cube.open(copied(demo.store, tmp_path, key, "lattice"), key)
    local = predict_map(cube, LocalPredictor(*load_bundle(ROOT / "model_store" / MODEL)), tmp_path / "local.tif")
    mask_map(local.path, status_map(cube, local.path, tmp_path / "status.tif"))
    with rasterio.open(local.path) as ours, rasterio.open(hazard) as published:
        np.testing.assert_allclose(published.read(1), ours.read(1), atol=1e-5, rtol=0)


def copied(store: S3Store, folder: Path, *keys: str) -> Any:
    """A local copy of everything below some keys."""
    from headscarp.io.store import LocalStore

    local = LocalStore(folder / "store")
    for name in (name for key in keys for name in store.list(f"{key}/")):
        local.put(name, store.read(name))
    return local


def test_the_coverage_spreads_sums_up_and_comes_near_what_can_be_known(
    hazard: Path, world: World, record_property: pytest.FixtureRequest
) -> None:
    from sklearn.metrics import roc_auc_score

    from headscarp.world.ceiling import observable_ceiling

    with rasterio.open(hazard) as source:
        row, col = source.index(world.grid.transform.c + 15, world.grid.transform.f - 15)
        values = source.read(1)[row : row + SHAPE[0], col : col + SHAPE[1]]
    valid = np.isfinite(values) & world.land
    auc = roc_auc_score(world.landslides[valid], values[valid])
    ceiling = observable_ceiling(world, draws=12)
    low, high = np.percentile(values[valid], (10, 90))
    area_ratio = values[valid].mean() / world.landslides[valid].mean()
    figures = (
        f"SYNTHETIC: AUC {auc:.3f}, observable ceiling {ceiling.auc:.3f}, "
        f"10 and 90 % at {low:.4f} and {high:.4f}, area ratio {area_ratio:.2f}"
    )

    assert high > 10 * low, figures
    assert 0.5 < area_ratio < 2.0, figures
    assert auc > ceiling.auc - 0.05, figures
    assert auc < ceiling.auc + 3 * ceiling.standard_error, figures


def test_the_cog_is_one(hazard: Path) -> None:
    from rio_cogeo import cog_validate

    valid, errors, warnings = cog_validate(str(hazard), strict=True)
    assert valid, (errors, warnings)


def test_the_tiles_open(demo: Demo, tmp_path: Path) -> None:
    path = tmp_path / "hazard.pmtiles"
    path.write_bytes(httpx.get(f"{demo.assets}/hazard.pmtiles").raise_for_status().content)
    with path.open("rb") as file:
        header = TileReader(MmapSource(file)).header()
        assert header["max_zoom"] >= 11 and header["addressed_tiles_count"] > 20
    described = httpx.get(f"{demo.assets}/tilejson.json").raise_for_status().json()
    assert described["tilejson"] == "3.0.0" and demo.assets in described["tiles"][0]


def test_the_cube_opens_in_plain_xarray_with_its_crs(demo: Demo, tmp_path: Path) -> None:
    import rioxarray  # noqa: F401
    import xarray as xr

    key = cube_key(demo.event, demo.latest["id"])
    local = copied(demo.store, tmp_path, key, "lattice")
    with xr.open_zarr(local.address(key)) as cube:
        assert cube.rio.crs.to_epsg() == int(demo.latest["properties"]["proj:code"].removeprefix("EPSG:"))
        assert 0 < float(cube["pga"].max()) < 3
        with xr.open_zarr(local.address(cube.attrs["headscarp:lattice"]["key"]), chunks=None) as zone:
            slope = zone["slope"].sel(x=cube.x, y=cube.y)
            assert slope.attrs["units"] == "degree" and zone.rio.crs == cube.rio.crs
            assert 1 < float(slope.max()) < 90


def test_only_the_catalogue_is_public(demo: Demo) -> None:
    bucket = demo.page.removesuffix("/catalog/index.html")
    assert httpx.get(demo.page).status_code == 200
    for key in ("ledger/", next(iter(demo.store.list("ledger/"))), next(iter(demo.store.list("sources/")))):
        assert httpx.get(f"{bucket}/{key}").status_code == 403


def test_the_page_shows_the_map(demo: Demo, hazard: Path, chromium: Path) -> None:
    from playwright.sync_api import sync_playwright

    from tests.viewer.visitor import FLAGS, Visitor

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=FLAGS)
        with Visitor.at(browser, width=1280, height=800) as visitor:
            lon, lat, score = flat_place(hazard)
            visitor.page.goto(f"{demo.page}#event={demo.event}")
            visitor.wait().settle()
            picture = os.environ.get("HEADSCARP_SCREENSHOT")
            if picture:
                visitor.page.screenshot(path=picture)
            visitor.page.goto(f"{demo.page}#event={demo.event}&lon={lon:.5f}&lat={lat:.5f}&z=15")
            visitor.wait().settle()
            body = visitor.page.locator("body").inner_text()
            assert "SYNTHETIC" in body and "not observed" in body
            assert len(visitor.page.locator("#version option").all()) == 2
            expected = on_ground(score)
            found = visitor.colour((lon, lat))
            assert all(abs(a - b) <= 4 for a, b in zip(found, expected, strict=True)), (found, expected, score)
            assert visitor.complaints == []
        browser.close()


def flat_place(hazard: Path) -> tuple[float, float, float]:
    """Longitude, latitude and coverage in the middle of the largest area that falls into one class of the legend."""
    from scipy import ndimage

    with rasterio.open(hazard) as source:
        values, transform, crs = source.read(1), source.transform, source.crs
    edges = [b.lower for b in COVERAGE.bins][1:]
    classes = np.digitize(np.nan_to_num(values, nan=-1), edges)
    best = (0.0, 0, 0)
    for one in range(1, len(edges) + 1):
        depth = ndimage.distance_transform_edt(classes == one)
        row, col = np.unravel_index(int(np.argmax(depth)), depth.shape)
        best = max(best, (float(depth[row, col]), int(row), int(col)))
    depth, row, col = best
    assert depth > 3
    x, y = transform @ (col + 0.5, row + 0.5)
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    return lon, lat, float(values[row, col])


def on_ground(score: float) -> tuple[int, ...]:
    """The colour of a coverage over ground that is drawn as valid."""
    rgb = next(b.rgb for b in reversed(COVERAGE.bins) if score >= b.lower)
    ground = GROUND.rgb(Status.VALID)
    return tuple(round(ALPHA / 255 * v + (1 - ALPHA / 255) * g) for v, g in zip(rgb, ground, strict=True))
