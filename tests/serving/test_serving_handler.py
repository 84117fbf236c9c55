"""The handler without its server: what it imports, what it refuses, what it answers."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headscarp.core import wire
from headscarp.core.manifest import Manifest
from headscarp.core.normalisation import EventStatistics
from headscarp.demo.torchserve import read_properties
from headscarp.ml.bundle import load_bundle
from headscarp.ml.local import LocalPredictor

BLOCKED = (
    "prefect", "rasterio", "fsspec", "s3fs", "boto3", "botocore", "zarr", "xarray", "pystac", "pyogrio", "httpx",
    "pydantic", "pandas", "ts",
)  # fmt: skip


class Context:
    """TorchServe's context for a batch of requests: headers in, status and headers out."""

    def __init__(self, folder: Path, *requests: Mapping[str, Any]) -> None:
        self.system_properties = {"model_dir": str(folder), "gpu_id": None}
        self.requests = requests
        self.status = [200] * len(requests)
        self.answers: list[dict[str, str]] = [{} for _ in requests]

    def get_all_request_header(self, index: int) -> dict[str, Any]:
        return dict(self.requests[index])

    def set_response_status(self, code: int, phrase: str, idx: int) -> None:
        self.status[idx] = code

    def set_response_header(self, index: int, key: str, value: str) -> None:
        self.answers[index][key] = value


