"""How windows travel to an inference endpoint and maps come back: raw numbers and a few headers.

A request is one or several windows of (channel, y, x) little-endian numbers in physical units, NaN
where missing. Its headers say shape, type, which model is meant and what its channels are, so that
an endpoint never answers for another model or another reading of the channels. For a model that
normalises by the event they hold the event's statistics too: an endpoint knows no events.

A model with one channel gate for the event is asked three things: for the pooled features of each window of a
sample, for the gate that their mean makes, and for scores. A request for scores carries the gate behind its windows:
headers are too short for it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from headscarp.core.gate import within
from headscarp.core.manifest import Manifest
from headscarp.core.normalisation import EventStatistics
from headscarp.errors import BadRequest, InvalidInput

SHAPE = "X-Headscarp-Shape"
DTYPE = "X-Headscarp-Dtype"
REPLY_DTYPE = "X-Headscarp-Reply-Dtype"
MODEL = "X-Headscarp-Model"
CHANNELS = "X-Headscarp-Channels"
STATISTICS = "X-Headscarp-Event-Statistics"
GATE = "X-Headscarp-Gate"
"""How many float32 weights of the event's channel gate follow the windows in the body."""
WANTED = "X-Headscarp-Wanted"
"""Scores where it is absent."""
CONTENT_TYPE = "application/octet-stream"

MAX_BODY = 64 << 20
"""Bytes of one request; the server's configuration has the same number."""
MAX_PIXELS = 16 * 448 * 448
"""Pixels of all windows of one request, which bound the memory of the network's features."""
MAX_STATISTICS = 6 << 10
"""Characters of the event's statistics; servers take some 8 KiB of headers in all."""

Dtype = Literal["float32", "float16"]
DTYPES: Mapping[str, np.dtype[np.floating]] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}
Wanted = Literal["scores", "pooled", "gate"]
"""Of windows their scores, or mean and maximum of their deepest features; of such features the channel gate."""
_SHAPE = re.compile(r"[0-9]{1,6}(,[0-9]{1,6}){3}", re.ASCII)


class Refusal(BadRequest):
    """Why a request cannot be answered, with the HTTP status that says whose fault it is."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """A request that passed every check: (window, channel, y, x) float32, and the type of the answer."""

    windows: NDArray[np.float32]
    """For a gate, the mean features (2, gate channel) of the event."""
    reply: Dtype
    statistics: EventStatistics | None = None
    """None for a model that does not normalise by the event."""
    wanted: Wanted = "scores"
    gate: NDArray[np.float32] | None = None
    """None where it is no request for scores, or every window makes its own."""


def model_identity(manifest: Manifest) -> str:
    """Name, version, weights and, where there is one, calibration of a bundle in one word."""
    curve = manifest.calibration and json.dumps(manifest.calibration.to_json(), sort_keys=True)
    suffix = f"+{hashlib.sha256(curve.encode()).hexdigest()[:8]}" if curve else ""
    return f"{manifest.name}/{manifest.version}@{manifest.weights_sha256[:16]}{suffix}"


def channels_digest(manifest: Manifest) -> str:
    """SHA-256 over the PCI table's digest and the names of the channels in input order."""
    return hashlib.sha256("\n".join((manifest.table_digest, *manifest.channels)).encode()).hexdigest()


def request_headers(
    manifest: Manifest,
    shape: tuple[int, ...],
    *,
    dtype: Dtype,
    reply: Dtype,
    statistics: EventStatistics | None = None,
    wanted: Wanted = "scores",
    gate: NDArray[np.float32] | None = None,
) -> dict[str, str]:
    """Headers of a request of `shape` (window, channel, y, x), or (2, gate channel) where a gate is wanted.

    Raises:
        BadRequest: the model normalises by the event, and its statistics are not given or too long; or it scores by
            the event's channel gate, and that is not given.
        InvalidInput: the statistics lack a channel.
    """
    return {
        "Content-Type": CONTENT_TYPE,
        SHAPE: shape_text(shape),
        DTYPE: dtype,
        REPLY_DTYPE: reply,
        MODEL: model_identity(manifest),
        CHANNELS: channels_digest(manifest),
        **({} if wanted == "gate" else _statistics_header(manifest, statistics)),
        **({} if wanted == "scores" else {WANTED: wanted}),
        **(_gate_header(manifest, gate) if wanted == "scores" else {}),
    }


