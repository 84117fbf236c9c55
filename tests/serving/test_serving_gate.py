"""A model with the event's channel gate behind the handler: the same map as in process, and no answer without it."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headscarp.core import wire
from headscarp.core.manifest import Manifest
from headscarp.core.normalisation import EventStatistics
from headscarp.errors import BadRequest, InvalidInput
from headscarp.io.endpoint import EndpointPredictor
from headscarp.ml.bundle import load_bundle
from headscarp.ml.local import LocalPredictor
from tests.io.test_io_endpoint import FakeServer, send
from tests.ml.bundled import CURVE, write_bundle
from tests.serving.test_serving_handler import Context, ask

SIDE = 64
RNG = np.random.default_rng(4)
SAMPLE = RNG.uniform(0.05, 40.0, (3, 2, SIDE, SIDE)).astype(np.float32)
WINDOWS = RNG.uniform(0.05, 40.0, (2, 2, 48, 40)).astype(np.float32)
WINDOWS[:, :, :2] = np.nan
EVENT = EventStatistics.of({"slope": SAMPLE[:, 0], "pga": SAMPLE[:, 1]})
SIZE = 2 * 16 * 2
GATE = RNG.random(SIZE, dtype=np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ensemble of two with a calibration."""
    return write_bundle(tmp_path_factory.mktemp("store"), "pair", members=2, calibration=CURVE, gate_px=SIDE)


@pytest.fixture(scope="module")
def handler(root: Path, folder: Path) -> Any:
    spec = importlib.util.spec_from_file_location("headscarp_handler_gate", root / "serving" / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.WindowHandler()
    made.initialize(Context(folder))
    return made


@pytest.fixture(scope="module")
def manifest(folder: Path) -> Manifest:
    return Manifest.load(folder)


@pytest.fixture
def server(handler: Any, manifest: Manifest) -> Iterator[FakeServer]:
    """The handler behind HTTP."""

    def answer(request: BaseHTTPRequestHandler, body: bytes) -> None:
        context = Context(Path(), dict(request.headers.items()))
        (content,) = handler.handle([{"body": body}], context)
        send(request, context.status[0], content, context.answers[0])

    fake = FakeServer(manifest)
    fake.actions = [answer]
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


def headers(manifest: Manifest, shape: tuple[int, ...] = WINDOWS.shape, **more: Any) -> dict[str, str]:
    plain: dict[str, Any] = {"dtype": "float32", "reply": "float32", "statistics": EVENT}
    return wire.request_headers(manifest, shape, **(plain | more))


def body(*parts: np.ndarray) -> bytes:
    return b"".join(wire.encode(part, "float32") for part in parts)


def test_the_endpoint_makes_the_gate_and_the_map_of_the_process(server: FakeServer, folder: Path) -> None:
    manifest, network = load_bundle(folder)
    local = LocalPredictor(manifest, network).bound_to(EVENT).gated(SAMPLE)
    with EndpointPredictor(server.url, manifest, timeout_s=30.0) as client:
        assert client.ready()
        far = client.bound_to(EVENT).gated(iter(SAMPLE))
        assert local.event_gate is not None
        assert far.event_gate is not None
        assert (far.event_gate.windows, far.event_gate.side) == (3, SIDE)
        np.testing.assert_allclose(far.event_gate.values, local.event_gate.values, rtol=0, atol=1e-6)
        np.testing.assert_allclose(far.predict(WINDOWS), local.predict(WINDOWS), rtol=0, atol=1e-6)
        assert client.event_gates == {}
        assert far.bound_to(EVENT).event_gates == {}
    # Ready, three windows, their mean, one prediction.
    assert server.seen == 6


def test_a_client_without_a_gate_sends_nothing(server: FakeServer, manifest: Manifest) -> None:
    with EndpointPredictor(server.url, manifest, timeout_s=5.0) as client:
        bound = client.bound_to(EVENT)
        with pytest.raises(BadRequest, match="channel gate of the event, which is not given"):
            bound.predict(WINDOWS)
        with pytest.raises(InvalidInput, match="at least one window"):
            bound.gated([])
        with pytest.raises(InvalidInput, match="expected windows"):
            bound.gated(WINDOWS)
    assert server.seen == 0


def test_another_gate_is_another_map(handler: Any, manifest: Manifest) -> None:
    sent = headers(manifest, gate=GATE)
    maps = [ask(handler, sent, body=body(WINDOWS, gate)) for gate in (GATE, GATE[::-1], GATE)]
    assert [status for status, _, _ in maps] == [200] * 3
    assert maps[0][2] == maps[2][2] != maps[1][2]


def test_round_trip(manifest: Manifest) -> None:
    found = wire.parse_request(headers(manifest, gate=GATE, dtype="float16"),
                               wire.encode(WINDOWS, "float16") + body(GATE), manifest)  # fmt: skip
    assert found.wanted == "scores"
    assert found.gate is not None
    assert found.gate.tobytes() == GATE.tobytes()
    np.testing.assert_array_equal(found.windows, WINDOWS.astype(np.float16))
    features = RNG.random((2, SIZE), dtype=np.float32)
    asked = wire.parse_request(headers(manifest, (2, SIZE), wanted="gate"), body(features), manifest)
    assert (asked.wanted, asked.gate, asked.statistics) == ("gate", None, None)
    np.testing.assert_array_equal(asked.windows, features)
    pooled = wire.parse_request(headers(manifest, SAMPLE.shape, wanted="pooled"), body(SAMPLE), manifest)
    assert (pooled.wanted, pooled.statistics) == ("pooled", EVENT)


def refusal(handler: Any, sent: dict[str, str], content: bytes) -> tuple[int, str]:
    status, _, answer = ask(handler, sent, body=content)
    return status, json.loads(answer)["message"]


def test_scores_without_a_gate_are_refused(handler: Any, manifest: Manifest) -> None:
    sent = {name: value for name, value in headers(manifest, gate=GATE).items() if name != wire.GATE}
    status, reason = refusal(handler, sent, body(WINDOWS))
    assert (status, "scores by the channel gate of the event" in reason) == (400, True)


@pytest.mark.parametrize("count", ["63", "65", "0", "-64", "", "x" * 99, "064"])
def test_a_gate_of_another_length_is_refused(handler: Any, manifest: Manifest, count: str) -> None:
    status, reason = refusal(handler, headers(manifest, gate=GATE) | {wire.GATE: count}, body(WINDOWS, GATE))
    assert (status, "expected 64 weights" in reason) == (422, True)


@pytest.mark.parametrize("rest", [GATE[:-1], np.append(GATE, GATE[0]), GATE[:0]])
def test_a_body_whose_gate_is_cut_is_refused(handler: Any, manifest: Manifest, rest: np.ndarray) -> None:
    status, reason = refusal(handler, headers(manifest, gate=GATE), body(WINDOWS, rest))
    assert (status, "and a gate of 64" in reason) == (400, True)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.01, 1.01])
