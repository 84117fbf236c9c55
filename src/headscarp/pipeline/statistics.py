"""The event's own statistics, from a fixed sample of its cube."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from headscarp.core.grid import PGA_FLOOR_G
from headscarp.core.normalisation import EventStatistics
from headscarp.core.tiling import YX, Window, blocks
from headscarp.core.types import Mask
from headscarp.io.cubes.cube import Cube
from headscarp.io.cubes.variables import CHUNK

MOST_WINDOWS = 16
"""Chunks of the cube that are read whole: a sample for which no extent is too large."""
SAMPLE = 65_536
"""Pixels wanted; the windows are thinned out to about so many."""
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


def event_statistics(cube: Cube, channels: Sequence[str]) -> EventStatistics:
    """Quantiles of channels over the event's land with PGA of 0.02 g or more.

    A function of the cube alone: the sample depends neither on the channels nor on who asks. Memory
    holds the sample and one window. Channels that the cube lacks, and all where no pixel counts, have none.
    """
    wanted = tuple(dict.fromkeys(channels))
    if not wanted:
        return EventStatistics({})
    height, width = cube.grid.shape
    thinned = np.s_[:: _stride(height * width), :: _stride(height * width)]
    parts = [cube.read(wanted, window)[(slice(None), *thinned)][:, counts[thinned]] for window, counts in _felt(cube)]
    if not parts:
        return EventStatistics.unknown(wanted)
    return EventStatistics.of(dict(zip(wanted, np.concatenate(parts, axis=1), strict=True)))


def _stride(pixels: int) -> int:
    """Between the rows and columns that are kept of a grid of so many pixels."""
    return max(1, math.isqrt(min(pixels, MOST_WINDOWS * CHUNK**2) // SAMPLE))


def _felt(cube: Cube) -> Iterator[tuple[Window, Mask]]:
    """The first windows with shaken land, in an order that jumps all over the grid, and where it is."""
    found = 0
    for window in _scattered(list(blocks(YX(*cube.grid.shape), CHUNK))):
        land, pga = cube.read(("land", "pga"), window)
        counts = (land == 1) & (pga >= PGA_FLOOR_G)
        if counts.any():
            yield window, counts
            found += 1
        if found == MOST_WINDOWS:
            return


def _scattered(windows: Sequence[Window]) -> Iterator[Window]:
    """In the order of the golden ratio's multiples: any number of the first ones lie far apart."""
    order = sorted(range(len(windows)), key=lambda n: (n + 1) * GOLDEN % 1.0)
    return (windows[n] for n in order)