def _gate_header(manifest: Manifest, gate: NDArray[np.float32] | None) -> dict[str, str]:
    if not manifest.gate_px:
        return {}
    if gate is None:
        raise BadRequest(f"{manifest.name}: scores by the channel gate of the event, which is not given")
    return {GATE: str(gate.size)}


def _statistics_header(manifest: Manifest, statistics: EventStatistics | None) -> dict[str, str]:
    if not manifest.ranked:
        return {}
    if statistics is None:
        raise BadRequest(f"{manifest.name}: normalises by the event, and its statistics are not given")
    text = statistics.only(manifest.ranked).to_json()
    if len(text) > MAX_STATISTICS:
        raise BadRequest(f"{manifest.name}: event statistics of {len(text)} characters, at most {MAX_STATISTICS}")
    return {STATISTICS: text}


def shape_text(shape: tuple[int, ...]) -> str:
    """Sizes separated by commas."""
    return ",".join(str(size) for size in shape)


def encode(values: NDArray[np.float32], dtype: Dtype) -> bytes:
    """Little-endian bytes in C order.

    Raises:
        BadRequest: a finite value is too large for `dtype`.
    """
    with np.errstate(over="ignore"):
        converted = values.astype(DTYPES[dtype], order="C", copy=False)
    if converted.dtype.itemsize < values.dtype.itemsize and (np.isinf(converted) & np.isfinite(values)).any():
        raise BadRequest(f"values up to {np.nanmax(np.abs(values)):g} do not fit {dtype}")
    return converted.tobytes()


def decode(body: bytes | memoryview, shape: tuple[int, ...], dtype: Dtype) -> NDArray[np.float32]:
    """What `encode` wrote, as float32. Raises ValueError if the length does not fit the shape."""
    return np.frombuffer(body, DTYPES[dtype]).reshape(shape).astype(np.float32)


def parse_request(headers: Mapping[str, str], body: object, manifest: Manifest) -> Request:
    """Check everything about a request.

    Raises:
        Refusal: 400 malformed or without the event's channel gate, 409 meant for another model or
            other channels, 413 too large, 415 not raw bytes, 422 a shape, values, event statistics or
            a channel gate the model cannot take.
    """
    found = {name.lower(): value for name, value in headers.items()}
    content = _checked_content(found, body)
    _check_identity(found, manifest)
    wanted = _wanted(found, manifest)
    statistics = None if wanted == "gate" else _statistics(found, manifest)
    dtype, reply = _dtypes(found, wanted)
    shape = _checked_shape(_header(found, SHAPE), manifest, wanted)
    weights = _weights(found, manifest) if wanted == "scores" else 0
    windows_end = int(np.prod(shape, dtype=np.int64)) * DTYPES[dtype].itemsize
    expected = windows_end + weights * DTYPES["float32"].itemsize
    if len(content) != expected:
        after = f" and a gate of {weights}" if weights else ""
        raise Refusal(400, f"body: expected {expected} bytes for {shape} {dtype}{after}, found {len(content)}")
    windows = decode(memoryview(content)[:windows_end], shape, dtype)
    if np.isinf(windows).any() or (wanted == "gate" and np.isnan(windows).any()):
        allowed = "" if wanted == "gate" else ", or NaN where missing"
        raise Refusal(422, f"values: expected finite numbers{allowed}; found others")
    gate = _gate(memoryview(content)[windows_end:]) if weights else None
    return Request(windows, reply, statistics, wanted, gate)


def _wanted(headers: Mapping[str, str], manifest: Manifest) -> Wanted:
    """What is asked for; features and gates only of models that take the event's."""
    found = headers.get(WANTED.lower(), "scores")
    if found == "scores":
        return "scores"
    if manifest.gate_px and found in {"pooled", "gate"}:
        return "pooled" if found == "pooled" else "gate"
    known = get_args(Wanted) if manifest.gate_px else ("scores",)
    raise Refusal(400, f"{WANTED}: expected one of {', '.join(known)}, found {found[:50]!r}")


def _weights(headers: Mapping[str, str], manifest: Manifest) -> int:
    """Length of the gate that a request for scores carries, 0 for models whose windows make their own."""
    found, wanted = headers.get(GATE.lower()), str(manifest.gate_channels)
    if not manifest.gate_px:
        if found is not None:
            raise Refusal(400, f"{GATE}: every window of this model makes its own gate, and one is given")
        return 0
    if found is None:
        raise Refusal(400, f"header {GATE} is missing: this model scores by the channel gate of the event")
    if found != wanted:
        raise Refusal(422, f"{GATE}: expected {wanted} weights, found {found[:50]!r}")
    return manifest.gate_channels


