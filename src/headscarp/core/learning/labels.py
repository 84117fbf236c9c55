"""Soft labels: 1 on landslides, falling off around them.

The paper's background label is "defined by the Poisson equation with Dirichlet boundary
conditions" (doi:10.1093/nsr/nwaf179); source term and outer boundary are in a supplement that is
not public. Without a sink the label depends on where a window ends: with slides on 2 % of a window
half of its background would exceed 0.99. With one the problem is coercive and its solution local:

    (-laplace + 1 / length**2) u = 0 off the landslides,   u = 1 on them,

five-point Laplacian, no flux at the edge of what was mapped (unknown is not background). That is
the default; the alternatives exist to be compared with it. Hard labels judge a model, never these.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from headscarp.core.learning.relaxation import relax
from headscarp.core.tiling import Window
from headscarp.core.types import Mask, Raster

LabelKind: TypeAlias = Literal["poisson_screened", "laplace_collar", "laplace_window", "gaussian", "hard"]
"""Screened Poisson; harmonic within a collar; harmonic over the whole window, which is the literal
reading and for its reproduction only; Gaussian of the distance to the nearest slide; the mask."""

LENGTH_PX = 2.0
"""Length in pixels of 30 m: the usual positional error of inventories."""
COLLAR_LENGTHS = 2.5
"""Width of the collar in lengths: 5 px at the default."""
TOLERANCE = 1e-4
TILE_PX = 256
"""Side of the tiles that are solved on their own: three of their arrays fit a core's cache."""
SAFETY = 10.0
"""Walls of unknown ground reflect: the influence of a tile's cut edge may exceed that on open ground."""
GAUSSIAN_REACH = 6.0
"""Standard deviations beyond which a Gaussian is zero in float32's eyes."""

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, slots=True)
class _Recipe:
    """How the label of one tile is made, and how far it looks beyond the tile."""

    reach_px: int
    label: Callable[[Mask, Mask], Array]
    """(slides, known) -> label, anything where unknown."""


def soft_label(
    slides: Mask,
    known: Mask,
    *,
    kind: LabelKind = "poisson_screened",
    length_px: float = LENGTH_PX,
    tolerance: float = TOLERANCE,
    threads: int | None = None,
) -> Raster:
    """Make the label of one raster; all kinds but `laplace_window` are local and solved tile by tile.

    Args:
        slides: (y, x), True on landslides.
        known: (y, x), True where the ground was mapped.
        kind: Which label.
        length_px: Screening length, standard deviation or, times 2.5, width of the collar, in pixels.
        tolerance: Largest error of any pixel against the exact solution of the discrete problem.
        threads: Tiles solved at once; by default one per core. The result does not depend on it.

    Returns:
        (y, x) in [0, 1], exactly 1 on known landslides, NaN where unknown.

    Raises:
        ValueError: shapes differ, the kind is unknown, or a length or tolerance is not positive.
        ArithmeticError: the tolerance was not reached.
    """
    if slides.shape != known.shape or slides.ndim != 2:
        raise ValueError(f"expected two rasters of one shape, got {slides.shape} and {known.shape}")
    if not (length_px > 0 and tolerance > 0):
        raise ValueError(f"expected positive length and tolerance, got {length_px} and {tolerance}")
    if kind not in get_args(LabelKind):
        raise ValueError(f"expected a label of {', '.join(get_args(LabelKind))}, got {kind!r}")
    known = np.ascontiguousarray(known, dtype=np.bool_)
    fixed = np.ascontiguousarray(slides, dtype=np.bool_) & known
    if kind == "laplace_window":
        return _finished(_window(fixed, known, tolerance), known)
    recipe = _recipe(kind, length_px, tolerance)
    out = np.empty(known.shape, dtype=np.float32)
    tiles = _tiles(known.shape, max(TILE_PX, 2 * recipe.reach_px))
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        list(pool.map(lambda tile: _solve_tile(out, fixed, known, recipe, tile), tiles))
    return out


