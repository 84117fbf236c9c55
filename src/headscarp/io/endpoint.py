"""The network behind an inference endpoint, used like the one in this process.

The only module that knows TorchServe's habits: keys in a file that change while it runs, refused
with 400 `InvalidKeyException`; 503 when its queue is full; 500 for the caller whose worker died.
Another server needs another module of this kind and nothing else.
"""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Self

import httpx
import numpy as np
from numpy.typing import NDArray
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from headscarp.core import wire
from headscarp.core.bundled import FromManifest
from headscarp.core.gate import EventGate, mean_features, squares
from headscarp.core.manifest import Manifest
from headscarp.core.normalisation import EventStatistics
from headscarp.core.types import Raster, Stack
from headscarp.errors import BadRequest, EndpointUnavailable, InvalidInput

_RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504, 507})
_KEY_REFUSED = "InvalidKeyException"
_KEY_ATTEMPTS = 4
"""Refusals of the key in one call before it is taken as wrong rather than as just replaced."""
_PROBE_SIDE = 8
_MAX_REASON = 64 << 10


class _KeyRefused(EndpointUnavailable):
    """The key was refused; the file may hold a newer one."""


class EndpointPredictor(FromManifest):
    """A bundle served elsewhere, as a `Predictor`; safe to share between threads.

    Answers whose shape, type or model are not those asked for are refused: a map is never mixed
    from two models.

    Args:
        url: Base address of the inference interface.
        manifest: Manifest of the bundle that must be served there.
        token_file: TorchServe's key file; read again when its key is refused.
        management_url: Base address of the management interface, asked for readiness where given.
        timeout_s: Deadline of one call of `predict`, retries and waiting for a turn included.
        concurrency: Requests under way at a time.
        dtype: Type of the numbers sent.
        reply: Type of the numbers received.
        first_wait_s: Upper bound of the first pause before a retry; it doubles up to 5 s.
    """

    def __init__(
        self,
        url: str,
        manifest: Manifest,
        *,
        token_file: Path | None = None,
        management_url: str | None = None,
        timeout_s: float = 60.0,
        concurrency: int = 4,
        dtype: wire.Dtype = "float32",
        reply: wire.Dtype = "float32",
        first_wait_s: float = 0.5,
    ) -> None:
        if httpx.URL(url).scheme not in {"http", "https"}:
            raise InvalidInput(f"endpoint {url!r}: expected an http or https address")
        self.manifest, self.timeout_s = manifest, timeout_s
        self._url, self._management_url = url.rstrip("/"), management_url and management_url.rstrip("/")
        self._token_file, self._dtype = token_file, dtype
        self._asking = partial(wire.request_headers, manifest, dtype=dtype, reply=reply)
        self._turns = threading.BoundedSemaphore(concurrency)
        self._wait = wait_random_exponential(multiplier=first_wait_s, max=5.0)
        limits = httpx.Limits(max_connections=concurrency + 1)
        self._client = httpx.Client(limits=limits, trust_env=False)
        self._statistics: EventStatistics | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def bound_to(self, statistics: EventStatistics) -> Self:
        """This client for the windows of one event, over the same connections and turns.

        Raises:
            InvalidInput: the statistics lack a channel that the model ranks.
        """
        bound = copy.copy(self)
        bound._statistics, bound.event_gate = statistics.only(self.manifest.ranked), None
        return bound

    def gated(self, windows: Iterable[Stack]) -> Self:
        """This client with the event's channel gate, which the endpoint makes window by window.

        Raises:
            InvalidInput: there is no window, or one is of another size.
            BadRequest, EndpointUnavailable: as `predict`.
        """
        if not self.gate_px:
            return self
        features = [self._pooled(window) for window in squares(windows, self.gate_px)]
        mean = mean_features(features)
        headers = self._asking(mean.shape, wanted="gate", dtype="float32", reply="float32")
        values = self._ask(headers, wire.encode(mean, "float32"), (self.manifest.gate_channels,))
        bound = copy.copy(self)
        bound.event_gate = EventGate(values, len(features), self.gate_px)
        return bound

    def predict(self, stack: Stack) -> Raster:
        """(channel, y, x), or a batch of them, to (y, x) scores; NaN where a required channel is NaN.

        Raises:
            BadRequest: the endpoint refused, and the message has its reason; or the model normalises by the event
                and is not bound to one, or scores by its channel gate and has none.
            EndpointUnavailable: no answer before the deadline.
        """
        windows = self._checked(stack)
        gate = None if self.event_gate is None else self.event_gate.values
        headers = self._asking(windows.shape, statistics=self._statistics, gate=gate)
        body = wire.encode(windows, self._dtype) + _behind(gate)
        scores = self._ask(headers, body, (windows.shape[0], *windows.shape[2:]))
        return scores if stack.ndim == 4 else scores[0]

    def _pooled(self, window: Stack) -> NDArray[np.float32]:
        """Mean and maximum of the deepest features over one window."""
        windows = self._checked(window)
        headers = self._asking(windows.shape, statistics=self._statistics, wanted="pooled", reply="float32")
        (pooled,) = self._ask(headers, wire.encode(windows, self._dtype), (1, 2, self.manifest.gate_channels))
        return np.asarray(pooled)

    def _ask(self, headers: dict[str, str], body: bytes, expected: tuple[int, ...]) -> NDArray[np.float32]:
        """One request, in its turn and with its retries, for numbers of the expected shape."""
        if len(body) > wire.MAX_BODY:
            raise BadRequest(f"{self._url}: expected at most {wire.MAX_BODY} bytes a request, found {len(body)}")
        deadline = time.monotonic() + self.timeout_s
        if not self._turns.acquire(timeout=self.timeout_s):
            raise EndpointUnavailable(f"{self._url}: no turn within {self.timeout_s:g} s")
        try:
            return self._retrying(deadline)(self._request, headers, body, deadline, expected)
        except _KeyRefused as error:
            raise BadRequest(f"{error} (the key in {self._token_file} was refused {_KEY_ATTEMPTS} times)") from error
        finally:
            self._turns.release()

    def ready(self) -> bool:
        """Whether the model answers now, by the management interface or else by a tiny prediction.

        Raises:
            BadRequest: something answers and will never serve this model.
        """
        deadline = time.monotonic() + min(self.timeout_s, 5.0)
        try:
            if self._management_url is not None:
                return self._described(self._management_url)
            tiny = np.full((1, len(self.channels), _PROBE_SIDE, _PROBE_SIDE), np.nan, np.float32)
            nothing = EventStatistics.unknown(self.manifest.ranked)
            gate = np.ones(self.manifest.gate_channels, np.float32) if self.gate_px else None
            body = wire.encode(tiny, self._dtype) + _behind(gate)
            self._request(self._asking(tiny.shape, statistics=nothing, gate=gate), body, deadline, (1, *tiny.shape[2:]))
        except EndpointUnavailable:
            return False
        return True

    def wait_ready(self, timeout_s: float) -> float:
        """Seconds until the model was ready. Raises EndpointUnavailable when the time runs out."""
        begin = time.monotonic()
        while not self.ready():
            if time.monotonic() - begin > timeout_s:
                raise EndpointUnavailable(f"{self._url}: model {self.name} was not ready within {timeout_s:g} s")
            time.sleep(0.2)
        return time.monotonic() - begin

    def _checked(self, stack: Stack) -> Stack:
        """(window, channel, y, x)."""
        if stack.ndim not in {3, 4} or stack.shape[-3] != len(self.channels):
            raise BadRequest(
                f"{self.name}: expected (batch,) {len(self.channels)}, y, x of {', '.join(self.channels)}; "
                f"found shape {stack.shape}"
            )
        windows = stack.reshape(-1, *stack.shape[-3:])
        return windows.astype(np.float32, copy=False)

    def _retrying(self, deadline: float) -> Retrying:
        refused = 0

        def enough(state: RetryCallState) -> bool:
            nonlocal refused
            refused += state.outcome is not None and isinstance(state.outcome.exception(), _KeyRefused)
            return refused >= _KEY_ATTEMPTS or time.monotonic() + (state.upcoming_sleep or 0.0) >= deadline

        return Retrying(retry=retry_if_exception_type(EndpointUnavailable), wait=self._wait, stop=enough, reraise=True)

    def _request(
        self, headers: dict[str, str], body: bytes, deadline: float, expected: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """One attempt."""
        reply: wire.Dtype = "float16" if headers[wire.REPLY_DTYPE] == "float16" else "float32"
        size = int(np.prod(expected)) * wire.DTYPES[reply].itemsize
        url = f"{self._url}/predictions/{self.name}"
        sent = headers | self._authorisation("inference")
        status, found, content = self._exchange(url, sent, body, deadline, size)
        if status != httpx.codes.OK:
            raise _failure(url, status, content)
        self._check(found, expected, reply)
        if len(content) != size:
            raise EndpointUnavailable(f"{self._url}: expected {size} bytes, found {len(content)}")
        return wire.decode(content, expected, reply)

    def _exchange(
        self, url: str, headers: dict[str, str], body: bytes, deadline: float, limit: int
    ) -> tuple[int, httpx.Headers, bytes]:
        """Send and receive before the deadline, however slowly the bytes come."""
        left = max(deadline - time.monotonic(), 0.05)
        content = bytearray()
        try:
            with self._client.stream("POST", url, headers=headers, content=body, timeout=left) as answer:
                for chunk in answer.iter_raw():
                    content += chunk
                    if time.monotonic() > deadline:
                        raise EndpointUnavailable(f"{url}: the answer took longer than {self.timeout_s:g} s")
                    if len(content) > max(limit, _MAX_REASON):
                        raise EndpointUnavailable(f"{url}: expected {limit} bytes, found more")
                return answer.status_code, answer.headers, bytes(content)
        except httpx.HTTPError as error:
            raise EndpointUnavailable(f"{url}: {type(error).__name__}: {error}") from error

    def _check(self, headers: httpx.Headers, expected: tuple[int, ...], reply: wire.Dtype) -> None:
        """Refuse an answer that is to another question."""
        wanted = {
            wire.SHAPE: wire.shape_text(expected),
            wire.DTYPE: reply,
            wire.MODEL: wire.model_identity(self.manifest),
        }
        for name, value in wanted.items():
            if headers.get(name) != value:
                raise BadRequest(f"{self._url}: answer's {name}: expected {value}, found {headers.get(name)!r}")

    def _described(self, management_url: str) -> bool:
        url = f"{management_url}/models/{self.name}"
        try:
            answer = self._client.get(url, headers=self._authorisation("management"), timeout=5.0)
        except httpx.HTTPError as error:
            raise EndpointUnavailable(f"{url}: {type(error).__name__}: {error}") from error
        if answer.status_code != httpx.codes.OK:
            raise _failure(url, answer.status_code, answer.content)
        model = answer.json()[0]
        if model["modelVersion"] != self.version:
            raise BadRequest(f"{url}: expected version {self.version}, found {model['modelVersion']}")
        return any(worker["status"] == "READY" for worker in model["workers"])

    def _authorisation(self, kind: str) -> dict[str, str]:
        """The key as the file has it now: a small local file, so it is never out of date."""
        if self._token_file is None:
            return {}
        try:
            key = json.loads(self._token_file.read_bytes())[kind]["key"]
        except FileNotFoundError as error:
            raise EndpointUnavailable(
                f"{self._token_file}: no key file; the endpoint writes it when it starts"
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _KeyRefused(f"{self._token_file}: expected TorchServe's key file: {error!r}") from error
        return {"Authorization": f"Bearer {key}"}


def _behind(gate: NDArray[np.float32] | None) -> bytes:
    """What follows the windows in a body."""
    return b"" if gate is None else wire.encode(gate, "float32")


def _failure(url: str, status: int, content: bytes) -> Exception:
    """What an HTTP error means: whether the same request may succeed later."""
    kind, message = _reason(content)
    text = f"{url}: {status} {kind}: {message}"
    if status == httpx.codes.BAD_REQUEST and kind == _KEY_REFUSED:
        return _KeyRefused(text)
    if status in _RETRIED_STATUSES:
        return EndpointUnavailable(text)
    return BadRequest(text)


def _reason(content: bytes) -> tuple[str, str]:
    """Type and message of TorchServe's JSON errors; the beginning of anything else."""
    try:
        plain = json.loads(content)
        return str(plain["type"]), str(plain["message"])
    except (ValueError, KeyError, TypeError):
        return "error", content[:200].decode("utf-8", errors="replace")
