"""How windows travel to an inference endpoint and scores come back: raw numbers and a few headers.

A request is one or several windows of (channel, y, x) little-endian numbers in physical units, NaN
where missing. Its headers say shape, type, which model is meant and what its channels are, so that
an endpoint never answers for another model or another reading of the channels. For a model that
normalises by the event they hold the event's statistics too: an endpoint knows no events.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from headscarp.core.manifest import Manifest
from headscarp.core.normalisation import EventStatistics
from headscarp.core.types import Stack
from headscarp.errors import BadRequest, InvalidInput

SHAPE = "X-Headscarp-Shape"
DTYPE = "X-Headscarp-Dtype"
REPLY_DTYPE = "X-Headscarp-Reply-Dtype"
MODEL = "X-Headscarp-Model"
CHANNELS = "X-Headscarp-Channels"
STATISTICS = "X-Headscarp-Event-Statistics"
CONTENT_TYPE = "application/octet-stream"

MAX_BODY = 64 << 20
"""Bytes of one request; the server's configuration has the same number."""
MAX_PIXELS = 16 * 448 * 448
"""Pixels of all windows of one request, which bound the memory of the network's features."""
MAX_STATISTICS = 6 << 10
"""Characters of the event's statistics; servers take some 8 KiB of headers in all."""

Dtype = Literal["float32", "float16"]
DTYPES: Mapping[str, np.dtype[np.floating]] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}
_SHAPE = re.compile(r"[0-9]{1,6}(,[0-9]{1,6}){3}", re.ASCII)


class Refusal(BadRequest):
    """Why a request cannot be answered, with the HTTP status that says whose fault it is."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """A request that passed every check: (window, channel, y, x) float32, and the type of the answer."""

    windows: Stack
    reply: Dtype
    statistics: EventStatistics | None = None
    """None for a model that does not normalise by the event."""


def model_identity(manifest: Manifest) -> str:
    """Name, version and weights of a bundle in one word."""
    return f"{manifest.name}/{manifest.version}@{manifest.weights_sha256[:16]}"


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
) -> dict[str, str]:
    """Headers of a request of `shape` (window, channel, y, x).

    Raises:
        BadRequest: the model normalises by the event, and its statistics are not given or too long.
        InvalidInput: the statistics lack a channel.
    """
    return {
        "Content-Type": CONTENT_TYPE,
        SHAPE: shape_text(shape),
        DTYPE: dtype,
        REPLY_DTYPE: reply,
        MODEL: model_identity(manifest),
        CHANNELS: channels_digest(manifest),
        **_statistics_header(manifest, statistics),
    }


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


def decode(body: bytes, shape: tuple[int, ...], dtype: Dtype) -> NDArray[np.float32]:
    """What `encode` wrote, as float32. Raises ValueError if the length does not fit the shape."""
    return np.frombuffer(body, DTYPES[dtype]).reshape(shape).astype(np.float32)


def parse_request(headers: Mapping[str, str], body: object, manifest: Manifest) -> Request:
    """Check everything about a request.

    Raises:
        Refusal: 400 malformed, 409 meant for another model or other channels, 413 too large, 415 not
            raw bytes, 422 a shape, values or event statistics the model cannot take.
    """
    found = {name.lower(): value for name, value in headers.items()}
    content = _checked_content(found, body)
    _check_identity(found, manifest)
    statistics = _statistics(found, manifest)
    dtype, reply = _dtype(found, DTYPE), _dtype(found, REPLY_DTYPE)
    shape = _checked_shape(_header(found, SHAPE), manifest)
    expected = int(np.prod(shape, dtype=np.int64)) * DTYPES[dtype].itemsize
    if len(content) != expected:
        raise Refusal(400, f"body: expected {expected} bytes for {shape} {dtype}, found {len(content)}")
    windows = decode(content, shape, dtype)
    if np.isinf(windows).any():
        raise Refusal(422, "values: expected finite numbers, or NaN where missing; found infinity")
    return Request(windows, reply, statistics)


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


def _checked_shape(text: str, manifest: Manifest) -> tuple[int, ...]:
    if _SHAPE.fullmatch(text) is None:
        raise Refusal(400, f"{SHAPE}: expected window,channel,y,x, found {text[:50]!r}")
    shape = tuple(int(size) for size in text.split(","))
    if 0 in shape or shape[1] != len(manifest.channels):
        raise Refusal(422, f"{SHAPE}: expected {len(manifest.channels)} channels and no zero, found {text}")
    pixels = shape[0] * shape[2] * shape[3]
    if pixels > MAX_PIXELS:
        raise Refusal(413, f"{SHAPE}: expected at most {MAX_PIXELS} pixels in all windows, found {pixels}")
    return shape
