"""Real elevation models on grids in metres, for oracles."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from rasterio.warp import Resampling, reproject

from headscarp.core.pci.pixels import PixelSize, pixel_size
from headscarp.core.types import Mask, Raster

PLACES = ("kashmir", "gorkha", "lefkada")
_FILES = {
    "kashmir": "us_usp000e12e_kashmir2005/aw3d30.tif",
    "gorkha": "us_us20002926_gorkha2015_30m/dem_30m.tif",
    "lefkada": "us_us10003ywp_lefkada2015_nolabel/dem_1as.tif",
}
_LEFKADA = GeoBox(wh_(700, 640), Affine(30, 0, 461_400, 0, -30, 4_292_400), "EPSG:32634")
"""The island and the sea around it."""


class RealTerrain(NamedTuple):
    """Elevation with the sea at 0 and NaN in voids, and where it lies."""

    elevation: Raster
    grid: GeoBox

    @property
    def pixel(self) -> PixelSize:
        return pixel_size(self.grid)

    @property
    def land(self) -> Mask:
        """Everything in the mountains; on the coast what is above 0."""
        return ~(self.elevation <= 0.0)


@cache
def real_terrain(shared_data: Path, name: str) -> RealTerrain:
    """Kashmir (AW3D30, 28.6 m), Gorkha (SRTM, 30 m, two clips with a void between), Lefkada (1 arc second to 30 m)."""
    with rasterio.open(shared_data / "events" / _FILES[name]) as file:
        z = file.read(1, masked=True).astype(np.float32).filled(np.nan)
        grid = GeoBox(wh_(file.width, file.height), file.transform, str(file.crs))
    if name != "lefkada":
        return RealTerrain(z, grid)
    onto = np.empty((_LEFKADA.shape.y, _LEFKADA.shape.x), np.float32)
    reproject(
        np.maximum(z, 0.0), onto, src_transform=grid.transform, src_crs="EPSG:4326", dst_transform=_LEFKADA.transform,
        dst_crs=str(_LEFKADA.crs), resampling=Resampling.bilinear,
    )  # fmt: skip
    return RealTerrain(onto, _LEFKADA)