def _gate(content: memoryview) -> NDArray[np.float32]:
    gate = decode(content, (-1,), "float32")
    if not within(gate):
        raise Refusal(422, "channel gate: expected weights from 0 to 1, found others")
    return gate


def _statistics(headers: Mapping[str, str], manifest: Manifest) -> EventStatistics | None:
    """The event's statistics, for exactly the channels the model normalises by them."""
    if not manifest.ranked:
        return None
    text = _header(headers, STATISTICS)
    if len(text) > MAX_STATISTICS:
        raise Refusal(413, f"{STATISTICS}: expected at most {MAX_STATISTICS} characters, found {len(text)}")
    try:
        return EventStatistics.from_json(text).only(manifest.ranked)
    except InvalidInput as error:
        raise Refusal(422, f"{STATISTICS}: {error}") from error


def _checked_content(headers: Mapping[str, str], body: object) -> bytes:
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != CONTENT_TYPE:
        raise Refusal(415, f"content type: expected {CONTENT_TYPE}, found {kind!r}")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, f"content encoding: expected none, found {headers['content-encoding']!r}")
    if not isinstance(body, bytes | bytearray):
        raise Refusal(400, f"body: expected raw bytes, found {type(body).__name__}")
    if len(body) > MAX_BODY:
        raise Refusal(413, f"body: expected at most {MAX_BODY} bytes, found {len(body)}")
    return bytes(body)


def _check_identity(headers: Mapping[str, str], manifest: Manifest) -> None:
    for name, expected in ((MODEL, model_identity(manifest)), (CHANNELS, channels_digest(manifest))):
        found = _header(headers, name)
        if found != expected:
            raise Refusal(409, f"{name}: this endpoint serves {expected}, the request is for {found[:200]!r}")


def _header(headers: Mapping[str, str], name: str) -> str:
    if name.lower() not in headers:
        raise Refusal(400, f"header {name} is missing")
    return headers[name.lower()]


def _dtype(headers: Mapping[str, str], name: str) -> Dtype:
    found = _header(headers, name)
    if found == "float32":
        return "float32"
    if found == "float16":
        return "float16"
    raise Refusal(400, f"{name}: expected one of {', '.join(DTYPES)}, found {found[:50]!r}")


def _dtypes(headers: Mapping[str, str], wanted: Wanted) -> tuple[Dtype, Dtype]:
    """Of the numbers sent and of the answer; features and gates are not rounded."""
    dtype, reply = _dtype(headers, DTYPE), _dtype(headers, REPLY_DTYPE)
    if wanted != "scores" and reply != "float32":
        raise Refusal(400, f"{REPLY_DTYPE}: expected float32 for {wanted}, found {reply}")
    if wanted == "gate" and dtype != "float32":
        raise Refusal(400, f"{DTYPE}: expected float32 for a gate's features, found {dtype}")
    return dtype, reply


def _checked_shape(text: str, manifest: Manifest, wanted: Wanted) -> tuple[int, ...]:
    if wanted == "gate":
        features = (2, manifest.gate_channels)
        if text != shape_text(features):
            raise Refusal(422, f"{SHAPE}: expected {shape_text(features)} for a gate's features, found {text[:50]!r}")
        return features
    if _SHAPE.fullmatch(text) is None:
        raise Refusal(400, f"{SHAPE}: expected window,channel,y,x, found {text[:50]!r}")
    shape = tuple(int(size) for size in text.split(","))
    if 0 in shape or shape[1] != len(manifest.channels):
        raise Refusal(422, f"{SHAPE}: expected {len(manifest.channels)} channels and no zero, found {text}")
    if wanted == "pooled" and shape[2:] != (manifest.gate_px, manifest.gate_px):
        raise Refusal(422, f"{SHAPE}: expected windows of {manifest.gate_px} x {manifest.gate_px} px, found {text}")
    pixels = shape[0] * shape[2] * shape[3]
    if pixels > MAX_PIXELS:
        raise Refusal(413, f"{SHAPE}: expected at most {MAX_PIXELS} pixels in all windows, found {pixels}")
    return shape
