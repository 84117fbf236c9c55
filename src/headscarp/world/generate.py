"""Make a world: everything drawn from one seed, everything known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from headscarp.core.event import Event, Shaking
from headscarp.core.grid import PIXEL_M, Bounds, snapped_grid, utm_crs
from headscarp.core.hazard.groundmotion import PlanarRupture
from headscarp.core.types import Codes, Mask, Raster
from headscarp.world.cover import Cover, make_cover, wetness
from headscarp.world.landslides import Hillslopes, make_hillslopes
from headscarp.world.quake import make_quake, on_grid_ln
from headscarp.world.settings import CORVANE, WorldSettings
from headscarp.world.terrain import Terrain, make_terrain

SUBJECTS: Final = ("terrain", "cover", "quake", "slides", "gaps")
"""Each has random numbers of its own, so that a change to one leaves the others as they were."""


@dataclass(frozen=True, slots=True)
class World:
    """A fictive place, its quake, the maps anyone could have of it, and the truth behind them.

    Rasters are (y, x) on `grid`. Maps: `elevation` to `shaking`; truth: `probability` onwards.
    """

    seed: int
    settings: WorldSettings
    event: Event
    grid: GeoBox
    elevation: Raster
    """Metres; the sea floor is negative, NaN in the void of the survey."""
    land: Mask
    lithology: Codes
    """GLiM classes 1-16; 0 at sea and on the unmapped sheet."""
    soil: Codes
    """WRB reference groups 1-30; 0 at sea."""
    land_cover: Codes
    """WorldCover classes."""
    ndvi: Raster
    """NaN at sea and under the cloud."""
    faults: tuple[NDArray[np.float64], ...]
    """(n, 2) polylines of x, y in the CRS of `grid`."""
    shaking: Shaking
    """Final ShakeMap; geographic, every arc minute."""
    shaking_early: Shaking
    """First ShakeMap: biased, larger sigma."""
    rupture: PlanarRupture
    hillslopes: Hillslopes
    """What the maps imply about stability, complete where maps have gaps."""
    probability: Raster
    """True probability of each pixel to slide; 0 at sea."""
    landslides: Mask

    @property
    def prevalence(self) -> float:
        """Share of land that slid."""
        return float(self.landslides[self.land].mean())


def make_world(
    seed: int, *, settings: WorldSettings = CORVANE, shape: tuple[int, int] = (512, 512), pixel_m: float = PIXEL_M
) -> World:
    """Draw the world of `seed`; equal arguments give equal arrays.

    `shape` is (y, x) in pixels, at least 64 each way. About 3 s for 512 x 512 on one core.

    Raises:
        ValueError: `shape` is too small for valleys to form.
    """
    if min(shape) < 64:
        raise ValueError(f"a world needs at least 64 x 64 pixels, not {shape[0]} x {shape[1]}")
    rng = {name: np.random.default_rng([seed, number, *settings.code.encode()]) for number, name in enumerate(SUBJECTS)}
    grid = _grid(settings, shape, pixel_m)
    terrain = make_terrain(settings, shape, pixel_m, rng["terrain"])
    cover = make_cover(settings, terrain, pixel_m, rng["cover"])
    quake = make_quake(settings, seed, grid, terrain.elevation, rng["quake"])
    hillslopes = make_hillslopes(
        settings,
        terrain,
        land_cover=cover.land_cover,
        wetness=wetness(terrain, pixel_m),
        ln_pga=on_grid_ln(quake.shaking.pga, quake.shaking.grid, grid),
        magnitude=quake.event.magnitude,
        pixel_m=pixel_m,
    )
    probability, slides = hillslopes.redraw(rng["slides"])
    maps = _with_gaps(terrain, cover, rng["gaps"]) if settings.gaps else _Maps(terrain, cover)
    return World(
        seed=seed,
        settings=settings,
        event=quake.event,
        grid=grid,
        elevation=maps.terrain.elevation,
        land=terrain.land,
        lithology=maps.terrain.lithology,
        soil=maps.cover.soil,
        land_cover=maps.cover.land_cover,
        ndvi=maps.cover.ndvi,
        faults=quake.faults,
        shaking=quake.shaking,
        shaking_early=quake.shaking_early,
        rupture=quake.rupture,
        hillslopes=hillslopes,
        probability=hillslopes.on_grid(probability),
        landslides=hillslopes.on_grid(slides).astype(bool),
    )


@dataclass(frozen=True, slots=True)
class _Maps:
    terrain: Terrain
    cover: Cover


def _grid(settings: WorldSettings, shape: tuple[int, int], pixel_m: float) -> GeoBox:
    """The region's grid, centred on its place."""
    crs = utm_crs(settings.longitude, settings.latitude)
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(settings.longitude, settings.latitude)
    west = round((x - shape[1] * pixel_m / 2.0) / pixel_m) * pixel_m
    south = round((y - shape[0] * pixel_m / 2.0) / pixel_m) * pixel_m
    bounds = Bounds(west, south, west + shape[1] * pixel_m, south + shape[0] * pixel_m)
    return snapped_grid(bounds, crs, pixel_m=pixel_m)


def _with_gaps(terrain: Terrain, cover: Cover, rng: np.random.Generator) -> _Maps:
    """Cut a void into the DEM, an unmapped sheet into the geology, a cloud into the scenes."""
    elevation, lithology, ndvi = terrain.elevation.copy(), terrain.lithology.copy(), cover.ndvi.copy()
    elevation[_patch(terrain.land, 0.03, rng)] = np.nan
    lithology[_patch(terrain.land, 0.10, rng)] = 0
    ndvi[_patch(terrain.land, 0.15, rng)] = np.nan
    return _Maps(replace(terrain, elevation=elevation, lithology=lithology), cover._replace(ndvi=ndvi))


def _patch(land: Mask, fraction: float, rng: np.random.Generator) -> Mask:
    """An ellipse whose axes are `fraction` of the raster's sides, centred on land."""
    rows, cols = np.nonzero(land)
    pick = int(rng.integers(rows.size))
    y, x = np.ogrid[: land.shape[0], : land.shape[1]]
    reach = (y - rows[pick]) ** 2 / (0.5 * fraction * land.shape[0]) ** 2
    reach = reach + (x - cols[pick]) ** 2 / (0.5 * fraction * land.shape[1]) ** 2
    return np.asarray(reach <= 1.0)
