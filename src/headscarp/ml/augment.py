"""What may be changed about a training window without changing the truth about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headscarp.core.manifest import InputChannel
from headscarp.core.types import Raster, Stack
from headscarp.ml.standardise import VECTORS

SHAKING = ("pga", "pgv")
"""Channels that carry the ShakeMap's uncertainty."""
GROUP_ORDER = 8
"""Turns and mirrors of the square."""


def oriented(raster: np.ndarray, element: int) -> np.ndarray:
    """Turn the last two axes: mirror east-west if `element` >= 4, then turn left `element % 4` times."""
    mirrored = raster[..., ::-1] if element >= 4 else raster
    return np.rot90(mirrored, element % 4, axes=(-2, -1))


def oriented_vector(east: float, north: float, element: int) -> tuple[float, float]:
    """The components that `element` gives to a vector (east, north); row 0 is in the north."""
    if element >= 4:
        east = -east
    for _ in range(element % 4):
        east, north = -north, east
    return east, north


def oriented_stack(stack: Stack, names: Sequence[str], element: int) -> Stack:
    """`oriented`, with the components of vector channels turned too.

    Raises:
        ValueError: one component of a vector is there without the other.
    """
    out = np.ascontiguousarray(oriented(stack, element))
    for pair in VECTORS:
        present = [name for name in pair if name in names]
        if len(present) == 1:
            raise ValueError(f"expected both components of {pair}, found {present[0]} alone")
        if present:
            e, n = (names.index(name) for name in pair)
            turned = out[[e, n]]
            basis = oriented_vector(1.0, 0.0, element), oriented_vector(0.0, 1.0, element)
            for row, channel in enumerate((e, n)):
                out[channel] = basis[0][row] * turned[0] + basis[1][row] * turned[1]
    return out


def without_sources(
    stack: Stack, inputs: Sequence[InputChannel], rng: np.random.Generator, *, chance: float, keep: frozenset[str]
) -> Stack:
    """Lose whole data sources with some chance, so that a missing layer degrades the model gently.

    Each source is lost with that chance, and with that chance again all are lost at once, as on an
    event of which only terrain and shaking are known. Sources of a channel in `keep` are never
    lost: without them the model gives no answer anyway.
    """
    kept = {channel.source for channel in inputs if channel.name in keep}
    candidates = [s for s in dict.fromkeys(channel.source for channel in inputs) if s not in kept]
    threshold = 1.0 if rng.random() < chance else chance
    lost = {source for source in candidates if rng.random() < threshold}
    out = stack.copy()
    out[[i for i, channel in enumerate(inputs) if channel.source in lost]] = np.nan
    return out


def shaken_otherwise(stack: Stack, names: Sequence[str], ln_std: Raster, draw: float) -> Stack:
    """Shift ln ground motion by `draw` standard deviations of the ShakeMap, the whole window alike.

    The error of a ShakeMap is correlated over several kilometres (Jayaram and Baker 2009,
    doi:10.1002/eqe.922), about the size of a window. Where the deviation is NaN nothing changes.
    """
    out = stack.copy()
    factor = np.exp(draw * np.nan_to_num(ln_std))
    for index in [names.index(name) for name in SHAKING if name in names]:
        out[index] *= factor
    return out
