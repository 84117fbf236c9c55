"""The endpoint on the real server: equal maps, clear refusals, recovery, and no process left."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import httpx
import numpy as np
import psutil
import pytest

from headscarp.core import wire
from headscarp.core.normalisation import EventStatistics
from headscarp.demo.processes import Supervisor, marked
from headscarp.demo.torchserve import TorchServe, start_torchserve
from headscarp.errors import BadBundle, BadRequest, Unavailable
from headscarp.io.endpoint import EndpointPredictor
from headscarp.ml.bundle import load_bundle
from headscarp.ml.local import LocalPredictor
from headscarp.pipeline.archive import Archive, build_archive
from tests.fixtures_services import TINY_EVENT

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def local(tiny_bundle: Path, tiny_event: EventStatistics) -> LocalPredictor:
    return LocalPredictor(*load_bundle(tiny_bundle)).bound_to(tiny_event)


@pytest.fixture
def stack() -> np.ndarray:
    values = np.random.default_rng(1).uniform(0, 16, (4, 128, 128)).astype(np.float32)
    values[3] = np.floor(values[3])
    values[0, :5] = np.nan
    values[1, 40:50] = np.nan
    return values


def client(server: TorchServe, **options: Any) -> EndpointPredictor:
    made = EndpointPredictor(server.url, server.manifest, token_file=server.token_file, **options)
    return made.bound_to(TINY_EVENT)


class TestAnswers:
    def test_float32_equals_in_process(self, torchserve: TorchServe, local: LocalPredictor, stack: np.ndarray) -> None:
        with client(torchserve) as predictor:
            found = predictor.predict(stack)
        expected = local.predict(stack)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        assert np.isnan(found[:5]).all()
        assert np.isfinite(found[40:50]).all()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
        assert np.nanstd(found) > 1e-3

    def test_float16(self, torchserve: TorchServe, local: LocalPredictor, stack: np.ndarray) -> None:
        with client(torchserve, dtype="float16", reply="float16") as predictor:
            np.testing.assert_allclose(predictor.predict(stack), local.predict(stack), rtol=0, atol=2e-3)

    def test_several_windows_and_odd_sizes(
        self, torchserve: TorchServe, local: LocalPredictor, stack: np.ndarray
    ) -> None:
        with client(torchserve) as predictor:
            for values in (np.stack([stack, stack[:, ::-1]])[..., :67, :31], stack[:, :1, :1]):
                np.testing.assert_allclose(predictor.predict(values), local.predict(values), rtol=0, atol=1e-5)

    def test_all_missing_is_all_nan(self, torchserve: TorchServe) -> None:
        with client(torchserve) as predictor:
            assert np.isnan(predictor.predict(np.full((4, 16, 16), np.nan, np.float32))).all()

    def test_readiness(self, torchserve: TorchServe, stack: np.ndarray) -> None:
        with client(torchserve) as inference_only, client(torchserve, management_url=torchserve.management_url) as full:
            assert inference_only.ready()
            assert full.ready()
        other = replace(torchserve.manifest, version="2.0")
        with EndpointPredictor(torchserve.url, other, token_file=torchserve.token_file) as predictor:
            with pytest.raises(BadRequest, match=r"409 Conflict.*tiny/1\.0@"):
                predictor.bound_to(TINY_EVENT).predict(stack)
            with pytest.raises(BadRequest):
                predictor.ready()


def _headers(server: TorchServe, shape: tuple[int, ...] = (1, 4, 8, 8)) -> dict[str, str]:
    key = json.loads(server.token_file.read_bytes())["inference"]["key"]
    made = wire.request_headers(server.manifest, shape, dtype="float32", reply="float32", statistics=TINY_EVENT)
    return made | {"Authorization": f"Bearer {key}"}


BODY = bytes(4 * 8 * 8 * 4)
INFINITE = np.full(4 * 8 * 8, np.inf, "<f4").tobytes()
MULTIPART = b'--b\r\nContent-Disposition: form-data; name="body"; filename="x"\r\n\r\n' + BODY + b"\r\n--b--\r\n"
MALFORMED: dict[str, tuple[int, dict[str, str | None], bytes]] = {
    "no shape": (400, {wire.SHAPE: None}, BODY),
    "no dtype": (400, {wire.DTYPE: None}, BODY),
    "no model": (400, {wire.MODEL: None}, BODY),
    "no digest": (400, {wire.CHANNELS: None}, BODY),
    "shape of words": (400, {wire.SHAPE: "one,four,eight,eight"}, BODY),
    "negative shape": (400, {wire.SHAPE: "1,4,-8,-8"}, BODY),
    "three sizes": (400, {wire.SHAPE: "4,8,8"}, BODY),
    "unknown dtype": (400, {wire.DTYPE: "float64"}, BODY),
    "object dtype": (400, {wire.DTYPE: "object"}, BODY),
    "unknown reply": (400, {wire.REPLY_DTYPE: "pickle"}, BODY),
    "short body": (400, {}, BODY[:-1]),
    "long body": (400, {}, BODY + b"x"),
    "empty body": (400, {}, b""),
    "other channels": (409, {wire.CHANNELS: "0" * 64}, BODY),
    "other model": (409, {wire.MODEL: "other/1.0@0"}, BODY),
    "too many pixels": (413, {wire.SHAPE: "1,4,99999,99999"}, BODY),
    "json": (415, {"Content-Type": "application/json"}, b'{"a": 1}'),
    "bad json": (415, {"Content-Type": "application/json"}, b"{"),
    "form": (415, {"Content-Type": "application/x-www-form-urlencoded"}, b"a=1&b=2"),
    "form parts": (415, {"Content-Type": "multipart/form-data; boundary=b"}, MULTIPART),
    "no content type": (415, {"Content-Type": None}, BODY),
    "compressed": (415, {"Content-Encoding": "gzip"}, BODY),
    "channel too few": (422, {wire.SHAPE: "1,3,8,8"}, BODY[: 3 * 256]),
    "no pixels": (422, {wire.SHAPE: "1,4,0,8"}, b""),
    "infinity": (422, {}, INFINITE),
    "no statistics": (400, {wire.STATISTICS: None}, BODY),
    "other statistics": (422, {wire.STATISTICS: '{"slope":[1,2]}'}, BODY),
    "long statistics": (413, {wire.STATISTICS: "[" * (wire.MAX_STATISTICS + 1)}, BODY),
}


class TestRefusals:
    @pytest.mark.parametrize("name", MALFORMED)
    def test_malformed_requests_get_a_reason(self, torchserve: TorchServe, name: str) -> None:
        status, changes, body = MALFORMED[name]
        merged = _headers(torchserve) | changes
        headers = {key: value for key, value in merged.items() if value is not None}
        answer = httpx.post(f"{torchserve.url}/predictions/tiny", headers=headers, content=body, timeout=30)
        assert answer.status_code == status, answer.text
        assert len(answer.json()["message"]) > 10
        assert answer.json()["code"] == status

    @pytest.mark.parametrize(
        ("path", "status"),
        [("/predictions/other", 404), ("/predictions/tiny/9.9", 404), ("/predictions/../models", 404)],
    )
    def test_other_addresses(self, torchserve: TorchServe, path: str, status: int) -> None:
        answer = httpx.post(f"{torchserve.url}{path}", headers=_headers(torchserve), content=BODY, timeout=30)
        assert answer.status_code == status, answer.text

    def test_larger_than_the_server_takes(self, torchserve: TorchServe) -> None:
        status = None
        try:
            answer = httpx.post(
                f"{torchserve.url}/predictions/tiny",
                headers=_headers(torchserve),
                content=bytes(wire.MAX_BODY + 1),
                timeout=60,
            )
            status = answer.status_code
        except httpx.WriteError:
            status = 413  # the server closed the connection instead of reading on
        assert status == 413

    def test_none_of_these_harmed_the_worker(
        self, torchserve: TorchServe, local: LocalPredictor, stack: np.ndarray
    ) -> None:
        pids = torchserve.worker_pids()
        for status, changes, body in MALFORMED.values():
            headers = {k: v for k, v in (_headers(torchserve) | changes).items() if v is not None}
            assert (
                httpx.post(f"{torchserve.url}/predictions/tiny", headers=headers, content=body, timeout=30).status_code
                == status
            )
        assert torchserve.worker_pids() == pids
        with client(torchserve) as predictor:
            np.testing.assert_allclose(predictor.predict(stack), local.predict(stack), rtol=0, atol=1e-5)


class TestLockedDown:
    def test_nothing_without_a_key(self, torchserve: TorchServe) -> None:
        headers = {k: v for k, v in _headers(torchserve).items() if k != "Authorization"}
        for url in (f"{torchserve.url}/predictions/tiny", f"{torchserve.management_url}/models"):
            answer = httpx.post(url, headers=headers, content=BODY)
            assert answer.status_code == 400
            assert answer.json()["type"] == "InvalidKeyException"

    def test_nothing_can_be_registered_or_removed(self, torchserve: TorchServe) -> None:
        key = json.loads(torchserve.token_file.read_bytes())["management"]["key"]
        headers = {"Authorization": f"Bearer {key}"}
        url = f"{torchserve.management_url}/models"
        assert httpx.post(f"{url}?url=tiny.mar", headers=headers).status_code == 405
        assert httpx.delete(f"{url}/tiny", headers=headers).status_code == 405

    def test_loopback_alone(self, torchserve: TorchServe) -> None:
        folder = torchserve.token_file.parents[1]
        addresses = {
            connection.laddr.ip
            for process in marked(folder)
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert addresses
        assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}

    def test_key_file_is_private_and_credentials_stay_outside(self, torchserve: TorchServe) -> None:
        assert torchserve.token_file.stat().st_mode & 0o077 == 0
        for pid in torchserve.worker_pids():
            assert not [name for name in psutil.Process(pid).environ() if name.startswith("AWS_")]


class TestRecovers:
    def test_when_the_worker_is_killed_midway(
        self, torchserve: TorchServe, local: LocalPredictor, stack: np.ndarray
    ) -> None:
        expected = local.predict(stack)
        done = threading.Event()

        def predict(number: int) -> np.ndarray:
            found = predictor.predict(stack)
            if number == 3:
                done.set()
            return found

        with client(torchserve, timeout_s=90, concurrency=2) as predictor, ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(predict, number) for number in range(20)]
            assert done.wait(60)
            (pid,) = torchserve.worker_pids()
            os.kill(pid, signal.SIGKILL)
            maps = [future.result() for future in futures]
        assert torchserve.worker_pids() != [pid]
        for found in maps:
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)

    def test_when_the_key_is_replaced(self, torchserve: TorchServe, stack: np.ndarray) -> None:
        with client(torchserve, first_wait_s=0.05) as predictor:
            first = predictor.predict(stack)
            keys = json.loads(torchserve.token_file.read_bytes())
            answer = httpx.get(
                f"{torchserve.management_url}/token?type=inference",
                headers={"Authorization": f"Bearer {keys['API']['key']}"},
            )
            assert answer.status_code == 200
            assert json.loads(torchserve.token_file.read_bytes())["inference"]["key"] != keys["inference"]["key"]
            np.testing.assert_array_equal(predictor.predict(stack), first)


class TestOperation:
    def test_another_beside_it_and_a_stop_that_leaves_nothing(
        self, torchserve: TorchServe, tiny_archive: Archive, tmp_path: Path, root: Path, stack: np.ndarray
    ) -> None:
        with Supervisor(tmp_path) as supervisor:
            second = start_torchserve(
                supervisor, tiny_archive, config=root / "serving" / "config.properties", name="second"
            )
            processes = marked(tmp_path)
            assert any("java" in process.name() for process in processes)
            assert any(process.pid in second.worker_pids() for process in processes)
            with client(torchserve) as one, client(second) as two:
                np.testing.assert_array_equal(one.predict(stack), two.predict(stack))
            begin = time.monotonic()
            supervisor.stop("second")
            assert time.monotonic() - begin < 20
            assert not [process for process in processes if process.is_running()]
            for url in (second.url, second.management_url, second.metrics_url):
                with socket.socket() as probe:
                    assert probe.connect_ex(("127.0.0.1", urlparse(url).port or 0)) != 0
            with client(torchserve) as one:
                assert one.ready()

    def test_a_model_that_cannot_load_says_why(self, tiny_bundle: Path, tmp_path: Path, root: Path) -> None:
        handler = tmp_path / "handler.py"
        handler.write_text("raise RuntimeError('no such luck')\n")
        archive = build_archive(tiny_bundle, tmp_path, handler=handler, config=root / "serving" / "model-config.yaml")
        with Supervisor(tmp_path / "demo") as supervisor, pytest.raises(Unavailable, match="not ready"):
            start_torchserve(supervisor, archive, config=root / "serving" / "config.properties", timeout_s=8)
        assert marked(tmp_path / "demo") == []


class TestArchive:
    def test_holds_the_bundle_and_the_handler(self, tiny_archive: Archive, tiny_bundle: Path, root: Path) -> None:
        with zipfile.ZipFile(tiny_archive.path) as packed:
            for name in ("manifest.json", "weights.safetensors", "CARD.md"):
                assert packed.read(name) == (tiny_bundle / name).read_bytes()
            assert packed.read("handler.py") == (root / "serving" / "handler.py").read_bytes()
            assert not [
                name for name in packed.namelist() if name.endswith((".pt", ".pth", ".pkl", "requirements.txt"))
            ]

    @pytest.mark.parametrize("damage", [lambda data: data + b"x", lambda data: data[:-1], lambda data: data[:0]])
    def test_one_that_was_tampered_with_is_not_started(
        self, tiny_archive: Archive, tmp_path: Path, root: Path, damage: Callable[[bytes], bytes]
    ) -> None:
        path = tmp_path / "tiny.mar"
        path.write_bytes(damage(tiny_archive.path.read_bytes()))
        with Supervisor(tmp_path / "demo") as supervisor, pytest.raises(BadBundle, match="sha256"):
            start_torchserve(
                supervisor, replace(tiny_archive, path=path), config=root / "serving" / "config.properties"
            )
        assert not (tmp_path / "demo" / "torchserve").exists()

    def test_weights_that_are_not_the_manifests_are_not_packed(
        self, tiny_bundle: Path, tmp_path: Path, root: Path
    ) -> None:
        for name in ("manifest.json", "CARD.md"):
            (tmp_path / name).write_bytes((tiny_bundle / name).read_bytes())
        (tmp_path / "weights.safetensors").write_bytes(b"other")
        serving = root / "serving"
        with pytest.raises(BadBundle, match="sha256"):
            build_archive(tmp_path, tmp_path, handler=serving / "handler.py", config=serving / "model-config.yaml")
