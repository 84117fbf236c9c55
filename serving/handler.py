"""TorchServe handler: windows in, scores or coverages out.

Imports the core, the network and its bundle, nothing of the pipeline, so that a worker starts fast
and an archive needs no credentials. A request that cannot be answered gets a 4xx with its reason,
item by item, so that 503 keeps one meaning: try again.
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headscarp.core import wire
from headscarp.core.manifest import Manifest
from headscarp.core.normalisation import EventStatistics
from headscarp.ml.bundle import load_bundle
from headscarp.ml.gate import as_gate, gate_of_event, pooled_features
from headscarp.ml.network import Scoring, score

_LOG = logging.getLogger(__name__)


class WindowHandler:
    """One worker's model; TorchServe calls `initialize` once and `handle` for each batch."""

    manifest: Manifest
    network: Scoring

    def initialize(self, context: Any) -> None:
        """Load and verify the bundle that the archive holds, and run it once before READY is said."""
        properties = context.system_properties
        self.manifest, network = load_bundle(Path(properties["model_dir"]))
        self.network = network.to(_device(properties.get("gpu_id")))
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        size = self.manifest.plan.size
        window = np.zeros((len(self.manifest.channels), size, size), np.float32)
        gate = as_gate(np.ones(self.manifest.gate_channels, np.float32)) if self.manifest.gate_px else None
        nothing = EventStatistics.unknown(self.manifest.ranked)
        score(self.network, self.manifest, window, statistics=nothing, gate=gate)
        _LOG.info("serving %s", wire.model_identity(self.manifest))

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[bytes]:
        """One answer for each item: raw scores, or a JSON reason under a 4xx status."""
        return [self._answer(index, item, context) for index, item in enumerate(data)]

    def _answer(self, index: int, item: dict[str, Any], context: Any) -> bytes:
        try:
            request = wire.parse_request(_headers(context, index), _body(item), self.manifest)
        except wire.Refusal as refusal:
            return _refused(index, refusal, context)
        found = self._found(request)
        answer = {
            "content-type": wire.CONTENT_TYPE,
            wire.SHAPE: wire.shape_text(found.shape),
            wire.DTYPE: request.reply,
            wire.MODEL: wire.model_identity(self.manifest),
        }
        for name, value in answer.items():
            context.set_response_header(index, name, value)
        return wire.encode(found, request.reply)

    def _found(self, request: wire.Request) -> NDArray[np.float32]:
        """Scores of windows, their pooled features, or the channel gate that such features make."""
        if request.wanted == "gate":
            return gate_of_event(self.network, request.windows)
        if request.wanted == "pooled":
            return pooled_features(self.network, self.manifest, request.windows, statistics=request.statistics)
        gate = None if request.gate is None else as_gate(request.gate)
        return score(self.network, self.manifest, request.windows, statistics=request.statistics, gate=gate)


def _headers(context: Any, index: int) -> dict[str, str]:
    """The HTTP headers; TorchServe puts descriptions of form fields among them, which are no strings."""
    return {name: value for name, value in context.get_all_request_header(index).items() if isinstance(value, str)}


def _body(item: dict[str, Any]) -> object:
    """The raw body; None if form fields came in its place."""
    return item["body"] if set(item) == {"body"} else None


def _refused(index: int, refusal: wire.Refusal, context: Any) -> bytes:
    _LOG.warning("refused with %d: %s", refusal.status, refusal)
    kind = HTTPStatus(refusal.status)
    context.set_response_status(code=kind.value, phrase=kind.phrase, idx=index)
    context.set_response_header(index, "content-type", "application/json")
    return json.dumps({"code": kind.value, "type": kind.phrase, "message": str(refusal)}).encode()


def _device(gpu_id: int | None) -> torch.device:
    """The GPU that TorchServe assigned to this worker, or the CPU."""
    if gpu_id is not None and gpu_id >= 0 and torch.cuda.is_available():
        return torch.device("cuda", gpu_id)
    return torch.device("cpu")
