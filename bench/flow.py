"""Depressions filled, steepest descent, contributing area and wetness: speed and drainage against pyflwdir.

Both chains begin with the elevation and the slope and run on one core. pyflwdir sends water to the neighbour
that was flooded first, which on slopes is the lowest and not the steepest one: for the comparison of drainage
its directions are kept on flats and filled depressions, where each program has its own way, and are numpy's
steepest descent elsewhere; it accumulates them.
"""

from __future__ import annotations

import numpy as np
import pyflwdir
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from bench.measure import Figure, best_of, fractal, parser, report
from headscarp.core.pci.flow import contributing_cells, drainage
from headscarp.core.pci.hydrology import CHANNEL_AREA_M2, LEAST_TANGENT, hydrology
from headscarp.core.pci.pixels import PixelSize
from headscarp.core.pci.terrain import terrain

SIDE, LARGE = 3000, 6700
PIXEL = PixelSize(30.0, 30.0)
CODES = {(-1, -1): 32, (-1, 0): 64, (-1, 1): 128, (0, -1): 16, (0, 1): 1, (1, -1): 8, (1, 0): 4, (1, 1): 2}
"""pyflwdir's code of a neighbour by row and column."""
NOISE_M = 0.5
"""Of the SYNTHETIC elevation, so that there are pits as in real ones."""


def main() -> int:
    arguments = parser(__doc__)
    arguments.add_argument("--large", action="store_true", help=f"{LARGE} x {LARGE} px; without pyflwdir's time")
    arguments.set_defaults(runs=3)
    options = arguments.parse_args()
    side = LARGE if options.large else SIDE
    z = fractal(side) + np.random.default_rng(2).normal(0.0, NOISE_M, (side, side)).astype(np.float32)
    slope, land = terrain(z, PIXEL).slope, np.ones(z.shape, bool)
    calls = {"ours": lambda: hydrology(z, land, slope, PIXEL)}
    if not options.large:
        calls["pyflwdir"] = lambda: by_pyflwdir(z, slope)
    seconds = best_of(options.runs, calls)
    ours = seconds["ours"]
    figures = [Figure("fill, route, accumulate, wetness, one core", z.size / ours / 1e6, "Mpx/s"),
               Figure("seconds", ours, "s")]  # fmt: skip
    if not options.large:
        theirs = seconds["pyflwdir"]
        figures += [Figure("pyflwdir, the same chain", z.size / theirs / 1e6, "Mpx/s"),
                    Figure("times pyflwdir", theirs / ours, "x", 5.0), *agreement(z, slope)]  # fmt: skip
    return report(f"flow, SYNTHETIC {side} x {side} px with pits", figures, as_json=options.json)


def by_pyflwdir(
    z: NDArray[np.float32], slope: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]:
    """Filled elevation, directions and wetness."""
    filled, directions = pyflwdir.dem.fill_depressions(z, nodata=-9999.0)
    cells = pyflwdir.from_array(directions, ftype="d8", cache=False).upstream_area("cell")
    area = np.minimum(cells * np.float32(PIXEL.area_m2), CHANNEL_AREA_M2)
    wetness = np.log(area / (PIXEL.mean * np.maximum(np.tan(np.radians(slope)), LEAST_TANGENT)))
    return filled, directions, wetness


def agreement(z: NDArray[np.float32], slope: NDArray[np.float32]) -> list[Figure]:
    """The same levels, areas and channels."""
    flow = drainage(z, np.ones(z.shape, bool), height_m=PIXEL.y, width_m=PIXEL.x)
    filled, flooded, _ = by_pyflwdir(z, slope)
    directions = np.where(falls(flow.level), steepest(flow.level), flooded)
    ours, theirs = contributing_cells(flow), pyflwdir.from_array(directions, ftype="d8").upstream_area("cell")
    correlation = np.corrcoef(np.log(ours.ravel()), np.log(theirs.ravel()))[0, 1]
    one, other = (cells * PIXEL.area_m2 >= CHANNEL_AREA_M2 for cells in (ours, theirs))
    return [
        Figure(
            "largest difference of filled levels", float(np.abs(flow.level - filled).max()), "m", 1e-3, at_most=True
        ),
        Figure("correlation of ln area", float(correlation), "", 0.9),
        Figure("our channels within a pixel of theirs", share_beside(one, other), "", 0.85),
        Figure("their channels within a pixel of ours", share_beside(other, one), "", 0.85),
    ]


def descents(level: NDArray[np.float32]) -> NDArray[np.float64]:
    """(8, y, x) fall per metre to the neighbours, in the order of `CODES`; none beyond the edge."""
    padded = np.pad(level.astype(float), 1, constant_values=np.inf)
    rows, columns = level.shape
    return np.stack(
        [(level - padded[1 + y : 1 + y + rows, 1 + x : 1 + x + columns]) / np.hypot(y, x) for y, x in CODES]
    )


def falls(level: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether a neighbour is lower."""
    return np.asarray(descents(level).max(axis=0) > 0.0)


def steepest(level: NDArray[np.float32]) -> NDArray[np.uint8]:
    """pyflwdir's code of the steepest descent."""
    return np.array(list(CODES.values()), np.uint8)[descents(level).argmax(axis=0)]


def share_beside(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Share of `one` that lies on `other` or beside it."""
    return float(binary_dilation(other, np.ones((3, 3), bool))[one].mean())


if __name__ == "__main__":
    raise SystemExit(main())