def _finished(u: Array, known: Mask) -> Raster:
    """Clip rounding away and say where nothing is known."""
    return np.where(known, np.clip(u, 0.0, 1.0), np.nan).astype(np.float32)


def _tiles(shape: tuple[int, ...], side: int) -> list[Window]:
    height, width = shape
    return [
        Window(y, x, min(side, height - y), min(side, width - x))
        for y in range(0, height, side)
        for x in range(0, width, side)
    ]


def _solve_tile(out: Raster, fixed: Mask, known: Mask, recipe: _Recipe, tile: Window) -> None:
    """Write one tile of `out`, looking `reach_px` beyond its edges."""
    top, left = max(tile.y - recipe.reach_px, 0), max(tile.x - recipe.reach_px, 0)
    bottom, right = tile.y + tile.height + recipe.reach_px, tile.x + tile.width + recipe.reach_px
    around = np.s_[top:bottom, left:right]
    here = np.s_[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]
    inner = np.s_[tile.y - top : tile.y - top + tile.height, tile.x - left : tile.x - left + tile.width]
    if fixed[around].any():
        out[here] = _finished(recipe.label(fixed[around], known[around])[inner], known[here])
    else:
        out[here] = np.where(known[here], np.float32(0), np.float32(np.nan))


def _recipe(kind: str, length_px: float, tolerance: float) -> _Recipe:
    if kind == "hard":
        return _Recipe(0, lambda fixed, _: fixed)
    if kind == "gaussian":
        return _Recipe(math.ceil(GAUSSIAN_REACH * length_px), lambda fixed, _: _gaussian(fixed, length_px))
    if kind == "laplace_collar":
        width = COLLAR_LENGTHS * length_px
        reach = _reach_px(width, tolerance) + math.ceil(width)
        return _Recipe(reach, lambda fixed, known: _collar(fixed, known, width, tolerance))
    sink = 1.0 / length_px**2
    return _Recipe(
        _reach_px(length_px, tolerance),
        lambda fixed, known: relax(fixed, known & ~fixed, known, sink=sink, floor=sink, tolerance=tolerance),
    )


def _reach_px(length_px: float, tolerance: float) -> int:
    """Depth at which a straight edge's influence is `tolerance / SAFETY`: q**depth, q + 1/q = 2 + 1/length**2."""
    b = 2.0 + 1.0 / length_px**2
    q = (b - math.sqrt(b * b - 4.0)) / 2.0
    return math.ceil(math.log(tolerance / SAFETY) / math.log(q))


def _collar(fixed: Mask, known: Mask, width: float, tolerance: float) -> Array:
    """Harmonic between the slides and the pixels `width` away from them, where it is 0.

    There is no sink, but in a strip of that width, even one that ends at a wall, an error is at
    most width**2 / 2 times the residual and fades along the strip within 2 width / pi: less than
    with a sink of length `width`, which speed, stopping and reach are based on.
    """
    near = ndimage.distance_transform_edt(~fixed) < width
    return relax(fixed, known & near & ~fixed, known, sink=0.0, floor=1.0 / width**2, tolerance=tolerance)


def _window(fixed: Mask, known: Mask, tolerance: float) -> Array:
    """Harmonic between the slides and the edge of the raster, just outside which it is 0.

    Nothing damps this far from slides: of a square of side n an error may be n**2 / 14 times the
    residual, which is why iterations that look converged can be wrong by 0.1 to 0.7. The floor
    below is three times stricter than that, since walls of unknown ground make it worse.
    """
    floor = sum(2.0 / side**2 for side in fixed.shape)
    free, ground = np.pad(known & ~fixed, 1), np.pad(known, 1, constant_values=True)
    return relax(np.pad(fixed, 1), free, ground, sink=0.0, floor=floor, tolerance=tolerance)[1:-1, 1:-1]


def _gaussian(fixed: Mask, length_px: float) -> Array:
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(~fixed)
    return np.exp(-0.5 * (distance / length_px) ** 2)
