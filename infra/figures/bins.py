"""In which classes each control indicator is counted, and what the paper says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Indicator:
    """How an indicator is counted and drawn."""

    name: str
    """Channel of the cube, or `aspect`."""
    title: str
    unit: str
    edges: Sequence[float]
    paper: tuple[float, float] | None = None
    """Range of the modes in the paper's Figure S3."""
    log: bool = False
    factor: float = 1.0
    """Turns the cube's unit into the one that is printed, in which edges are given."""


def _evenly(first: float, last: float, step: float) -> tuple[float, ...]:
    return tuple(round(first + step * n, 6) for n in range(round((last - first) / step) + 1))


ASPECT = Indicator("aspect", "Aspect", "compass sector", _evenly(-0.5, 7.5, 1))
INDICATORS = (
    Indicator("slope", "Slope", "degrees", _evenly(0, 75, 3), (18, 48)),
    Indicator("relief", "Relief in 2 km", "m", _evenly(0, 2200, 100), (400, 1200)),
    Indicator("pga", "Peak ground acceleration", "g", _evenly(0, 0.9, 0.025), (0.20, 0.45)),
    Indicator("pgv", "Peak ground velocity", "cm/s", _evenly(0, 110, 5), (40, 90)),
    Indicator("roughness", "Roughness (VRM)", "", tuple(10 ** (n / 4) for n in range(-18, -1)), log=True),
    Indicator("tpi", "Topographic position", "m", _evenly(-120, 120, 10)),
    Indicator("plan_curvature", "Plan curvature", "0.01 m⁻¹", _evenly(-1.5, 1.5, 0.1)),
    Indicator("profile_curvature", "Profile curvature", "0.01 m⁻¹", _evenly(-1.5, 1.5, 0.1)),
    ASPECT,
    Indicator("twi", "Topographic wetness", "", _evenly(2, 12, 0.5)),
    Indicator("river_distance", "Distance to river", "m", _evenly(0, 2000, 100)),
    Indicator("fault_distance", "Distance to fault", "km", _evenly(0, 90, 2), factor=1e-3),
)
