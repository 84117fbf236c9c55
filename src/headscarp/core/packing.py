"""Values in whole steps: 16 bits say more than any of the sources knows, and take half the space."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from headscarp.core.pci.compiled import Real, compiled
from headscarp.core.types import Mask, Raster

Steps = NDArray[Any]
"""(y, x) uint8, uint16 or int16: value / step, and a fill value where there is none."""


@compiled
def pack_into(values: Raster, per_step: float, fill: int, out: Steps) -> None:
    """Write the nearest whole number of steps of each value, `fill` for NaN; values must fit into `out`."""
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            value = values[y, x]
            out[y, x] = fill if np.isnan(value) else np.int32(np.rint(value * per_step))


@compiled
def unpack_into(steps: Steps, step: float, fill: int, out: Raster) -> None:
    """Write the value of each number of steps, NaN where there is none."""
    size = np.float32(step)
    for y in range(steps.shape[0]):
        for x in range(steps.shape[1]):
            value = steps[y, x]
            out[y, x] = np.float32(np.nan) if value == fill else np.float32(value) * size


@compiled
def any_outside(values: Raster, low: Real, high: Real) -> bool:
    """Whether any value lies outside [low, high]; NaN does not."""
    for y in range(values.shape[0]):
        outside = False
        for x in range(values.shape[1]):
            outside |= (values[y, x] < low) | (values[y, x] > high)
        if outside:
            return True
    return False


@compiled
def count_known(steps: Steps, fill: float, marked: Mask) -> tuple[int, int]:
    """How many are not the fill value, NaN if that is NaN; and how many of these are marked."""
    known = on_mark = 0
    for y in range(steps.shape[0]):
        for x in range(steps.shape[1]):
            found = (steps[y, x] == steps[y, x]) & (steps[y, x] != fill)
            known += int(found)
            on_mark += int(found & marked[y, x])
    return known, on_mark
