"""Areal coverage by landslides after Nowicki Jessee et al. 2018, as the USGS runs it.

DOI 10.1029/2017JF004494. Two things differ from that code on purpose: PGV is clipped, which it declares
and leaves out, and land cover may come as WorldCover classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from headscarp.core.gate import EventGate
from headscarp.core.normalisation import EventStatistics
from headscarp.core.predictor import Quantity
from headscarp.core.types import Raster, Stack

Floats = NDArray[np.floating]

LITHOLOGY_TERMS: Final[Mapping[int, float]] = MappingProxyType(
    {
        1: -1.36,  # su; -3.22 as published, replaced in operation
        2: -1.50,  # vb
        3: -1.92,  # ss
        4: -1.88,  # pb
        5: -1.36,  # sm
        6: -0.95,  # sc
        7: -1.54,  # va
        8: -1.87,  # mt
        9: -0.78,  # pa
        10: -0.81,  # vi; sources disagree, some have -1.61 here and -0.81 for pi
        11: 0.0,  # wb, reference
        12: -1.05,  # py
        13: -1.61,  # pi; see vi
        14: 0.0,  # ev, reference
        15: -0.66,  # nd
        16: 0.0,  # ig, reference
    }
)
"""By GLiM class, numbered su vb ss pb sm sc va mt pa vi wb py pi ev nd ig from 1."""
LITHOLOGY_UNKNOWN: Final = -0.66

GLOBCOVER_TERMS: Final[Mapping[int, float]] = MappingProxyType(
    {
        11: 0.0,
        14: 0.91,
        20: 0.88,
        30: 0.78,
        40: 0.68,
        50: 0.30,
        60: 1.77,
        70: 1.71,
        90: -1.26,
        100: 1.50,
        110: 0.68,
        120: 1.13,
        130: 0.79,
        140: 1.03,
        150: 0.54,
        160: 2.34,
        170: 1.19,
        180: 1.19,
        190: 0.30,
        200: -0.06,
        210: 0.0,
        220: -0.18,
        230: -1.08,
    }
)
"""By GlobCover 2009 class; 11 and 210 are reference classes, 170 is taken as 180, 230 is no data."""
LAND_COVER_UNKNOWN: Final = -1.08

WORLDCOVER_TO_GLOBCOVER: Final[Mapping[int, int]] = MappingProxyType(
    {
        10: 100,  # trees: mixed forest, the class between the extremes of GlobCover's six
        20: 130,  # shrubs
        30: 140,  # grass
        40: 14,  # crops: rainfed
        50: 190,  # built-up
        60: 200,  # bare or sparse
        70: 220,  # snow and ice
        80: 210,  # water
        90: 180,  # herbaceous wetland
        95: 170,  # mangroves
        100: 150,  # moss and lichen: sparse vegetation
    }
)
"""The nearest GlobCover class of each WorldCover class; ours, not part of the model."""

PGV_LIMITS: Final = (0.0, 211.0)
CTI_LIMITS: Final = (0.0, 19.0)
SLOPE_LIMITS: Final = (2.0, 90.0)
"""Degrees; cells at or below the first, or above the second, are 0."""
MODEL_STD: Final = 0.03
"""Standard deviation of the logit where no map of it is given."""
CTI_UNKNOWN: Final = 5.0
"""Stands in for a missing topographic index; each unit of error changes the odds by 3 %."""
_LEAST_PGV: Final = 1.0e-3


def coverage(
    slope: Floats, pgv: Floats, *, lithology_term: Floats | float, cti: Floats | float, land_cover_term: Floats | float
) -> Floats:
    """Fraction of each cell's area covered by landslides, 0 to 0.256.

    `slope` in degrees, `pgv` in cm/s, terms as coefficients; all broadcast. 0 where the slope is not in
    (2, 90]; NaN where any input is NaN.
    """
    chance = _chance(slope, pgv, lithology_term + 0.03 * np.clip(cti, *CTI_LIMITS) + land_cover_term)
    steep = (slope > SLOPE_LIMITS[0]) & (slope <= SLOPE_LIMITS[1])
    return np.where(steep | np.isnan(chance), _areal(chance), np.zeros((), chance.dtype))


def sigma(
    slope: Floats,
    pgv: Floats,
    *,
    lithology_term: Floats | float,
    cti: Floats | float,
    land_cover_term: Floats | float,
    pgv_ln_std: Floats | float,
    model_std: Floats | float = MODEL_STD,
) -> Floats:
    """Standard deviation of `coverage` from those of ln PGV and of the logit, to first order.

    As the USGS has it, flat cells are not set to 0 here. NaN where any input is NaN.
    """
    chance = _chance(slope, pgv, lithology_term + 0.03 * np.clip(cti, *CTI_LIMITS) + land_cover_term)
    logit_variance = ((1.65 + 0.01 * slope) * pgv_ln_std) ** 2 + np.square(model_std)
    chance_std = np.sqrt(logit_variance) * chance * (1.0 - chance)
    spread: Floats = np.abs(_areal(chance) * (5.237 - 6.084 * chance + 12.105 * chance**2)) * chance_std
    return spread


def _chance(slope: Floats, pgv: Floats, static: Floats | float) -> Floats:
    """The logistic part P of the model."""
    ln_pgv = np.log(np.maximum(np.clip(pgv, *PGV_LIMITS), _LEAST_PGV))
    x = -6.30 + 1.65 * ln_pgv + 0.06 * slope + 0.01 * ln_pgv * slope + static
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def _areal(chance: Floats) -> Floats:
    """Areal coverage of P."""
    areal: Floats = np.exp(-7.592 + 5.237 * chance - 3.042 * chance**2 + 4.035 * chance**3)
    return areal


def lithology_terms(codes: Floats) -> Raster:
    """Coefficient of each GLiM code 1-16; NaN, 0 and codes outside the legend count as no data."""
    return _looked_up(codes, LITHOLOGY_TERMS, LITHOLOGY_UNKNOWN)


def land_cover_terms(codes: Floats, legend: Literal["worldcover", "globcover"] = "worldcover") -> Raster:
    """Coefficient of each land-cover code; NaN, 0 and codes outside the legend count as no data."""
    if legend == "globcover":
        return _looked_up(codes, GLOBCOVER_TERMS, LAND_COVER_UNKNOWN)
    terms = {code: GLOBCOVER_TERMS[target] for code, target in WORLDCOVER_TO_GLOBCOVER.items()}
    return _looked_up(codes, terms, LAND_COVER_UNKNOWN)


def _looked_up(codes: Floats, terms: Mapping[int, float], unknown: float) -> Raster:
    table = np.full(256, unknown, np.float32)
    for code, term in terms.items():
        table[code] = term
    whole = np.nan_to_num(codes, nan=0.0, posinf=0.0, neginf=0.0)
    legal = (whole >= 0) & (whole <= 255) & (whole == np.floor(whole))
    return np.asarray(table[np.where(legal, whole, 0).astype(np.uint8)])


class NowickiJessee:
    """The USGS baseline as a `Predictor`: areal coverage from five channels, every pixel on its own.

    Unknown lithology and land cover take the model's no-data terms, a missing topographic index
    `CTI_UNKNOWN`; without slope or PGV there is no answer.
    """

    name = "nowicki_jessee_2018"
    version = "1"
    quantity: Quantity = "coverage"
    channels = ("slope", "pgv", "lithology", "twi", "land_cover")
    required = frozenset({"slope", "pgv"})
    ranked: tuple[str, ...] = ()
    plan = None
    gate_px = 0
    event_gates: Mapping[str, EventGate] = MappingProxyType({})

    def bound_to(self, _statistics: EventStatistics) -> Self:
        """Itself: it takes physical units as they are."""
        return self

    def gated(self, _windows: Iterable[Stack]) -> Self:
        """Itself: every pixel stands alone."""
        return self

    def predict(self, stack: Stack) -> Raster:
        """(5, y, x) in the order of `channels` to coverage (y, x); NaN where slope or PGV is.

        Raises:
            ValueError: the first axis is not as long as `channels`.
        """
        if stack.ndim != 3 or stack.shape[0] != len(self.channels):
            raise ValueError(f"{self.name}: expected ({len(self.channels)}, y, x), found {stack.shape}")
        slope, pgv, lithology, twi, land_cover = stack
        covered = coverage(
            slope,
            pgv,
            lithology_term=lithology_terms(lithology),
            cti=np.where(np.isnan(twi), np.float32(CTI_UNKNOWN), twi),
            land_cover_term=land_cover_terms(land_cover),
        )
        return covered.astype(np.float32)
