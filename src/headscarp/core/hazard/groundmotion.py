"""Ground motion of a hypothetical quake: medians, distances, site term, spatially correlated residuals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from headscarp.core.types import Raster

Mechanism = Literal["unspecified", "strike-slip", "normal", "reverse"]
Correlation = Literal["exponential", "gaussian"]
Floats = NDArray[np.float64]

REFERENCE_VS30 = 760.0
JAYARAM_BAKER_RANGE_M = 8_500.0
"""Range of PGA residuals where Vs30 does not cluster (DOI 10.1002/eqe.922)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BooreAtkinson2008:
    """Coefficients of one intensity measure; ln of g (PGA) or of cm/s (PGV). DOI 10.1193/1.2830434."""

    source: dict[Mechanism, float]
    linear: float
    quadratic: float
    above_hinge: float
    hinge: float
    decay: float
    decay_magnitude: float
    anelastic: float
    pseudo_depth_km: float
    site: float
    site_soft: float
    site_firm: float
    within_std: float
    """Standard deviation of ln Y within one quake (phi)."""
    between_std: float
    """Standard deviation of ln Y between quakes (tau)."""


BA08_PGA = BooreAtkinson2008(
    source={"unspecified": -0.53804, "strike-slip": -0.50350, "normal": -0.75472, "reverse": -0.50970},
    linear=0.28805,
    quadratic=-0.10164,
    above_hinge=0.0,
    hinge=6.75,
    decay=-0.66050,
    decay_magnitude=0.11970,
    anelastic=-0.01151,
    pseudo_depth_km=1.35,
    site=-0.360,
    site_soft=-0.640,
    site_firm=-0.14,
    within_std=0.502,
    between_std=0.260,
)
BA08_PGV = BooreAtkinson2008(
    source={"unspecified": 5.00121, "strike-slip": 5.04727, "normal": 4.63188, "reverse": 5.08210},
    linear=0.18322,
    quadratic=-0.12736,
    above_hinge=0.0,
    hinge=8.5,
    decay=-0.87370,
    decay_magnitude=0.10060,
    anelastic=-0.00334,
    pseudo_depth_km=2.54,
    site=-0.600,
    site_soft=-0.500,
    site_firm=-0.06,
    within_std=0.500,
    between_std=0.256,
)


def median_ln(
    measure: BooreAtkinson2008,
    magnitude: float,
    *,
    rjb_km: ArrayLike,
    vs30: ArrayLike,
    mechanism: Mechanism = "unspecified",
) -> Floats:
    """Median of ln PGA (g) or ln PGV (cm/s) by Boore and Atkinson 2008, DOI 10.1193/1.2830434.

    `rjb_km` and `vs30` (m/s) broadcast; NaN passes through. Made for M 5-8, Rjb < 200 km, Vs30 180-1300 m/s.
    """
    rock = _rock_ln(measure, magnitude, np.asarray(rjb_km, float), mechanism)
    rock_pga = np.exp(_rock_ln(BA08_PGA, magnitude, np.asarray(rjb_km, float), mechanism))
    return rock + _site_ln(measure, rock_pga, np.asarray(vs30, float))


def _rock_ln(measure: BooreAtkinson2008, magnitude: float, rjb_km: Floats, mechanism: Mechanism) -> Floats:
    """Magnitude and distance terms: the median at Vs30 760 m/s (equations 2-5)."""
    above = magnitude - measure.hinge
    scaling = measure.linear * above + measure.quadratic * above**2 if above <= 0 else measure.above_hinge * above
    distance = np.hypot(rjb_km, measure.pseudo_depth_km)
    spreading = (measure.decay + measure.decay_magnitude * (magnitude - 4.5)) * np.log(distance)
    rock: Floats = measure.source[mechanism] + scaling + spreading + measure.anelastic * (distance - 1.0)
    return rock


def _site_ln(measure: BooreAtkinson2008, rock_pga: Floats, vs30: Floats) -> Floats:
    """Linear and non-linear site terms (equations 6-13)."""
    slope = _nonlinear_slope(measure, vs30)
    low, high, floor = 0.03, 0.09, 0.06
    dx = math.log(high / low)
    dy = slope * math.log(high / floor)
    c = (3.0 * dy - slope * dx) / dx**2
    d = -(2.0 * dy - slope * dx) / dx**3
    x = np.log(np.clip(rock_pga, low, high) / low)
    weak = slope * math.log(floor / 0.1) + c * x**2 + d * x**3
    nonlinear = np.where(rock_pga > high, slope * np.log(rock_pga / 0.1), weak)
    site: Floats = measure.site * np.log(vs30 / REFERENCE_VS30) + nonlinear
    return site


def _nonlinear_slope(measure: BooreAtkinson2008, vs30: Floats) -> Floats:
    """Slope of the non-linear site term: `site_soft` to 180 m/s, `site_firm` at 300, 0 from 760 m/s on."""
    knots = np.log([180.0, 300.0, REFERENCE_VS30])
    values = [measure.site_soft, measure.site_firm, 0.0]
    slope: Floats = np.interp(np.log(vs30), knots, values)
    return slope