@pytest.fixture(scope="module")
def handler(root: Path, tiny_bundle: Path) -> Any:
    spec = importlib.util.spec_from_file_location("headscarp_handler", root / "serving" / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.WindowHandler()
    made.initialize(Context(tiny_bundle))
    return made


@pytest.fixture(scope="module")
def manifest(tiny_bundle: Path) -> Manifest:
    return Manifest.load(tiny_bundle)


def windows(count: int = 1, side: int = 32, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).uniform(0, 16, (count, 4, side, side)).astype(np.float32)
    values[:, :, :3] = np.nan
    return values


def headers_of(
    manifest: Manifest, shape: tuple[int, ...], event: EventStatistics, **types: wire.Dtype
) -> dict[str, Any]:
    plain: dict[str, wire.Dtype] = {"dtype": "float32", "reply": "float32"}
    return dict(wire.request_headers(manifest, shape, statistics=event, **(plain | types)))


def ask(handler: Any, headers: Mapping[str, Any], **item: Any) -> tuple[int, dict[str, str], bytes]:
    context = Context(Path(), headers)
    (answer,) = handler.handle([item], context)
    return context.status[0], context.answers[0], answer


class TestImports:
    def test_nothing_of_the_pipeline_is_needed(self, root: Path, tiny_bundle: Path) -> None:
        code = (
            "import sys\n"
            f"for name in {BLOCKED}: sys.modules[name] = None\n"
            "sys.path.insert(0, 'serving')\n"
            "import handler\n"
            "class C: system_properties = {'model_dir': sys.argv[1], 'gpu_id': None}\n"
            "h = handler.WindowHandler(); h.initialize(C)\n"
            "ours = {n for n in sys.modules if n.startswith('headscarp.')}\n"
            "bad = {n for n in ours if n.split('.')[1] not in ('core', 'ml', 'errors', 'tables')}\n"
            "assert not bad, bad\n"
            "print(sorted(n for n in ours if n.startswith('headscarp.ml')))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tiny_bundle)], cwd=root, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "local" not in done.stdout
        assert "train" not in done.stdout


class TestAnswers:
    @pytest.mark.parametrize(("dtype", "reply", "bound"), [("float32", "float32", 1e-5), ("float16", "float16", 2e-3)])
    def test_equal_to_the_network_in_process(
        self,
        handler: Any,
        manifest: Manifest,
        tiny_bundle: Path,
        tiny_event: EventStatistics,
        dtype: wire.Dtype,
        reply: wire.Dtype,
        bound: float,
    ) -> None:
        values = windows(2)
        headers = headers_of(manifest, values.shape, tiny_event, dtype=dtype, reply=reply)
        status, answered, body = ask(handler, headers, body=bytearray(wire.encode(values, dtype)))
        assert status == 200
        assert answered["content-type"] == "application/octet-stream"
        scores = wire.decode(body, (2, 32, 32), reply)
        local = LocalPredictor(*load_bundle(tiny_bundle)).bound_to(tiny_event)
        expected = np.stack([local.predict(window) for window in values])
        np.testing.assert_array_equal(np.isnan(scores), np.isnan(expected))
        assert np.isnan(scores[:, :3]).all()
        np.testing.assert_allclose(scores, expected, rtol=0, atol=bound)

    def test_windows_of_another_event_get_other_scores(
        self, handler: Any, manifest: Manifest, tiny_event: EventStatistics
    ) -> None:
        values, body = windows(), wire.encode(windows(), "float32")
        steeper = EventStatistics({name: tuple(1.5 * v for v in table) for name, table in tiny_event.quantiles.items()})
        unknown = EventStatistics.unknown(manifest.ranked)
        answers = [
            ask(handler, headers_of(manifest, values.shape, event), body=body)[2]
            for event in (tiny_event, steeper, unknown, tiny_event)
        ]
        assert answers[0] == answers[3]
        assert len(set(answers)) == 3

    def test_one_bad_item_does_not_spoil_its_batch(
        self, handler: Any, manifest: Manifest, tiny_event: EventStatistics
    ) -> None:
        values = windows()
        good = headers_of(manifest, values.shape, tiny_event)
        bad = good | {wire.CHANNELS: "0" * 64}
        context = Context(Path(), good, bad, good)
        body = wire.encode(values, "float32")
        answers = handler.handle([{"body": body}] * 3, context)
        assert context.status == [200, 409, 200]
        assert answers[0] == answers[2]
        assert "serves" in json.loads(answers[1])["message"]

    def test_header_names_in_any_case(self, handler: Any, manifest: Manifest, tiny_event: EventStatistics) -> None:
        values = windows()
        headers = headers_of(manifest, values.shape, tiny_event)
        for change in (str.lower, str.upper):
            changed = {change(name): value for name, value in headers.items()}
            assert ask(handler, changed, body=wire.encode(values, "float32"))[0] == 200


class TestRefusals:
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_anything_is_answered_with_200_or_4xx(
        self, handler: Any, manifest: Manifest, tiny_event: EventStatistics, data: st.DataObject
    ) -> None:
        values = windows(side=8)
        headers = headers_of(manifest, values.shape, tiny_event)
        text = st.text(max_size=30)
        near = st.sampled_from(
            [
                *("1,4,8,8", "0,4,8,8", "999999,4,999999,999999", "1,4,8", "1,4,8,8,1", "٣,4,8,8", "float64"),
                *("{}", '{"slope":[NaN]}', '{"slope":[]}', "[" * 5000),
                headers[wire.STATISTICS].replace("1.0", "-1e400"),
            ]
        )
        for name in data.draw(st.lists(st.sampled_from(sorted(headers)), max_size=3)):
            if data.draw(st.booleans()):
                headers[name] = data.draw(near | text)
            else:
                headers.pop(name, None)
        body = data.draw(st.just(wire.encode(values, "float32")) | st.binary(max_size=64) | text | st.none())
        status, _, answer = ask(handler, headers, body=body)
        assert status == 200 or 400 <= status < 500
        if status != 200:
            reason = json.loads(answer)
            assert reason["code"] == status
            assert reason["message"]

    @pytest.mark.parametrize(
        ("text", "status"),
        [
            (None, 400),
            ("", 422),
            ("[1, 2]", 422),
            ("{}", 422),
            ("[" * 6000, 422),
            ("x" * 6145, 413),
            ('{"slope":[],"pga":[]}', 422),
            ('{"slope":[],"pga":[],"river_distance":[1,2,3]}', 422),
            ('{"slope":[],"pga":[],"river_distance":[0,1,2,3,4,5,6,7,8,9,10,11,NaN]}', 422),
            ('{"slope":[],"pga":[],"river_distance":[0,1,2,3,4,5,6,7,8,9,10,11,1e999]}', 422),
            ('{"slope":[],"pga":[],"river_distance":[0,1,2,3,4,5,6,7,8,9,10,11,10.9]}', 422),
            ('{"slope":[],"pga":[],"river_distance":[0,1,2,3,4,5,6,7,8,9,10,11,12]}', 200),
        ],
    )
    def test_event_statistics(
        self, handler: Any, manifest: Manifest, tiny_event: EventStatistics, text: str | None, status: int
    ) -> None:
        values = windows()
        headers = headers_of(manifest, values.shape, tiny_event) | {wire.STATISTICS: text}
        sent = {name: value for name, value in headers.items() if value is not None}
        found, _, answer = ask(handler, sent, body=wire.encode(values, "float32"))
        assert found == status
        assert status == 200 or wire.STATISTICS in json.loads(answer)["message"]

    def test_a_model_normalised_by_its_training_needs_none(self, manifest: Manifest) -> None:
        plain = replace(manifest, normalisation="training", absolute=frozenset())
        values = windows()
        headers = wire.request_headers(plain, values.shape, dtype="float32", reply="float32")
        assert wire.STATISTICS not in headers
        assert wire.parse_request(headers, wire.encode(values, "float32"), plain).statistics is None
        with pytest.raises(wire.BadRequest, match="not given"):
            wire.request_headers(manifest, values.shape, dtype="float32", reply="float32")

    def test_the_server_lets_through_what_the_handler_takes(self, root: Path) -> None:
        settings_ = read_properties(root / "serving" / "config.properties")
        assert int(settings_["max_request_size"]) == wire.MAX_BODY
        assert int(settings_["max_response_size"]) >= wire.MAX_PIXELS * 4

    def test_values_that_do_not_fit_half_precision_are_not_sent_as_infinity(self) -> None:
        with pytest.raises(wire.BadRequest, match="float16"):
            wire.encode(np.array([1.0, 70_000.0], np.float32), "float16")
        kept = wire.decode(wire.encode(np.array([np.nan, 65_504.0], np.float32), "float16"), (2,), "float16")
        np.testing.assert_array_equal(kept, np.array([np.nan, 65_504.0], np.float32))


class TestLockedDown:
    def test_configuration(self, root: Path) -> None:
        found = read_properties(root / "serving" / "config.properties")
        assert found["disable_token_authorization"] == "false"
        assert found["enable_model_api"] == "false"
        assert found["install_py_dep_per_model"] == "false"
        assert found["enable_envvars_config"] == "false"
        assert all("127.0.0.1" in value for key, value in found.items() if key.endswith("_address"))
