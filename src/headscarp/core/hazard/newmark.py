"""Infinite slopes under shaking: factor of safety, critical acceleration, Newmark displacement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]

WATER_KN_M3 = 9.81
EQ6_LOG10_STD = 0.510
EQ7_LOG10_STD = 0.454
FAILED_FRACTION: Final = 0.335
"""Largest share of cells that slide, however far they move (Jibson et al. 2000)."""


@dataclass(frozen=True, slots=True)
class SlopeMaterial:
    """The sliding layer; defaults as in USGS's run of Godt et al. 2008."""

    thickness_m: float = 2.4
    weight_kn_m3: float = 15.7
    """Unit weight."""
    safety_floor: float = 1.01
    """Factor of safety of slopes that would not stand: they do stand."""
    acceleration_floor_g: float = 0.05


GODT_2008 = SlopeMaterial()


def factor_of_safety(
    slope: ArrayLike,
    cohesion: ArrayLike,
    *,
    friction: ArrayLike,
    saturated: ArrayLike = 0.0,
    material: SlopeMaterial = GODT_2008,
) -> Floats:
    """Static factor of safety of an infinite slope, Jibson et al. 2000, DOI 10.1016/S0013-7952(00)00039-9.

    `slope` and `friction` in degrees, `cohesion` in kPa, `saturated` the saturated share of the layer (0..1);
    all broadcast. Infinite where the slope is 0; NaN passes through.
    """
    alpha = np.radians(np.asarray(slope, float))
    tan_phi = np.tan(np.radians(np.asarray(friction, float)))
    weight = material.weight_kn_m3
    with np.errstate(divide="ignore"):
        held = np.asarray(cohesion, float) / (weight * material.thickness_m * np.sin(alpha))
        rubbed = tan_phi / np.tan(alpha) * (1.0 - np.asarray(saturated, float) * WATER_KN_M3 / weight)
    safety: Floats = held + rubbed
    return np.where(alpha == 0.0, np.inf, safety)


def critical_acceleration(slope: ArrayLike, safety: ArrayLike, *, material: SlopeMaterial = GODT_2008) -> Floats:
    """Acceleration in g that starts sliding: (FS - 1) sin(slope), with the floors of `material`.

    `slope` in degrees. Infinite where `safety` is; NaN passes through.
    """
    held = np.maximum(np.asarray(safety, float), material.safety_floor) - 1.0
    sine = np.sin(np.radians(np.asarray(slope, float)))
    acceleration = np.where(np.isinf(held), np.inf, np.where(np.isinf(held), 1.0, held) * sine)
    return np.maximum(acceleration, material.acceleration_floor_g)


def displacement_eq6(ratio: ArrayLike) -> Floats:
    """Newmark displacement in cm from critical over peak acceleration, Jibson 2007 equation 6.

    DOI 10.1016/j.enggeo.2007.01.013; scatter `EQ6_LOG10_STD` in log10. 0 where the ratio is 1 or more.
    """
    return _displacement(ratio, constant=0.215, excess=2.341, decay=-1.438)


def displacement_eq7(ratio: ArrayLike, magnitude: float) -> Floats:
    """As `displacement_eq6` with the quake's magnitude (5.3-7.6), Jibson 2007 equation 7.

    DOI 10.1016/j.enggeo.2007.01.013; scatter `EQ7_LOG10_STD` in log10.
    """
    return _displacement(ratio, constant=-2.710 + 0.424 * magnitude, excess=2.335, decay=-1.478)


def _displacement(ratio: ArrayLike, *, constant: float, excess: float, decay: float) -> Floats:
    """10^constant (1 - r)^excess r^decay with r > 0; 0 from r = 1 on, NaN where r is."""
    r = np.asarray(ratio, float)
    moving = np.clip(r, 1.0e-6, 1.0)
    distance: Floats = 10.0**constant * (1.0 - moving) ** excess * moving**decay
    return distance


def failure_probability(displacement: ArrayLike) -> Floats:
    """Share of cells that slide after moving `displacement` cm, Jibson et al. 2000.

    DOI 10.1016/S0013-7952(00)00039-9, fitted to Northridge 1994. Between 0 and `FAILED_FRACTION`.
    """
    share: Floats = -FAILED_FRACTION * np.expm1(-0.048 * np.asarray(displacement, float) ** 1.565)
    return share
