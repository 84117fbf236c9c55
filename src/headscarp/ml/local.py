"""The network in this process, behind the same protocol as every other model."""

from __future__ import annotations

import numpy as np

from headscarp.core.manifest import Manifest
from headscarp.core.predictor import Quantity
from headscarp.core.tiling import YX, CropPlan, read_padded
from headscarp.core.types import Raster, Stack
from headscarp.ml.network import Network, score


class LocalPredictor:
    """A loaded bundle as a `Predictor`; deterministic on the CPU."""

    def __init__(self, manifest: Manifest, network: Network) -> None:
        self.manifest = manifest
        self._network = network.eval()

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def quantity(self) -> Quantity:
        return self.manifest.quantity

    @property
    def channels(self) -> tuple[str, ...]:
        return self.manifest.channels

    @property
    def required(self) -> frozenset[str]:
        return self.manifest.required

    @property
    def plan(self) -> CropPlan | None:
        return self.manifest.plan

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