@dataclass(frozen=True, slots=True)
class PlanarRupture:
    """A rectangular rupture in a metric projection; dips to the right of its strike."""

    x: float
    """Easting in metres of the start of the upper edge; strike points from here along the rupture."""
    y: float
    strike: float
    """Degrees clockwise from grid north."""
    dip: float
    """Degrees below horizontal, 90 is vertical."""
    length_m: float
    width_m: float
    """Down-dip width in metres."""
    top_m: float = 0.0
    """Depth of the upper edge in metres."""

    def along(self, fraction: float) -> tuple[float, float]:
        """Easting, northing of a point of the upper edge, 0 at its start and 1 at its end."""
        azimuth = math.radians(self.strike)
        reach = fraction * self.length_m
        return self.x + reach * math.sin(azimuth), self.y + reach * math.cos(azimuth)

    def rjb_km(self, x: ArrayLike, y: ArrayLike) -> Floats:
        """Joyner-Boore distance: km from each point to the surface projection, 0 above the rupture."""
        azimuth = math.radians(self.strike)
        east, north = np.asarray(x, float) - self.x, np.asarray(y, float) - self.y
        forward = east * math.sin(azimuth) + north * math.cos(azimuth)
        right = east * math.cos(azimuth) - north * math.sin(azimuth)
        breadth = self.width_m * math.cos(math.radians(self.dip))
        beyond = np.maximum(np.maximum(-forward, forward - self.length_m), 0.0)
        aside = np.maximum(np.maximum(-right, right - breadth), 0.0)
        distance: Floats = np.hypot(beyond, aside) / 1000.0
        return distance


def rupture_size_m(magnitude: float) -> tuple[float, float]:
    """Length and down-dip width in metres of a strike-slip rupture, Wells and Coppersmith 1994.

    Surface rupture length, 10^(-3.55 + 0.74 M) km, and rupture width, 10^(-0.76 + 0.27 M) km.
    """
    return 1000.0 * 10.0 ** (-3.55 + 0.74 * magnitude), 1000.0 * 10.0 ** (-0.76 + 0.27 * magnitude)


def vs30_from_gradient(gradient: ArrayLike) -> Floats:
    """Vs30 (m/s) from topographic gradient (m/m), active regions, DOI 10.1785/0120060267.

    The published bins are joined by straight lines in logarithms; 180 m/s at 1e-4 and below, 900 m/s
    from 0.25 on. NaN passes through. Made for gradients at about 1 km, not at 30 m.
    """
    gradients = np.log([1.0e-4, 2.2e-3, 6.3e-3, 0.018, 0.050, 0.10, 0.138, 0.25])
    speeds = np.log([180.0, 240.0, 300.0, 360.0, 490.0, 620.0, 760.0, 900.0])
    return np.asarray(np.exp(np.interp(np.log(np.maximum(gradient, 1.0e-6)), gradients, speeds)), float)


@dataclass(frozen=True)
class CorrelatedField:
    """Standard normal fields whose neighbours agree; every pixel has mean 0 and variance exactly 1.

    Exponential: correlation exp(-3h/range) (Jayaram and Baker 2009, DOI 10.1002/eqe.922).
    Gaussian: exp(-3(h/range)^2), smooth. Drawn by circulant embedding, so cost is one pair of FFTs.
    """

    shape: tuple[int, int]
    """(y, x)."""
    range_px: float
    """Distance in pixels at which correlation has fallen to 0.05."""
    correlation: Correlation = "exponential"

    @cached_property
    def _amplitude(self) -> NDArray[np.float32]:
        """Square root of the spectrum on a torus large enough that opposite edges do not meet."""
        rows, cols = (fft.next_fast_len(n + math.ceil(self.range_px), real=True) for n in self.shape)
        dy = np.minimum(np.arange(rows), rows - np.arange(rows))[:, None]
        dx = np.minimum(np.arange(cols), cols - np.arange(cols))[None, :]
        lag = np.hypot(dy, dx) / self.range_px
        correlation = np.exp(-3.0 * (lag if self.correlation == "exponential" else lag**2))
        spectrum = np.maximum(fft.rfft2(correlation).real, 0.0)
        spectrum /= fft.irfft2(spectrum, s=(rows, cols))[0, 0]
        return np.asarray(np.sqrt(spectrum), np.float32)

    def draw(self, rng: np.random.Generator) -> Raster:
        """One field (y, x)."""
        amplitude = self._amplitude
        rows = amplitude.shape[0]
        cols = self._columns
        white = rng.standard_normal((rows, cols), dtype=np.float32)
        field = fft.irfft2(fft.rfft2(white) * amplitude, s=(rows, cols))
        return np.ascontiguousarray(field[: self.shape[0], : self.shape[1]], np.float32)

    @property
    def _columns(self) -> int:
        return int(fft.next_fast_len(self.shape[1] + math.ceil(self.range_px), real=True))
