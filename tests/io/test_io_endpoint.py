"""The client against servers that misbehave in every way TorchServe was seen to, and some more."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headscarp.core import wire
from headscarp.core.manifest import Manifest
from headscarp.core.normalisation import EventStatistics
from headscarp.core.predictor import Predictor
from headscarp.demo.processes import free_ports
from headscarp.errors import BadRequest, EndpointUnavailable, InvalidInput
from headscarp.io.endpoint import EndpointPredictor
from tests.fixtures_services import TINY_EVENT

Action = Callable[[BaseHTTPRequestHandler, bytes], None]


class FakeServer:
    """Answers each request with the next action, the last one for ever; counts what is under way."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest, self.actions, self.seen = manifest, [self.good], 0
        self.keys: list[str] = []
        self.most, self.now, self.lock = 0, 0, threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with fake.lock:
                    action = fake.actions[min(fake.seen, len(fake.actions) - 1)]
                    fake.seen, fake.now = fake.seen + 1, fake.now + 1
                    fake.most = max(fake.most, fake.now)
                    fake.keys.append(self.headers.get("Authorization", ""))
                try:
                    action(self, body)
                finally:
                    with fake.lock:
                        fake.now -= 1

            def log_message(self, *_: Any) -> None:
                """Silence."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def good(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        """The mean over the channels: easy to know."""
        self.answer(request, body)

    def answer(self, request: BaseHTTPRequestHandler, body: bytes, **headers: str) -> None:
        shape = tuple(int(n) for n in request.headers[wire.SHAPE].split(","))
        scores = wire.decode(body, shape, "float32").mean(axis=1)
        reply = {
            wire.SHAPE: wire.shape_text(scores.shape),
            wire.DTYPE: "float32",
            wire.MODEL: wire.model_identity(self.manifest),
        } | headers
        send(request, 200, wire.encode(scores, "float32"), reply)


def send(request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    request.send_response(status)
    for name, value in ({"Content-Length": str(len(body))} | headers).items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


def error(status: int, kind: str, message: str) -> Action:
    text = json.dumps({"code": status, "type": kind, "message": message}).encode()
    return lambda request, _: send(request, status, text, {})


def cut(request: BaseHTTPRequestHandler, _: bytes) -> None:
    """Half of an answer, then a closed connection."""
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b"x" * 500)
    request.wfile.flush()
    hang_up(request, b"")


def hang_up(request: BaseHTTPRequestHandler, _: bytes) -> None:
    """A closed connection."""
    request.close_connection = True
    request.connection.shutdown(socket.SHUT_RDWR)


def drip(request: BaseHTTPRequestHandler, _: bytes) -> None:
    """A byte every 50 ms: no read ever times out."""
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    try:
        for _number in range(200):
            request.wfile.write(b"x")
            request.wfile.flush()
            time.sleep(0.05)
    except OSError:
        return


@pytest.fixture
def manifest(tiny_bundle: Path) -> Manifest:
    return Manifest.load(tiny_bundle)


@pytest.fixture
def fake(manifest: Manifest) -> Iterator[FakeServer]:
    made = FakeServer(manifest)
    yield made
    made.server.shutdown()
    made.server.server_close()


@contextmanager
def client(url: str, manifest: Manifest, **options: Any) -> Iterator[EndpointPredictor]:
    """A client for the windows of one event."""
    with EndpointPredictor(url, manifest, **options) as made:
        yield made.bound_to(TINY_EVENT)


@pytest.fixture
def predictor(fake: FakeServer, manifest: Manifest) -> Iterator[EndpointPredictor]:
    with client(fake.url, manifest, timeout_s=8.0, first_wait_s=0.02) as made:
        yield made


STACK = np.random.default_rng(0).random((4, 16, 12), dtype=np.float32)


def test_it_is_a_predictor_with_the_bundles_identity(predictor: EndpointPredictor, manifest: Manifest) -> None:
    typed: Predictor = predictor
    assert (typed.name, typed.version, typed.channels) == (manifest.name, manifest.version, manifest.channels)
    assert typed.plan == manifest.plan
    assert typed.required == manifest.required


class TestOneEvent:
    def test_each_client_sends_the_statistics_of_its_own_event(self, fake: FakeServer, manifest: Manifest) -> None:
        sent: list[str] = []

        def noting(request: BaseHTTPRequestHandler, body: bytes) -> None:
            sent.append(request.headers[wire.STATISTICS])
            fake.good(request, body)

        fake.actions = [noting]
        other = EventStatistics.unknown(manifest.ranked)
        with EndpointPredictor(fake.url, manifest) as shared:
            for bound in [shared.bound_to(event) for event in (TINY_EVENT, other)]:
                bound.predict(STACK)
        assert [EventStatistics.from_json(text) for text in sent] == [TINY_EVENT, other]

    def test_unbound_it_sends_nothing(self, fake: FakeServer, manifest: Manifest) -> None:
        with EndpointPredictor(fake.url, manifest) as unbound, pytest.raises(BadRequest, match="not given"):
            unbound.predict(STACK)
        assert fake.seen == 0

    def test_of_which_too_little_is_known_is_refused(self, fake: FakeServer, manifest: Manifest) -> None:
        with EndpointPredictor(fake.url, manifest) as shared, pytest.raises(InvalidInput, match="river_distance"):
            shared.bound_to(TINY_EVENT.only(("slope", "pga")))


class TestAnswers:
    def test_one_window_and_a_batch(self, predictor: EndpointPredictor) -> None:
        np.testing.assert_allclose(predictor.predict(STACK), STACK.mean(axis=0), rtol=1e-6)
        batch = np.stack([STACK, 2 * STACK])
        np.testing.assert_allclose(predictor.predict(batch), batch.mean(axis=1), rtol=1e-6)

    def test_views_and_other_byte_orders(self, predictor: EndpointPredictor) -> None:
        for view in (STACK[:, ::-1, ::2], STACK.astype(">f4"), STACK.astype(np.float64), np.asfortranarray(STACK)):
            np.testing.assert_allclose(predictor.predict(view), view.mean(axis=0), rtol=1e-6)

    @pytest.mark.parametrize("shape", [(3, 8, 8), (8, 8), (1, 3, 8, 8), (1, 1, 4, 8, 8)])
    def test_wrong_channels_are_not_sent(
        self, predictor: EndpointPredictor, fake: FakeServer, shape: tuple[int, ...]
    ) -> None:
        with pytest.raises(BadRequest, match="slope, river_distance, pga, lithology"):
            predictor.predict(np.zeros(shape, np.float32))
        assert fake.seen == 0

    def test_concurrency_is_bounded(self, fake: FakeServer, manifest: Manifest) -> None:
        def slow(request: BaseHTTPRequestHandler, body: bytes) -> None:
            time.sleep(0.05)
            fake.good(request, body)

        fake.actions = [slow]
        with client(fake.url, manifest, concurrency=3) as predictor:
            threads = [threading.Thread(target=predictor.predict, args=(STACK,)) for _ in range(12)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert fake.seen == 12
        assert fake.most == 3


class TestRecovers:
    @pytest.mark.parametrize(
        "trouble",
        [
            error(503, "ServiceUnavailableException", "Model has no worker to serve inference request"),
            error(500, "InternalServerException", "Worker died."),
            error(507, "InternalServerException", "Out of resources"),
            cut,
            hang_up,
            lambda request, _: send(request, 502, b"<html>bad gateway</html>", {}),
        ],
    )
    def test_from_passing_trouble(self, predictor: EndpointPredictor, fake: FakeServer, trouble: Action) -> None:
        fake.actions = [trouble, trouble, fake.good]
        np.testing.assert_allclose(predictor.predict(STACK), STACK.mean(axis=0), rtol=1e-6)
        assert fake.seen == 3

    def test_when_the_server_comes_late(self, manifest: Manifest) -> None:
        port = free_ports(1)[0]
        with client(f"http://127.0.0.1:{port}", manifest, timeout_s=0.5, first_wait_s=0.05) as predictor:
            assert not predictor.ready()
            with pytest.raises(EndpointUnavailable, match="ConnectError"):
                predictor.predict(STACK)

    def test_with_a_new_key(self, fake: FakeServer, manifest: Manifest, tmp_path: Path) -> None:
        path = tmp_path / "key_file.json"
        path.write_text(json.dumps({"inference": {"key": "old"}}))

        def rotated(request: BaseHTTPRequestHandler, body: bytes) -> None:
            path.write_text(json.dumps({"inference": {"key": "new"}}))
            error(400, "InvalidKeyException", "Token Authorization failed. Token either incorrect, expired")(
                request, body
            )

        fake.actions = [rotated, fake.good]
        with client(fake.url, manifest, token_file=path, first_wait_s=0.02) as predictor:
            predictor.predict(STACK)
        assert fake.keys == ["Bearer old", "Bearer new"]


class TestGivesUp:
    @pytest.mark.parametrize("status", [400, 404, 409, 413, 415, 422])
    def test_at_once_where_a_retry_cannot_help(
        self, predictor: EndpointPredictor, fake: FakeServer, status: int
    ) -> None:
        fake.actions = [error(status, "Reason", "the channels are not mine")]
        with pytest.raises(BadRequest, match=f"{status} Reason: the channels are not mine"):
            predictor.predict(STACK)
        assert fake.seen == 1

    def test_at_the_deadline(self, fake: FakeServer, manifest: Manifest) -> None:
        fake.actions = [error(503, "ServiceUnavailableException", "queue full")]
        with client(fake.url, manifest, timeout_s=0.6, first_wait_s=0.05) as predictor:
            begin = time.monotonic()
            with pytest.raises(EndpointUnavailable, match="queue full"):
                predictor.predict(STACK)
            assert time.monotonic() - begin < 1.5
        assert fake.seen > 1

    @pytest.mark.parametrize("slow", [drip, lambda *_: time.sleep(5)])
    def test_on_a_server_that_is_too_slow(self, fake: FakeServer, manifest: Manifest, slow: Action) -> None:
        fake.actions = [slow]
        with client(fake.url, manifest, timeout_s=0.6) as predictor:
            begin = time.monotonic()
            with pytest.raises(EndpointUnavailable):
                predictor.predict(STACK)
            assert time.monotonic() - begin < 2.0

    def test_on_a_key_that_stays_wrong(self, fake: FakeServer, manifest: Manifest, tmp_path: Path) -> None:
        path = tmp_path / "key_file.json"
        path.write_text(json.dumps({"inference": {"key": "secret-old"}}))
        fake.actions = [error(400, "InvalidKeyException", "expired")]
        with (
            client(fake.url, manifest, token_file=path, first_wait_s=0.02) as predictor,
            pytest.raises(BadRequest, match="refused") as caught,
        ):
            predictor.predict(STACK)
        assert fake.seen == 4
        assert "secret-old" not in str(caught.value)

    def test_without_a_key_file(self, fake: FakeServer, manifest: Manifest, tmp_path: Path) -> None:
        with (
            client(fake.url, manifest, token_file=tmp_path / "none.json", timeout_s=0.3) as predictor,
            pytest.raises(EndpointUnavailable, match="no key file"),
        ):
            predictor.predict(STACK)

    def test_on_an_address_that_is_none(self, manifest: Manifest) -> None:
        with pytest.raises(InvalidInput, match="http"):
            EndpointPredictor("localhost:8080", manifest)


class TestNeverMixes:
    @pytest.mark.parametrize(
        ("header", "value"),
        [(wire.MODEL, "tiny/2.0@0000000000000000"), (wire.SHAPE, "1,12,16"), (wire.DTYPE, "float16")],
    )
    def test_an_answer_to_another_question(
        self, predictor: EndpointPredictor, fake: FakeServer, header: str, value: str
    ) -> None:
        fake.actions = [lambda request, body: fake.answer(request, body, **{header: value})]
        with pytest.raises(BadRequest, match=header):
            predictor.predict(STACK)

    @pytest.mark.parametrize("size", [0, 16 * 12 * 4 - 4, 16 * 12 * 4 + 4, 200_000])
    def test_an_answer_of_another_length(self, fake: FakeServer, manifest: Manifest, size: int) -> None:
        reply = {wire.SHAPE: "1,16,12", wire.DTYPE: "float32", wire.MODEL: wire.model_identity(manifest)}
        fake.actions = [lambda request, _: send(request, 200, bytes(size), reply)]
        with (
            client(fake.url, manifest, timeout_s=3.0, first_wait_s=0.02) as predictor,
            pytest.raises(EndpointUnavailable, match="expected 768 bytes"),
        ):
            predictor.predict(STACK)
