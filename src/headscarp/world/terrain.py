"""Mountains: uplift against rivers, hillslopes at their angle of repose, valley floors, a coast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from headscarp.core.hazard.groundmotion import CorrelatedField
from headscarp.core.types import Codes, Mask, Raster
from headscarp.world.rivers import Erosion, accumulate, drain, erode, height_above
from headscarp.world.settings import ALLUVIUM, Rock, WorldSettings

Floats = NDArray[np.float64]

STEP_YEARS = 20_000.0
CHANNEL_M2 = 3.0e6
"""Contributing area from which a valley has a floor."""
COASTAL_M = 4_000.0
"""Width of the belt in which uplift grows, in worlds that are wide enough."""
LEVELS = ((4, 110), (2, 35), (1, 16))
"""(coarsening, steps): coarse grids find the valleys, fine grids carve them."""


@dataclass(frozen=True, slots=True)
class Terrain:
    """The true land, complete, before any map of it is made; all (y, x)."""

    elevation: Raster
    """Metres above the sea; the sea floor is negative."""
    land: Mask
    lithology: Codes
    """GLiM classes; valley fills included."""
    area: Raster
    """Contributing area, m2."""
    slope: Raster
    """Degrees, from central differences."""
    position: Raster
    """Height above the mean within 300 m, in standard deviations of the world's land."""


def make_terrain(settings: WorldSettings, shape: tuple[int, int], pixel_m: float, rng: np.random.Generator) -> Terrain:
    """Draw the land of one world. Raises ValueError if `settings` has no rocks."""
    bedrock = _bedrock(settings, shape, pixel_m, rng)
    land = _land(settings, shape, pixel_m, rng)
    fields = _Fields(
        uplift=_uplift(settings, land, pixel_m, rng),
        erodibility=_of_rocks(bedrock, settings.rocks, "erodibility")
        * settings.erodibility
        * np.exp(0.5 * _field(shape, 12.0, rng)),
        repose=np.tan(np.radians(_of_rocks(bedrock, settings.rocks, "repose") + 3.0 * _field(shape, 25.0, rng))),
        base=_base_level(land),
        noise=_field(shape, 40.0, rng),
    )
    elevation, area, floor = _valley_floors(_evolve(fields, pixel_m), fields.base, pixel_m)
    elevation += settings.base_m
    elevation = np.where(land, elevation + 0.6 * _field(shape, 6.0, rng), _sea_floor(land, pixel_m, rng))
    elevation[land] = np.maximum(elevation[land], 0.5)
    lithology = np.where(floor & land, ALLUVIUM.code, bedrock).astype(np.uint8)
    return Terrain(
        elevation=elevation.astype(np.float32),
        land=land,
        lithology=np.where(land, lithology, 0).astype(np.uint8),
        area=area.astype(np.float32),
        slope=slope_degrees(elevation, pixel_m),
        position=_position(elevation, land, pixel_m),
    )


def slope_degrees(elevation: NDArray[np.floating], pixel_m: float) -> Raster:
    """Slope in degrees by Horn's 3x3 differences, edges repeated; (y, x)."""
    p = ndimage.correlate1d(ndimage.correlate1d(elevation, [-1, 0, 1], axis=1), [1, 2, 1], axis=0)
    q = ndimage.correlate1d(ndimage.correlate1d(elevation, [-1, 0, 1], axis=0), [1, 2, 1], axis=1)
    return np.asarray(np.degrees(np.arctan(np.hypot(p, q) / (8.0 * pixel_m))), np.float32)


