"""Eight local terrain attributes in one pass: share of the machine's bandwidth, and speed against xarray-spatial.

Slope, aspect (east, north), plan and profile curvature are rows of the coseismic table; the Laplacian, gradient
and local position are what another table may choose. Production runs the same kernel, one block a thread.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr
from xrspatial import aspect, curvature, slope

from bench.measure import CORES, TRIAD_BYTES, Figure, best_of, fractal, in_strips, parser, report, triad
from headscarp.core.pci.terrain import Terrain, empty_terrain, terrain_rows

SIDE = 6000
PIXEL = (30.0, 30.0)


def main() -> int:
    arguments = parser(__doc__).parse_args()
    z = fractal(SIDE)
    out = empty_terrain(z.shape)
    array = xr.DataArray(z, dims=("y", "x"), attrs={"res": PIXEL},
                         coords={"y": -np.arange(SIDE) * PIXEL[0], "x": np.arange(SIDE) * PIXEL[1]})  # fmt: skip
    theirs = {"slope": slope, "aspect": aspect, "curvature": curvature}
    seconds = best_of(
        arguments.runs,
        {"triad": triad(), "ours": lambda: in_strips(lambda a, b: terrain_rows(z, a, b, PIXEL, out), SIDE),
         "one thread": lambda: terrain_rows(z, 0, SIDE, PIXEL, out),
         **{name: partial(attribute, array) for name, attribute in theirs.items()}},
    )  # fmt: skip
    layers = len(Terrain._fields)
    bandwidth, moved = TRIAD_BYTES / seconds["triad"], 4 * (1 + layers) * z.size / seconds["ours"]
    figures = [
        Figure("triad, two cores", bandwidth / 1e9, "GB/s"),
        Figure("eight attributes, two cores", z.size / seconds["ours"] / 1e6, "Mpx/s"),
        Figure("eight attributes, one core", z.size / seconds["one thread"] / 1e6, "Mpx/s"),
        Figure("of triad bandwidth (one read, eight writes)", moved / bandwidth, "", 0.5),
        *(Figure(f"per output, times xarray-spatial's {name}", seconds[name] * layers / seconds["ours"], "x", 8.0)
          for name in theirs),
    ]  # fmt: skip
    return report(f"terrain, SYNTHETIC {SIDE} x {SIDE} px, {CORES} threads", figures, as_json=arguments.json)


if __name__ == "__main__":
    raise SystemExit(main())
