"""The network in this process, behind the same protocol as every other model."""

from __future__ import annotations

from typing import Self

import numpy as np

from headscarp.core.manifest import FromManifest, Manifest
from headscarp.core.normalisation import EventStatistics
from headscarp.core.tiling import YX, read_padded
from headscarp.core.types import Raster, Stack
from headscarp.ml.network import Network, score


class LocalPredictor(FromManifest):
    """A loaded bundle as a `Predictor`; deterministic on the CPU."""

    def __init__(self, manifest: Manifest, network: Network, statistics: EventStatistics | None = None) -> None:
        self.manifest = manifest
        self._network, self._statistics = network.eval(), statistics

    def bound_to(self, statistics: EventStatistics) -> Self:
        """This model for one event. Raises InvalidInput if the statistics lack a channel it ranks."""
        return type(self)(self.manifest, self._network, statistics.only(self.manifest.ranked))

    def predict(self, stack: Stack) -> Raster:
        return score(self._network, self.manifest, stack, statistics=self._statistics)


def score_map(
    network: Network, manifest: Manifest, stack: Stack, *, statistics: EventStatistics | None = None
) -> Raster:
    """Score a raster of any size in memory, window by window as the manifest's plan says.

    (channel, y, x) to (y, x); NaN where a required channel is NaN.
    """
    shape = YX(*stack.shape[-2:])
    out = np.full(shape, np.nan, dtype=np.float32)
    for core in manifest.plan.cores(shape):
        seen, inside = core.padded(manifest.plan.margin), core.clipped(shape)
        scores = score(network, manifest, read_padded(stack, seen), statistics=statistics)
        out[inside.slices] = scores[inside.within(seen)]
    return out