@dataclass(frozen=True, slots=True)
class _Fields:
    """What drives the land's evolution, at full resolution."""

    uplift: Floats
    erodibility: Floats
    repose: Floats
    base: Mask
    noise: Floats

    def coarse(self, factor: int) -> _Fields:
        def pick(field: NDArray[np.generic]) -> NDArray[np.generic]:
            return np.ascontiguousarray(field[factor // 2 :: factor, factor // 2 :: factor])

        return _Fields(*(pick(getattr(self, name)) for name in self.__slots__))  # type: ignore[arg-type]


def _field(shape: tuple[int, int], range_px: float, rng: np.random.Generator) -> Floats:
    """A smooth standard normal field."""
    return CorrelatedField(shape, range_px, "gaussian").draw(rng).astype(float)


def _bedrock(settings: WorldSettings, shape: tuple[int, int], pixel_m: float, rng: np.random.Generator) -> Codes:
    """Rocks as bands of one field, each with its share of the area."""
    if not settings.rocks:
        raise ValueError(f"region {settings.name!r} has no rocks")
    field = _field(shape, 6_000.0 / pixel_m, rng) + 0.15 * _field(shape, 800.0 / pixel_m, rng)
    shares = np.cumsum([rock.share for rock in settings.rocks])
    edges = np.quantile(field, shares[:-1] / shares[-1])
    codes = np.array([rock.code for rock in settings.rocks], np.uint8)
    return codes[np.searchsorted(edges, field)]


def _of_rocks(lithology: Codes, rocks: tuple[Rock, ...], name: str) -> Floats:
    """A property of rocks as a raster; NaN where no rock has the code."""
    table = np.full(256, np.nan)
    for rock in rocks:
        table[rock.code] = getattr(rock, name)
    return np.asarray(table[lithology])


def _land(settings: WorldSettings, shape: tuple[int, int], pixel_m: float, rng: np.random.Generator) -> Mask:
    """Land east of a ragged coast; everything where there is no sea."""
    cols = shape[1]
    if settings.sea == 0:
        return np.ones(shape, bool)
    ragged = 1_200.0 / pixel_m * _field(shape, 5_000.0 / pixel_m, rng)
    ragged += 200.0 / pixel_m * _field(shape, 700.0 / pixel_m, rng)
    inland = np.arange(cols)[None, :] + ragged > settings.sea * cols
    return _one_sea(np.asarray(inland))


def _one_sea(inland: Mask) -> Mask:
    """Only the largest land and the sea that touches the western edge remain."""
    label, _ = ndimage.label(inland)
    sizes = np.bincount(label.ravel())
    sizes[0] = 0
    land = label == sizes.argmax()
    sea, _ = ndimage.label(np.pad(~land, ((0, 0), (1, 0)), constant_values=True))
    return np.asarray(sea[:, 1:] != sea[0, 0])


def _base_level(land: Mask) -> Mask:
    """Where rivers end: the sea, or a lowland along the western edge where there is none."""
    base = ~land
    if not base.any():
        base[:, :4] = True
    return base


def _uplift(settings: WorldSettings, land: Mask, pixel_m: float, rng: np.random.Generator) -> Floats:
    """Uplift in m a year: almost nothing at the coast, full inland, uneven by half."""
    ramp = np.ones(land.shape)
    if settings.sea:
        coastal_m = min(COASTAL_M, 0.3 * land.shape[1] * pixel_m)
        ramp = np.clip(ndimage.distance_transform_edt(land) * pixel_m / coastal_m, 0.03, 1.0)
    uneven = np.exp(0.4 * _field((land.shape[0], land.shape[1]), 7_000.0 / pixel_m, rng))
    return np.asarray(settings.uplift * ramp * uneven)


def _evolve(fields: _Fields, pixel_m: float) -> Floats:
    """Grow the mountains from a rough plain, coarse to fine."""
    elevation = 5.0 + 2.0 * fields.coarse(LEVELS[0][0]).noise
    for factor, steps in LEVELS:
        now = fields.coarse(factor) if factor > 1 else fields
        elevation = np.where(now.base, 0.0, _zoom(elevation, now.base.shape))
        for _ in range(steps):
            elevation = _step(elevation, now, pixel_m * factor)
    return elevation


def _step(elevation: Floats, fields: _Fields, pixel_m: float) -> Floats:
    step = Erosion(fields.uplift * STEP_YEARS, fields.erodibility * STEP_YEARS, fields.repose)
    eroded = erode(elevation, drain(elevation, fields.base), step, pixel_m=pixel_m)
    crept = eroded + 0.04 * ndimage.laplace(eroded)
    return np.where(fields.base, 0.0, crept)


def _zoom(elevation: Floats, shape: tuple[int, ...]) -> Floats:
    """Linear interpolation to a finer grid."""
    factors = [new / old for new, old in zip(shape, elevation.shape, strict=True)]
    finer: Floats = ndimage.zoom(elevation, factors, order=1, mode="nearest", grid_mode=True)
    return finer


def _valley_floors(elevation: Floats, base: Mask, pixel_m: float) -> tuple[Floats, Floats, Mask]:
    """Lower the land next to large rivers to a floor; (elevation, area, floor)."""
    drainage = drain(elevation, base)
    area = accumulate(drainage, pixel_m * pixel_m).reshape(elevation.shape)
    height = height_above(drainage, elevation, area >= CHANNEL_M2).reshape(elevation.shape)
    depth = 30.0
    lowered = elevation - 0.92 * depth * -np.expm1(-height / depth)
    return lowered, area, height < 0.6 * depth


def _sea_floor(land: Mask, pixel_m: float, rng: np.random.Generator) -> Floats:
    """A shelf that deepens away from the coast."""
    off = ndimage.distance_transform_edt(~land) * pixel_m
    rough = np.exp(0.3 * _field((land.shape[0], land.shape[1]), 60.0, rng))
    return np.asarray(-1.0 - 0.03 * off * rough)


def _position(elevation: Floats, land: Mask, pixel_m: float) -> Raster:
    """Topographic position, scaled and clipped to two standard deviations."""
    size = 2 * round(300.0 / pixel_m) + 1
    above = elevation - ndimage.uniform_filter(elevation, size)
    scaled = above / above[land].std()
    return np.asarray(np.clip(scaled, -2.0, 2.0), np.float32)
