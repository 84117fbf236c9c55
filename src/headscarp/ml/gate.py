"""An event's channel gate from a sample of its windows: the same steps in one process and behind an endpoint."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headscarp.core.gate import EventGate, mean_features, squares
from headscarp.core.manifest import Manifest
from headscarp.core.normalisation import EventStatistics
from headscarp.core.types import Stack
from headscarp.ml.network import Scoring, entered


def pooled_features(
    network: Scoring, manifest: Manifest, stack: Stack, *, statistics: EventStatistics | None = None
) -> NDArray[np.float32]:
    """(channel, y, x), or a batch of them, to (window, 2, gate channel), of which an event's channel gate is made.

    Raises:
        BadRequest, InvalidInput: as `score` does.
    """
    windows, ranks = entered(network, manifest, stack, statistics)
    with torch.inference_mode():
        return np.asarray(network.pooled(windows, ranks=ranks).cpu().numpy(), np.float32)


def gate_of_event(network: Scoring, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """From the mean features (2, gate channel) of the event's sample to its channel gate (gate channel,)."""
    with torch.inference_mode():
        gate = network.gate_of(torch.from_numpy(features[None]).to(next(network.parameters()).device))
        return np.asarray(gate.flatten().cpu().numpy(), np.float32)


def as_gate(values: NDArray[np.float32]) -> Tensor:
    """The weights of a gate in the shape that networks take, (1, gate channel, 1, 1)."""
    return torch.from_numpy(values.reshape(1, -1, 1, 1))


def event_gate(
    network: Scoring, manifest: Manifest, windows: Iterable[Stack], *, statistics: EventStatistics | None = None
) -> EventGate:
    """The channel gate of an event from a sample of its windows, one at a time.

    Raises:
        InvalidInput: there is no window, one is not square with the manifest's `gate_px`, or as `score` does.
        BadRequest: as `score` does.
    """
    features = [
        pooled_features(network, manifest, window, statistics=statistics)[0]
        for window in squares(windows, manifest.gate_px)
    ]
    values = gate_of_event(network, mean_features(features))
    return EventGate(values, len(features), manifest.gate_px)
