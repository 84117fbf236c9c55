"""Curvature of the elevation smoothed by a Gaussian of one pixel, row by row.

The window is whole or the value NaN: a Gaussian cut on one side shifts the surface by a share of
the slope, which is far more than any curvature.
"""

from __future__ import annotations

import numpy as np

from headscarp.core.pci.compiled import Real, compiled
from headscarp.core.pci.gradient import Row
from headscarp.core.types import Raster

CURVATURE_LIMIT = 10.0
"""Clip in 0.01 / m."""
SMOOTHING_RADIUS_PX = 3

_LINE = np.exp(-0.5 * np.arange(SMOOTHING_RADIUS_PX + 1) ** 2.0)
_W0, _W1, _W2, _W3 = (_LINE / (_LINE[0] + 2.0 * _LINE[1:].sum())).astype(np.float32)
_ZERO, _ONE, _HUNDRED = np.float32(0.0), np.float32(1.0), np.float32(100.0)
_LIMIT = np.float32(CURVATURE_LIMIT)


@compiled
def smooth_row(z: Raster, y: int, column_sums: Row, out: Row) -> None:
    """Row `y` smoothed; NaN where any of the 7 x 7 elevations is missing. `column_sums` is overwritten."""
    if y < 3 or y >= z.shape[0] - 3:
        out[:] = np.nan
        return
    out[:3] = np.nan
    out[-3:] = np.nan
    _smooth_columns(z[y - 3], z[y - 2], z[y - 1], z[y], z[y + 1], z[y + 2], z[y + 3], column_sums)
    for x in range(out.size - 6):
        far = _W3 * (column_sums[x] + column_sums[x + 6]) + _W2 * (column_sums[x + 1] + column_sums[x + 5])
        out[x + 3] = far + _W1 * (column_sums[x + 2] + column_sums[x + 4]) + _W0 * column_sums[x + 3]


@compiled
def _smooth_columns(a: Row, b: Row, c: Row, d: Row, e: Row, f: Row, g: Row, out: Row) -> None:
    for x in range(out.size):
        out[x] = _W3 * (a[x] + g[x]) + _W2 * (b[x] + f[x]) + _W1 * (c[x] + e[x]) + _W0 * d[x]


@compiled
def curvature_row(
    up: Row, here: Row, down: Row, pixel: tuple[float, float], flat: float, plan: Row, profile: Row, laplacian: Row
) -> None:
    """Tangential ("plan") and profile curvature, and that of both axes, of the middle one of three smoothed rows.

    In 0.01 / m, positive where convex; the first two 0 where the gradient is below `flat`. Quadratic of
    Evans (1980), forms of Mitasova and Hofierka (1993), https://doi.org/10.1007/BF00893171.
    """
    for edge in (0, -1):
        plan[edge] = profile[edge] = laplacian[edge] = np.nan
    height, width = pixel
    per_p, per_q = np.float32(1.0 / (6.0 * width)), np.float32(1.0 / (6.0 * height))
    per_r, per_t = np.float32(1.0 / (3.0 * width * width)), np.float32(1.0 / (3.0 * height * height))
    per_s = np.float32(1.0 / (4.0 * width * height))
    least = np.float32(flat * flat)
    for x in range(here.size - 2):
        west, east = up[x] + here[x] + down[x], up[x + 2] + here[x + 2] + down[x + 2]
        north, south = up[x] + up[x + 1] + up[x + 2], down[x] + down[x + 1] + down[x + 2]
        column, row = up[x + 1] + here[x + 1] + down[x + 1], here[x] + here[x + 1] + here[x + 2]
        p, q = (east - west) * per_p, (north - south) * per_q
        r = ((west - column) + (east - column)) * per_r
        t = ((north - row) + (south - row)) * per_t
        laplacian[x + 1] = -_HUNDRED * (r + t)
        s = ((up[x + 2] - up[x]) - (down[x + 2] - down[x])) * per_s
        pp, qq, pqs = p * p, q * q, (p + p) * q * s
        g = pp + qq
        secant_squared = _ONE + g
        scale = -_HUNDRED / (g * secant_squared * np.sqrt(secant_squared))
        across, along = (qq * r - pqs + pp * t) * secant_squared * scale, (pp * r + pqs + qq * t) * scale
        plan[x + 1] = _ZERO if g < least else _clipped(across)
        profile[x + 1] = _ZERO if g < least else _clipped(along)


@compiled
def _clipped(value: Real) -> Real:
    """The value within the curvature limits; NaN stays NaN."""
    low = -_LIMIT if value < -_LIMIT else value
    return _LIMIT if low > _LIMIT else low
