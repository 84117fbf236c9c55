"""Landslides as bodies: how many of each size a map finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from headscarp.core.types import Mask

SIZE_EDGES_PX = (1, 2, 4, 10, 30, 100)
"""Sizes at which a class of bodies starts; the last has no end. A pixel of 30 m is 900 m2."""
TOUCHING = np.ones((3, 3), dtype=int)
"""Pixels that share a corner belong to one body."""


@dataclass(frozen=True, slots=True)
class HitRate:
    """Bodies of one size."""

    smallest_px: int
    largest_px: int | None
    """None in the last class."""
    bodies: int
    hit: int

    @property
    def rate(self) -> float:
        """Share that was hit; NaN where there are none."""
        return self.hit / self.bodies if self.bodies else float("nan")


def bodies_of(slides: Mask) -> NDArray[np.int32]:
    """(y, x) number of the connected body that each landslide pixel belongs to, 0 elsewhere."""
    numbers, _ = ndimage.label(slides, structure=TOUCHING)
    return np.asarray(numbers, dtype=np.int32)


def hit_rates(
    scores: ArrayLike, bodies: ArrayLike, *, threshold: float, edges_px: Sequence[int] = SIZE_EDGES_PX
) -> tuple[HitRate, ...]:
    """Count the bodies of which at least half of the scored pixels reach the threshold, by size.

    Take the threshold from `Tally.threshold` at a share of the area, so that maps are compared at
    equal effort.

    Args:
        scores: (y, x), NaN where there is none; bodies without any scored pixel are not counted.
        bodies: (y, x) number of the body, 0 elsewhere.
        threshold: From which score a pixel counts as predicted.
        edges_px: Ascending sizes at which a class starts.

    Raises:
        ValueError: shapes differ.
    """
    values, number = np.asarray(scores), np.asarray(bodies)
    if values.shape != number.shape:
        raise ValueError(f"expected one shape, got scores {values.shape} and bodies {number.shape}")
    size = np.bincount(number.ravel())[1:]
    scored = np.bincount(number[np.isfinite(values)].ravel(), minlength=size.size + 1)[1:]
    found = np.bincount(number[values >= threshold].ravel(), minlength=size.size + 1)[1:]
    counted = scored > 0
    place = np.searchsorted(np.asarray(edges_px), size, side="right") - 1
    ends = [*(e - 1 for e in edges_px[1:]), None]
    return tuple(
        HitRate(first, last, int(here.sum()), int((here & (2 * found >= scored)).sum()))
        for k, (first, last) in enumerate(zip(edges_px, ends, strict=True))
        for here in [counted & (place == k)]
    )
