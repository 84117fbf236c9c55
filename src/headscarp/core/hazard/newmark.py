"""Infinite slopes under shaking: factor of safety, critical acceleration, Newmark displacement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headscarp.core.gate import EventGate
from headscarp.core.normalisation import EventStatistics
from headscarp.core.predictor import Quantity
from headscarp.core.types import Raster, Stack

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


STRENGTHS: Final[Mapping[int, tuple[float, float]]] = MappingProxyType(
    {
        1: (5.0, 30.0),  # su
        2: (15.0, 38.0),  # vb
        3: (11.0, 35.0),  # ss
        4: (20.0, 40.0),  # pb
        5: (9.0, 33.0),  # sm
        6: (15.0, 37.0),  # sc
        7: (15.0, 37.0),  # va
        8: (14.0, 36.0),  # mt
        9: (17.5, 38.0),  # pa
        10: (15.0, 37.0),  # vi
        12: (5.0, 33.0),  # py
        13: (19.0, 39.0),  # pi
        14: (7.5, 30.0),  # ev
    }
)
"""Cohesion (kPa) and friction angle (degrees) by GLiM class: an engineer's first guess, fitted to nothing."""
STRENGTH_UNKNOWN: Final = (10.0, 34.0)
STRENGTH_LN_STD: Final = 0.3
"""Scatter of strength within a class, in ln; medians alone would predict far too little area."""


_RESIDUALS: Final = (-1.593, -0.967, -0.589, -0.282, 0.0, 0.282, 0.589, 0.967, 1.593)
"""Standard normal values at the middle of nine equally likely classes."""


def strengths(codes: ArrayLike, unknown: tuple[float, float] = STRENGTH_UNKNOWN) -> tuple[Floats, Floats]:
    """Cohesion (kPa) and friction (degrees) of GLiM codes; others, NaN and 0 take `unknown`."""
    table = np.full((256, 2), unknown)
    for code, strength in STRENGTHS.items():
        table[code] = strength
    whole = np.nan_to_num(np.asarray(codes, float), nan=0.0, posinf=0.0, neginf=0.0)
    found = table[np.where((whole < 0) | (whole > 255), 0, whole).astype(np.uint8)]
    return found[..., 0], found[..., 1]


class NewmarkPredictor:
    """Share of each pixel that slides by dry Newmark blocks: the physical baseline, every pixel on its own.

    Strength is scattered around its class by `STRENGTH_LN_STD` and averaged over; shaking is taken as given.
    """

    name = "newmark"
    version = "1"
    quantity: Quantity = "coverage"
    channels = ("slope", "pga", "lithology")
    required = frozenset({"slope", "pga"})
    ranked: tuple[str, ...] = ()
    plan = None
    gate_px = 0
    event_gates: Mapping[str, EventGate] = MappingProxyType({})

    def __init__(self, unknown_strength: tuple[float, float] = STRENGTH_UNKNOWN) -> None:
        self._unknown = unknown_strength

    def bound_to(self, _statistics: EventStatistics) -> Self:
        """Itself: it takes physical units as they are."""
        return self

    def gated(self, _windows: Iterable[Stack]) -> Self:
        """Itself: every pixel stands alone."""
        return self

    def predict(self, stack: Stack) -> Raster:
        """(3, y, x) in the order of `channels` to the share (y, x); NaN where slope or PGA is.

        Raises:
            ValueError: the first axis is not as long as `channels`.
        """
        if stack.ndim != 3 or stack.shape[0] != len(self.channels):
            raise ValueError(f"{self.name}: expected ({len(self.channels)}, y, x), found {stack.shape}")
        slope, pga, lithology = stack
        cohesion, friction = strengths(lithology, self._unknown)
        safety = factor_of_safety(slope, cohesion, friction=friction)
        share = np.zeros(slope.shape)
        for residual in _RESIDUALS:
            critical = critical_acceleration(slope, safety * np.exp(STRENGTH_LN_STD * residual))
            ratio = critical / np.maximum(pga, np.float32(1.0e-6))
            share += failure_probability(displacement_eq6(ratio)) / len(_RESIDUALS)
        return share.astype(np.float32)
