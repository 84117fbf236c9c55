"""What is constant over an event: the style of faulting."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from headscarp.core.types import Raster


class Rake(NamedTuple):
    """Sine (positive: reverse, negative: normal) and cosine (left-lateral, right-lateral)."""

    sine: Raster
    cosine: Raster


def rake_planes(rake: float | None, shape: tuple[int, int]) -> Rake:
    """Constant planes of the rake given in degrees (Aki and Richards convention); NaN if None."""
    angle = np.nan if rake is None else np.radians(rake)
    planes = (np.full(shape, value, dtype=np.float32) for value in (np.sin(angle), np.cos(angle)))
    return Rake(*planes)
