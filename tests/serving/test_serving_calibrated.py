"""A calibrated ensemble behind the handler answers what it answers in process."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headscarp.core import wire
from headscarp.core.learning.calibration import Calibration
from headscarp.core.normalisation import EventStatistics
from headscarp.ml.bundle import load_bundle
from headscarp.ml.local import LocalPredictor
from headscarp.pipeline.archive import build_archive
from tests.ml.bundled import CURVE, write_bundle


class Context:
    """TorchServe's context of one request."""

    def __init__(self, folder: Path, headers: dict[str, str] | None = None) -> None:
        self.system_properties = {"model_dir": str(folder), "gpu_id": None}
        self.headers, self.status = headers or {}, 200
        self.answer: dict[str, str] = {}

    def get_all_request_header(self, index: int) -> dict[str, str]:
        return self.headers

    def set_response_status(self, code: int, phrase: str, idx: int) -> None:
        self.status = code

    def set_response_header(self, index: int, key: str, value: str) -> None:
        self.answer[key] = value


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("store"), "pair", members=2, calibration=CURVE)


@pytest.fixture(scope="module")
def handler(root: Path, folder: Path) -> Any:
    spec = importlib.util.spec_from_file_location("headscarp_handler_calibrated", root / "serving" / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.WindowHandler()
    made.initialize(Context(folder))
    return made


@pytest.mark.parametrize("reply", ["float32", "float16"])
def test_coverages_are_those_of_the_process(handler: Any, folder: Path, reply: wire.Dtype) -> None:
    windows = np.random.default_rng(1).uniform(0.05, 40.0, (2, 2, 48, 40)).astype(np.float32)
    windows[:, :, :2] = np.nan
    event = EventStatistics.of({"slope": windows[:, 0], "pga": windows[:, 1]})
    local = LocalPredictor(*load_bundle(folder)).bound_to(event)
    headers = wire.request_headers(local.manifest, windows.shape, dtype="float32", reply=reply, statistics=event)
    context = Context(folder, headers)
    (body,) = handler.handle([{"body": wire.encode(windows, "float32")}], context)
    assert context.status == 200
    found = wire.decode(body, (2, 48, 40), reply)
    expected = np.stack([local.predict(window) for window in windows])
    assert np.isnan(found[:, :2]).all()
    assert 0.0 <= np.nanmin(expected) < np.nanmax(expected) <= CURVE.coverages[-1]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 if reply == "float32" else 3e-4)


def test_a_client_with_another_curve_is_refused(handler: Any, folder: Path, tmp_path: Path) -> None:
    steeper = Calibration("beta", CURVE.scores, tuple(min(2 * c, 1.0) for c in CURVE.coverages))
    other = load_bundle(write_bundle(tmp_path, "pair", members=2, calibration=steeper))[0]
    assert other.weights_sha256 == load_bundle(folder)[0].weights_sha256
    event = EventStatistics.unknown(other.ranked)
    headers = wire.request_headers(other, (1, 2, 8, 8), dtype="float32", reply="float32", statistics=event)
    context = Context(folder, headers)
    handler.handle([{"body": wire.encode(np.zeros((1, 2, 8, 8), np.float32), "float32")}], context)
    assert context.status == 409


def test_an_archive_holds_curve_and_members(folder: Path, tmp_path: Path, root: Path) -> None:
    import zipfile

    serving = root / "serving"
    made = build_archive(folder, tmp_path, handler=serving / "handler.py", config=serving / "model-config.yaml")
    made.verify()
    with zipfile.ZipFile(made.path) as packed:
        packed.extractall(tmp_path / "unpacked")
    manifest, _ = load_bundle(tmp_path / "unpacked")
    assert (manifest.members, manifest.calibration) == (2, CURVE)
