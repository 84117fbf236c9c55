"""What lies on the land: soil, land cover and greenness, each from height, slope and wetness."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from headscarp.core.hazard.groundmotion import CorrelatedField
from headscarp.core.types import Codes, Raster
from headscarp.world.settings import ALLUVIUM, WorldSettings
from headscarp.world.terrain import Terrain

TREES: Final = 10
SHRUBS: Final = 20
GRASS: Final = 30
CROPS: Final = 40
BUILT: Final = 50
BARE: Final = 60
SNOW: Final = 70
WATER: Final = 80
"""WorldCover classes."""
CAMBISOL: Final = 7
FLUVISOL: Final = 12
LEPTOSOL: Final = 17
LUVISOL: Final = 19
REGOSOL: Final = 25
"""WRB reference groups, numbered from 1 in alphabetical order."""
GREENNESS: Final = {TREES: 0.82, SHRUBS: 0.58, GRASS: 0.48, CROPS: 0.62, BUILT: 0.20, BARE: 0.12, SNOW: -0.05}


class Cover(NamedTuple):
    """Maps of the surface, (y, x); 0 where unknown, NDVI NaN over the sea."""

    soil: Codes
    land_cover: Codes
    ndvi: Raster


def wetness(terrain: Terrain, pixel_m: float) -> Raster:
    """Topographic wetness ln(a / tan slope) of the true land, with tan slope at least 0.01; (y, x)."""
    gradient = np.maximum(np.tan(np.radians(terrain.slope)), 0.01)
    return np.log(terrain.area / pixel_m / gradient).astype(np.float32)


def make_cover(settings: WorldSettings, terrain: Terrain, pixel_m: float, rng: np.random.Generator) -> Cover:
    """Draw the surface of one world; none of it but trees matters to slope stability."""
    shape = (terrain.land.shape[0], terrain.land.shape[1])
    patches = CorrelatedField(shape, 900.0 / pixel_m, "gaussian")
    height = terrain.elevation - settings.base_m + 180.0 * patches.draw(rng)
    wet = wetness(terrain, pixel_m)
    land_cover = _land_cover(settings, terrain, height, patches.draw(rng))
    land_cover[~terrain.land] = WATER
    soil = _soil(terrain, height, wet + patches.draw(rng))
    greenness = np.vectorize(GREENNESS.get, otypes=[np.float32])(np.arange(256), np.nan)[land_cover]
    ndvi = greenness + 0.07 * patches.draw(rng) + 0.03 * rng.standard_normal(shape, dtype=np.float32)
    return Cover(soil, land_cover, np.clip(ndvi, -1.0, 1.0).astype(np.float32))


def _land_cover(settings: WorldSettings, terrain: Terrain, height: Raster, clearing: Raster) -> Codes:
    """Crops and villages on valley floors, forest, alpine grass, rock and snow."""
    above = height - (settings.treeline - settings.base_m)
    floor = terrain.lithology == ALLUVIUM.code
    choices = [
        (above > 900.0, SNOW),
        (terrain.slope > 44.0 + 3.0 * clearing, BARE),
        (above > 350.0, BARE),
        (above > 0.0, GRASS),
        (floor & (clearing > 1.3), BUILT),
        (floor, CROPS),
        (above > -200.0, SHRUBS),
        (clearing > 1.2, GRASS),
        (clearing < -1.1, SHRUBS),
    ]
    return np.select([where for where, _ in choices], [code for _, code in choices], TREES).astype(np.uint8)


def _soil(terrain: Terrain, height: Raster, damp: Raster) -> Codes:
    """Thin soils on steep ground, deeper ones below, river deposits on valley floors."""
    conditions = [terrain.lithology == ALLUVIUM.code, terrain.slope > 38.0, height > 1_500.0, damp > 8.0]
    soil = np.select(conditions, [FLUVISOL, LEPTOSOL, REGOSOL, LUVISOL], CAMBISOL)
    return np.where(terrain.land, soil, 0).astype(np.uint8)
