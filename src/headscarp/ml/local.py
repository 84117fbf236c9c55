"""The network in this process, behind the same protocol as every other model."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Self

import numpy as np

from headscarp.core.bundled import FromManifest
from headscarp.core.manifest import Manifest
from headscarp.core.normalisation import EventStatistics
from headscarp.core.sample import gate_sample
from headscarp.core.tiling import YX, read_padded
from headscarp.core.types import Raster, Stack
from headscarp.ml.gate import as_gate, event_gate
from headscarp.ml.network import Scoring, score


class LocalPredictor(FromManifest):
    """A loaded bundle as a `Predictor`; deterministic on the CPU."""

    def __init__(self, manifest: Manifest, network: Scoring, statistics: EventStatistics | None = None) -> None:
        self.manifest = manifest
        self._network, self._statistics = network.eval(), statistics

    def bound_to(self, statistics: EventStatistics) -> Self:
        """This model for one event, without a gate. Raises InvalidInput if the statistics lack a channel it ranks."""
        return type(self)(self.manifest, self._network, statistics.only(self.manifest.ranked))

    def gated(self, windows: Iterable[Stack]) -> Self:
        if not self.gate_px:
            return self
        bound = copy.copy(self)
        bound.event_gate = event_gate(self._network, self.manifest, windows, statistics=self._statistics)
        return bound

    def predict(self, stack: Stack) -> Raster:
        gate = None if self.event_gate is None else as_gate(self.event_gate.values)
        return score(self._network, self.manifest, stack, statistics=self._statistics, gate=gate)


def score_map(
    network: Scoring, manifest: Manifest, stack: Stack, *, statistics: EventStatistics | None = None
) -> Raster:
    """Score a raster of any size in memory, window by window as the manifest's plan says.

    (channel, y, x) to (y, x) of the manifest's quantity; NaN where a required channel is NaN. Where the manifest
    asks for the event's channel gate, the raster is the event.
    """
    shape = YX(*stack.shape[-2:])
    gate = None
    if manifest.gate_px:
        sample = gate_sample(stack, manifest.channels, manifest.required, manifest.gate_px)
        gate = as_gate(event_gate(network, manifest, sample, statistics=statistics).values)
    out = np.full(shape, np.nan, dtype=np.float32)
    for core in manifest.plan.cores(shape):
        seen, inside = core.padded(manifest.plan.margin), core.clipped(shape)
        scores = score(network, manifest, read_padded(stack, seen), statistics=statistics, gate=gate)
        out[inside.slices] = scores[inside.within(seen)]
    return out
