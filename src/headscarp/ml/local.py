"""The network in this process, behind the same protocol as every other model."""

from __future__ import annotations

import numpy as np

from headscarp.core.manifest import FromManifest, Manifest
from headscarp.core.tiling import YX, read_padded
from headscarp.core.types import Raster, Stack
from headscarp.ml.network import Network, score


class LocalPredictor(FromManifest):
    """A loaded bundle as a `Predictor`; deterministic on the CPU."""

    def __init__(self, manifest: Manifest, network: Network) -> None:
        self.manifest = manifest
        self._network = network.eval()

    def predict(self, stack: Stack) -> Raster:
        return score(self._network, self.manifest, stack)


def score_map(network: Network, manifest: Manifest, stack: Stack) -> Raster:
    """Score a raster of any size in memory, window by window as the manifest's plan says.

    (channel, y, x) to (y, x); NaN where a required channel is NaN.
    """
    shape = YX(*stack.shape[-2:])
    out = np.full(shape, np.nan, dtype=np.float32)
    for core in manifest.plan.cores(shape):
        seen, inside = core.padded(manifest.plan.margin), core.clipped(shape)
        out[inside.slices] = score(network, manifest, read_padded(stack, seen))[inside.within(seen)]
    return out
