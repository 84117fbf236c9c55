"""Work plans as data: windows over a grid, with the halo each needs, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class YX(NamedTuple):
    """A pair with y first."""

    y: int
    x: int


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of pixels; may reach past the grid's edge where it carries a halo."""

    y: int
    x: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices; only for windows inside the grid."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    def padded(self, pixels: int) -> Window:
        """The window grown by `pixels` on every side."""
        return Window(self.y - pixels, self.x - pixels, self.height + 2 * pixels, self.width + 2 * pixels)

    def clipped(self, shape: YX) -> Window:
        """The part inside a grid of `shape`."""
        y0, x0 = max(self.y, 0), max(self.x, 0)
        y1, x1 = min(self.y + self.height, shape.y), min(self.x + self.width, shape.x)
        return Window(y0, x0, y1 - y0, x1 - x0)

    def within(self, outer: Window) -> tuple[slice, slice]:
        """Slices that cut this window out of an array that covers `outer`."""
        y, x = self.y - outer.y, self.x - outer.x
        return slice(y, y + self.height), slice(x, x + self.width)


def blocks(shape: YX, size: int) -> Iterator[Window]:
    """Non-overlapping windows in row-major order; the last of a row or column may be smaller."""
    for y in range(0, shape.y, size):
        for x in range(0, shape.x, size):
            yield Window(y, x, min(size, shape.y - y), min(size, shape.x - x))


@dataclass(frozen=True, slots=True)
class CropPlan:
    """Windows of one size whose centres tile the grid: the network sees `size`, keeps `stride`.

    The stride is a multiple of four, so that two poolings fall on the same pixels in every window
    and the result does not depend on the tiling (measured: bit-exact given a fixed channel gate).
    """

    size: int = 448
    overlap: int = 88

    def __post_init__(self) -> None:
        """Refuse plans whose centre crops would not tile, or would shift the pooling."""
        if self.overlap % 2 or self.stride % 4 or self.stride <= 0:
            raise ValueError(f"stride must be a positive multiple of 4 and overlap even, got {self}")

    @property
    def stride(self) -> int:
        return self.size - self.overlap

    @property
    def margin(self) -> int:
        return self.overlap // 2

    def cores(self, shape: YX) -> Iterator[Window]:
        """The kept centres, in row-major order; pad each by `margin` for what the network sees.

        Cores at the far edges keep the full stride and reach past the grid, so that every
        padded window has the same size; clip a core to the grid before writing it.
        """
        for y in range(0, shape.y, self.stride):
            for x in range(0, shape.x, self.stride):
                yield Window(y, x, self.stride, self.stride)


def read_padded(array: np.ndarray, window: Window, *, fill: float = np.nan) -> np.ndarray:
    """Cut `window` out of `(..., y, x)`; what lies outside the array is `fill`."""
    shape = YX(*array.shape[-2:])
    inside = window.clipped(shape)
    out = np.full((*array.shape[:-2], window.height, window.width), fill, dtype=array.dtype)
    if inside.height > 0 and inside.width > 0:
        out[(..., *inside.within(window))] = array[(..., *inside.slices)]
    return out