def test_weights_that_are_none_are_refused(handler: Any, manifest: Manifest, bad: float) -> None:
    gate = GATE.copy()
    gate[7] = bad
    status, reason = refusal(handler, headers(manifest, gate=gate), body(WINDOWS, gate))
    assert (status, "weights from 0 to 1" in reason) == (422, True)


@pytest.mark.parametrize(
    ("shape", "change", "status"),
    [
        (SAMPLE.shape, {wire.WANTED: "weights"}, 400),
        (SAMPLE.shape, {wire.WANTED: "pooled", wire.REPLY_DTYPE: "float16"}, 400),
        (WINDOWS.shape, {wire.WANTED: "pooled"}, 422),
        ((2, SIZE), {wire.WANTED: "gate", wire.DTYPE: "float16"}, 400),
        ((2, SIZE + 1), {wire.WANTED: "gate"}, 422),
        ((1, 2, 1, SIZE), {wire.WANTED: "gate"}, 422),
    ],
)
def test_other_wishes_are_refused(
    handler: Any, manifest: Manifest, shape: tuple[int, ...], change: dict[str, str], status: int
) -> None:
    content = bytes(4 * int(np.prod(shape)))
    assert refusal(handler, headers(manifest, shape, gate=GATE) | change, content)[0] == status


def test_features_that_are_not_finite_are_refused(handler: Any, manifest: Manifest) -> None:
    features = np.full((2, SIZE), np.nan, np.float32)
    assert refusal(handler, headers(manifest, (2, SIZE), wanted="gate"), body(features))[0] == 422


@pytest.mark.parametrize("change", [{wire.GATE: "64"}, {wire.WANTED: "pooled"}, {wire.WANTED: "gate"}])
def test_a_model_whose_windows_make_their_own_takes_no_gate(folder: Path, change: dict[str, str], root: Path) -> None:
    plain = load_bundle(write_bundle(folder.parent, "own"))[0]
    sent = headers(plain, SAMPLE.shape)
    assert wire.GATE not in sent
    assert wire.WANTED not in sent
    assert wire.parse_request(sent, body(SAMPLE), plain).gate is None
    with pytest.raises(wire.Refusal) as caught:
        wire.parse_request(sent | change, body(SAMPLE), plain)
    assert caught.value.status == 400
