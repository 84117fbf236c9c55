"""Exact distance to the nearest marked pixel: error against brute force, speed against scipy."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from bench.measure import CORES, Figure, best_of, in_strips, parser, report
from headscarp.core.pci.distance import distance_to_mask, distances_along_rows, pixels_along_columns
from headscarp.core.pci.pixels import PixelSize

SIDE = 3000
MARKED = 0.009
PIXEL = PixelSize(30.0, 28.6)
LIMIT_M = 5000.0


def main() -> int:
    arguments = parser(__doc__).parse_args()
    mask = np.random.default_rng(1).random((SIDE, SIDE)) < MARKED
    out = np.empty(mask.shape, np.float32)

    def ours() -> None:
        in_strips(lambda a, b: pixels_along_columns(mask, a, b, out), SIDE)
        in_strips(lambda a, b: distances_along_rows(PIXEL.y, PIXEL.x, LIMIT_M, a, b, out), SIDE)

    seconds = best_of(
        arguments.runs,
        {"ours": ours, "one": lambda: distance_to_mask(mask, PIXEL, limit_m=LIMIT_M),
         "scipy": lambda: distance_transform_edt(~mask, sampling=PIXEL)},
    )  # fmt: skip
    identical = np.array_equal(out, distance_to_mask(mask, PIXEL, limit_m=LIMIT_M))
    figures = [
        Figure("error against brute force", error_m(), "m", 0.1, at_most=True),
        Figure("strips have the values of the whole", float(identical), "", 1.0),
        Figure("two cores", mask.size / seconds["ours"] / 1e6, "Mpx/s", 60.0),
        Figure("one core", mask.size / seconds["one"] / 1e6, "Mpx/s"),
        Figure("times scipy", seconds["scipy"] / seconds["ours"], "x", 5.0),
    ]
    title = f"distance, {SIDE} x {SIDE} px, {MARKED:.1%} marked, {CORES} threads"
    return report(title, figures, as_json=arguments.json)


def error_m() -> float:
    """Largest error on small masks from full to nearly empty, each pixel against all marked ones."""
    rng, worst = np.random.default_rng(2), 0.0
    y, x = np.mgrid[:90, :120]
    for share in (0.3, 0.01, 0.0005):
        mask = rng.random(y.shape) < share
        mask[rng.integers(90), rng.integers(120)] = True
        rows, columns = np.nonzero(mask)
        nearest = np.full(y.shape, LIMIT_M)
        for row, column in zip(rows, columns, strict=True):
            nearest = np.minimum(nearest, np.hypot((y - row) * PIXEL.y, (x - column) * PIXEL.x))
        worst = max(worst, float(np.abs(distance_to_mask(mask, PIXEL, limit_m=LIMIT_M) - nearest).max()))
    return worst


if __name__ == "__main__":
    raise SystemExit(main())
