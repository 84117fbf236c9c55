"""From shaking to landslides: the true probability of every pixel, and slides drawn from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import special

from headscarp.core.hazard.groundmotion import JAYARAM_BAKER_RANGE_M, CorrelatedField
from headscarp.core.hazard.newmark import (
    critical_acceleration,
    displacement_eq7,
    factor_of_safety,
    failure_probability,
)
from headscarp.core.types import Codes, Mask, Raster
from headscarp.world.cover import TREES
from headscarp.world.settings import ALLUVIUM, WorldSettings
from headscarp.world.terrain import Terrain

Floats = NDArray[np.float64]

ROOT_COHESION_KPA = 3.0
"""What trees add."""
LARGEST_MAGNITUDE = 7.6
"""Largest for which the displacement formula was fitted."""
NODES = 64
"""Equally likely values a normal residual is replaced with in integrals."""


@dataclass(frozen=True)
class Hillslopes:
    """All that observable maps say about stability on land pixels, as vectors (n,).

    Not observable: ln strength with `strength_std` and ln PGA with `within_std` around these medians.
    """

    land: Mask
    """(y, x); vectors follow its true pixels in row-major order."""
    slope: Floats
    safety: Floats
    """Median static factor of safety; strength scales it as a whole."""
    ln_pga: Floats
    """Median of ln PGA in g, ridges included."""
    magnitude: float
    strength_std: float
    strength_range_px: float
    slide_range_px: float
    shaking_range_px: float
    within_std: float

    def probability(self, ln_strength: Floats | float = 0.0, ln_residual: Floats | float = 0.0) -> Floats:
        """Chance of failing (n,) given both residuals; with neither it is the plug-in of medians."""
        return self._failing(self.critical_ln(ln_strength) - self.ln_pga - ln_residual)

    def critical_ln(self, ln_strength: Floats | float) -> Floats:
        """Logarithm of critical acceleration in g (n,)."""
        ln: Floats = np.log(critical_acceleration(self.slope, self.safety * np.exp(ln_strength)))
        return ln

    def _failing(self, ln_ratio: Floats) -> Floats:
        moved = displacement_eq7(np.exp(ln_ratio), min(self.magnitude, LARGEST_MAGNITUDE))
        return np.asarray(failure_probability(moved), float)

    def expected_probability(self, *, strength: bool = True, shaking: bool = True) -> Floats:
        """E[P | maps] (n,): the residuals named are integrated out, the others kept at their median.

        Spatial correlation does not enter: the expectation of a pixel needs its marginals only.
        """
        ratios, failing = self._shaken if shaking else self._unshaken
        residuals = self.strength_std * _equally_likely(NODES) if strength else np.zeros(1)
        total = np.zeros_like(self.slope)
        for residual in residuals:
            total += np.interp(self.critical_ln(float(residual)) - self.ln_pga, ratios, failing)
        return total / residuals.size

    @cached_property
    def _unshaken(self) -> tuple[Floats, Floats]:
        """Chance of failing over a fine table of ln(critical / median acceleration)."""
        ratios = np.linspace(-6.0, 4.0, 4001)
        return ratios, self._failing(ratios)

    @cached_property
    def _shaken(self) -> tuple[Floats, Floats]:
        """The same table averaged over the within-event residual."""
        ratios = self._unshaken[0]
        residuals = self.within_std * _equally_likely(4 * NODES)
        return ratios, np.mean([self._failing(ratios - r) for r in residuals], axis=0)

    def redraw(self, rng: np.random.Generator) -> tuple[Floats, NDArray[np.bool_]]:
        """New unseen fields: true probability (n,) and slides (n,), as nature might have drawn them."""
        strength = self.strength_std * self._strength_field.draw(rng)[self.land].astype(float)
        shaking = self.within_std * self._shaking_field.draw(rng)[self.land].astype(float)
        probability = self.probability(strength, shaking)
        threshold = special.ndtr(self._slide_field.draw(rng)[self.land].astype(float))
        return probability, np.asarray(threshold < probability)

    @property
    def _shape(self) -> tuple[int, int]:
        return int(self.land.shape[0]), int(self.land.shape[1])

    @cached_property
    def _strength_field(self) -> CorrelatedField:
        return CorrelatedField(self._shape, self.strength_range_px)

    @cached_property
    def _shaking_field(self) -> CorrelatedField:
        return CorrelatedField(self._shape, self.shaking_range_px)

    @cached_property
    def _slide_field(self) -> CorrelatedField:
        return CorrelatedField(self._shape, self.slide_range_px, "gaussian")

    def on_grid(self, values: NDArray[np.generic]) -> Raster:
        """A vector (n,) as raster (y, x), 0 off land."""
        raster = np.zeros(self.land.shape, np.float32)
        raster[self.land] = values
        return raster


def make_hillslopes(
    settings: WorldSettings,
    terrain: Terrain,
    *,
    land_cover: Codes,
    wetness: Raster,
    ln_pga: Floats,
    magnitude: float,
    pixel_m: float,
) -> Hillslopes:
    """Put strength, water and shaking of a world together; `ln_pga` (y, x) is the final ShakeMap's median."""
    land = terrain.land
    cohesion, friction = _strength(settings, terrain.lithology[land])
    saturated = 0.7 * np.clip((wetness[land].astype(float) - 5.0) / 7.0, 0.0, 1.0)
    rooted = cohesion + ROOT_COHESION_KPA * (land_cover[land] == TREES)
    slope = terrain.slope[land].astype(float)
    return Hillslopes(
        land=land,
        slope=slope,
        safety=np.asarray(factor_of_safety(slope, rooted, friction=friction, saturated=saturated), float),
        ln_pga=ln_pga[land] + settings.ridge_amplification * terrain.position[land],
        magnitude=magnitude,
        strength_std=settings.strength_std,
        strength_range_px=settings.strength_range_m / pixel_m,
        slide_range_px=settings.slide_range_m / pixel_m,
        within_std=settings.shaking_std,
        shaking_range_px=JAYARAM_BAKER_RANGE_M / pixel_m,
    )


def _strength(settings: WorldSettings, lithology: Codes) -> tuple[Floats, Floats]:
    """Median cohesion (kPa) and friction (degrees) of each pixel's rock."""
    cohesion, friction = np.full(256, np.nan), np.full(256, np.nan)
    for rock in (*settings.rocks, ALLUVIUM):
        cohesion[rock.code], friction[rock.code] = rock.cohesion, rock.friction
    return cohesion[lithology], friction[lithology]


def _equally_likely(count: int) -> Floats:
    """Standard normal values at the middle of `count` equally likely classes, scaled to variance 1."""
    values = special.ndtri((np.arange(count) + 0.5) / count)
    return np.asarray(values / values.std(), float)
