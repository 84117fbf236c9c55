"""The windows of an event over which its channel gate is taken."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np

from headscarp.core.grid import PGA_FLOOR_G
from headscarp.core.tiling import YX, Window, read_padded
from headscarp.core.types import Mask, Stack

MOST_WINDOWS: Final = 24
"""Windows of the sample: what no extent makes more expensive."""
PLASTIC: Final = 1.324717957244746
"""Real root of x^3 = x + 1; multiples of (1/x, 1/x^2) modulo 1 fill the unit square evenly."""


def gate_windows(
    shape: YX, side: int, holds: Callable[[Window], bool], *, limit: int = MOST_WINDOWS
) -> tuple[Window, ...]:
    """The sample of square windows over which an event's channel gate is taken.

    A function of the grid and of where it holds data, not of how the map is tiled. The windows cover the grid and
    overlap rather than reach past it; any number of the first ones lie far apart. Where none holds data, the first
    one stands for the event: a defined gate, for a map that says nothing.

    Args:
        shape: Of the event's grid; one smaller than a window is reached past at its far sides.
        side: Of the windows, in pixels.
        holds: Whether a window holds data; asked in the order of the sample, until enough do.
        limit: Most windows.
    """
    rows, columns = _starts(shape.y, side), _starts(shape.x, side)
    places = [(j, i) for j in range(len(rows)) for i in range(len(columns))]
    places.sort(key=lambda place: (place[0] / PLASTIC + place[1] / PLASTIC**2) % 1.0)
    scattered = [Window(rows[j], columns[i], side, side) for j, i in places]
    return tuple(islice(filter(holds, scattered), limit)) or tuple(scattered[:1])


def gate_sample(stack: Stack, channels: Sequence[str], required: Collection[str], side: int) -> Iterator[Stack]:
    """The sample of an event that lies in memory as (channel, y, x), window by window; NaN beyond its sides.

    Windows count with a pixel where every required channel has a value and, if PGA is a channel, is 0.02 g or more.
    """
    known = np.isfinite(stack[[channels.index(name) for name in sorted(required)]])
    felt: Mask = np.logical_and.reduce(known, axis=0)
    if "pga" in channels:
        felt &= stack[channels.index("pga")] >= PGA_FLOOR_G
    shape = YX(*felt.shape)
    chosen = gate_windows(shape, side, lambda window: bool(felt[window.clipped(shape).slices].any()))
    return (read_padded(stack, window) for window in chosen)


def _starts(size: int, side: int) -> list[int]:
    """First pixels of the fewest intervals of length `side` that cover `size`, evenly spread."""
    last = -(-size // side) - 1
    return [max(0, size - side) * k // max(1, last) for k in range(last + 1)]
