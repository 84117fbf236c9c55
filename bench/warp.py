"""Tiles of 1 arc second joined and warped to UTM at 30 m, bilinear: speed and values against GDAL.

GDAL's kernel is pinned to the width of one source pixel (XSCALE, YSCALE), which is what ours is whatever the
two resolutions are. It is given the tiles joined already; ours are joined within the time.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import CRS
from rasterio.warp import Resampling, reproject

from bench.measure import CORES, Figure, best_of, fractal, in_strips, parser, report
from headscarp.core.warp import mosaic, on_lattice, project, sample

SIDE = 6000
TILE = 3600
SECOND = 1.0 / 3600.0
NORTH_WEST = Affine(SECOND, 0.0, 85.0, 0.0, -SECOND, 30.0)
GEOGRAPHIC = "EPSG:4326"
GRID = GeoBox(wh_(SIDE, SIDE), Affine(30.0, 0.0, 310_000.0, 0.0, -30.0, 3_300_000.0), "EPSG:32645")


def main() -> int:
    arguments = parser(__doc__).parse_args()
    ground = fractal(2 * TILE)
    ours, theirs = np.empty((SIDE, SIDE), np.float32), np.empty((SIDE, SIDE), np.float32)
    gdal = partial(by_gdal, ground, theirs)
    seconds = best_of(arguments.runs, {"ours": lambda: by_us(ground, ours), "GDAL": gdal})
    off = np.abs(ours - theirs)
    figures = [
        Figure("mosaic of four tiles and warp, ours", ours.size / seconds["ours"] / 1e6, "Mpx/s"),
        Figure("warp only, GDAL", ours.size / seconds["GDAL"] / 1e6, "Mpx/s"),
        Figure("times GDAL", seconds["GDAL"] / seconds["ours"], "x", 1.0),
        Figure("mean difference", float(off.mean()), "m", 0.05, at_most=True),
        Figure("99.9 % of differences below", float(np.quantile(off, 0.999)), "m", 0.5, at_most=True),
    ]
    return report(f"warp, SYNTHETIC {SIDE} x {SIDE} px, {CORES} threads", figures, as_json=arguments.json)


def by_us(ground: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Four tiles, as read from a mosaic's files; the target in strips, as in blocks."""
    tiles = [on_lattice(ground[y : y + TILE, x : x + TILE], NORTH_WEST * Affine.translation(x, y))
             for y in (0, TILE) for x in (0, TILE)]  # fmt: skip
    (joined,) = mosaic(tiles, np.nan)

    def strip(first: int, last: int) -> None:
        part = GRID[first:last, :]
        out[first:last] = sample(joined, project(part, CRS.from_user_input(GEOGRAPHIC)), "bilinear")

    in_strips(strip, SIDE)


def by_gdal(ground: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    reproject(
        ground, out, src_transform=NORTH_WEST, src_crs=GEOGRAPHIC, dst_transform=GRID.transform, dst_crs=str(GRID.crs),
        resampling=Resampling.bilinear, num_threads=CORES, XSCALE=1, YSCALE=1, init_dest_nodata=False,
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
