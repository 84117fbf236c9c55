"""Which seismic belt and which climate a place is in, and hence which model predicts there.

The paper (doi:10.1093/nsr/nwaf179) parts the world into the Circum-Pacific and the Alpine-Himalayan
belt, each by climate: equatorial (Koeppen A), temperate (C, and arid B), cold (D, and polar E).
Elsewhere, and where the paper found too few events, the global model predicts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from scipy.special import expit, logit

from headscarp.core.belts import FULL_TURN, Belts, distances_to_arcs_km, unit_vectors
from headscarp.core.event import Shaking
from headscarp.core.types import Attributes, Raster

BELT_REACH_KM = 500.0
"""Beyond this from its boundaries and orogens a place is in no belt."""
BELT_TIE_KM = 100.0
"""Two belts within reach whose distances differ by less are both considered."""
COLD_MAJORITY = 2.0 / 3.0
"""Share of the land from which it counts as cold. Climate maps let cold begin at -3 or at 0 degrees in the coldest
month, which is 500 m of relief; the paper's is of the first kind, and land around Luding that a map of that kind has
64 to 74 % temperate is 36 % temperate on the half-minute map used here. At a half, Luding, Wenchuan, Kashmir and Friuli
would come out cold against the paper; the events it calls cold all hold more than this, Gorkha apart, whose slides
lie on temperate ground."""
CLEAR_SHARE = 0.75
"""A climate that holds less of the land than this is ambiguous: another map may well turn it."""
STRONG_SHAKING_G = (0.12, 0.05, 0.02)
"""The land whose climate counts: shaken this hard; the next level where the one before holds no land."""
BOX_DEGREES = (0.5, 1.0, 2.0, 4.0)
"""Side of the box around the epicentre before there is a ShakeMap; the next one where there is no land."""
BOX_STEP_DEGREES = 1.0 / 120.0
GLOBAL_MODEL = "global"
CLIMATES = {"Eq": (1,), "Te": (2, 3), "Co": (4, 5)}
"""Main Koeppen classes A to E as 1 to 5; 0 is no land."""
SAME_EVENT_KM = 100.0
TINY = 1e-6
"""Scores are kept this far from 0 and 1 before their log-odds are averaged."""

Values: TypeAlias = NDArray[np.float64]
ClimateLookup: TypeAlias = Callable[[Values, Values], NDArray[np.uint8]]
"""(longitudes, latitudes), flat and in degrees, to main Koeppen classes, 0 at sea."""


@dataclass(frozen=True, slots=True)
class Climate:
    """What the land that counts is like."""

    shares: Mapping[str, float]
    """Of Eq, Te and Co, by area."""
    land: str
    """Which land was looked at."""

    @property
    def main(self) -> str:
        """Cold where two thirds of the land are, else the more frequent of the others."""
        if self.shares["Co"] >= COLD_MAJORITY:
            return "Co"
        return max(("Eq", "Te"), key=lambda name: self.shares[name])


@dataclass(frozen=True, slots=True)
class Case:
    """An event whose region someone has assigned."""

    name: str
    day: date
    """UTC."""
    longitude: float
    latitude: float
    region: str


@dataclass(frozen=True, slots=True)
class Region:
    """Where a place belongs, which models predict there, and how that was decided."""

    code: str | None
    """Climate and belt, such as `TeAH`; None in no belt, or where there is no land."""
    weights: Mapping[str, float]
    """Weight of each model in the logit average; they sum to 1."""
    flags: tuple[str, ...]
    """`outside_belts`, `no_land`, `region_ambiguous`, `global_model`, `region_override`."""
    distances_km: Mapping[str, float]
    climate: Climate | None

    @property
    def ambiguous(self) -> bool:
        """Whether more than one region is meant."""
        return "region_ambiguous" in self.flags

    def to_json(self) -> Attributes:
        """As plain data."""
        return asdict(self) | {"distances_km": {name: round(d, 1) for name, d in self.distances_km.items()}}


def region_at(
    longitude: float,
    latitude: float,
    *,
    belts: Belts,
    climate: ClimateLookup,
    regional_models: Collection[str],
    shaking: Shaking | None = None,
    override: str | None = None,
) -> Region:
    """The region of an epicentre: by the land it shook, or by the land around it before a ShakeMap is there.

    Args:
        longitude: Of the epicentre, degrees; any turn.
        latitude: Degrees.
        belts: Geometry of the belts.
        climate: Koeppen's main class of any place.
        regional_models: Codes of the regions that have a model of their own.
        shaking: The ShakeMap, if there is one.
        override: A code that someone has decided on; what the rule found is kept beside it.

    Raises:
        ValueError: the latitude is none, or the override is no climate and belt.
    """
    if not (-90.0 <= latitude <= 90.0 and np.isfinite(longitude)):
        raise ValueError(f"expected a longitude and a latitude, got {longitude} and {latitude}")
    found = None if shaking is None else climate_of_shaking(shaking, climate)
    return decide(
        belts.distances_km(longitude, latitude),
        found or climate_around(longitude, latitude, climate),
        regional_models=regional_models,
        override=override,
    )


def decide(
    distances_km: Mapping[str, float],
    climate: Climate | None,
    *,
    regional_models: Collection[str],
    override: str | None = None,
) -> Region:
    """The region of a place from its distances to the belts and the climate of its land.

    The nearest belt within 500 km, and the main climate. Where another belt is nearly as near or
    the main climate has no clear majority, the models of all candidates are averaged, by their
    share of the land.

    Raises:
        ValueError: the override is no climate and belt.
    """
    if override is not None:
        if override not in {c + b for c in CLIMATES for b in distances_km}:
            raise ValueError(f"expected a region of {sorted(CLIMATES)} and {sorted(distances_km)}, got {override!r}")
        return _region(override, {override: 1.0}, ("region_override",), distances_km, climate, regional_models)
    near = sorted((d, name) for name, d in distances_km.items() if d <= BELT_REACH_KM)
    if not near or climate is None:
        reasons = ("outside_belts",) * (not near) + ("no_land",) * (climate is None)
        return _region(None, {"": 1.0}, reasons, distances_km, climate, regional_models)
    tied = [name for d, name in near if d - near[0][0] <= BELT_TIE_KM]
    code = climate.main + tied[0]
    if len(tied) == 1 and climate.shares[climate.main] >= CLEAR_SHARE:
        return _region(code, {code: 1.0}, (), distances_km, climate, regional_models)
    candidates = {c + belt: share / len(tied) for belt in tied for c, share in climate.shares.items() if share > 0}
    return _region(code, candidates, ("region_ambiguous",), distances_km, climate, regional_models)


def _region(
    code: str | None,
    candidates: Mapping[str, float],
    flags: tuple[str, ...],
    distances_km: Mapping[str, float],
    climate: Climate | None,
    regional_models: Collection[str],
) -> Region:
    """Give each candidate's weight to its model."""
    weights: dict[str, float] = {}
    for candidate, weight in candidates.items():
        model = candidate if candidate in regional_models else GLOBAL_MODEL
        weights[model] = weights.get(model, 0.0) + weight
    if GLOBAL_MODEL in weights:
        flags = (*flags, "global_model")
    return Region(code, weights, flags, dict(distances_km), climate)


def climate_of_shaking(shaking: Shaking, climate: ClimateLookup) -> Climate | None:
    """Climate of the land with PGA of 0.12 g and more, of less where no such land is; None where all is sea."""
    longitudes, latitudes = _coordinates(shaking)
    pga = shaking.pga.ravel()
    felt = np.flatnonzero(pga >= STRONG_SHAKING_G[-1])
    codes = climate(longitudes[felt], latitudes[felt])
    for level in STRONG_SHAKING_G:
        strong = pga[felt] >= level
        shares = _shares(codes[strong], latitudes[felt][strong])
        if shares is not None:
            return Climate(shares, f"land with PGA of {level:g} g or more")
    return None


def climate_around(longitude: float, latitude: float, climate: ClimateLookup) -> Climate | None:
    """Climate of the land in a box of 0.5 degrees, in a larger one where that is sea; None where 4 degrees are."""
    for side in BOX_DEGREES:
        steps = round(side / BOX_STEP_DEGREES)
        offsets = (np.arange(steps) + 0.5) * BOX_STEP_DEGREES - side / 2.0
        lats = latitude + offsets
        lon, lat = np.meshgrid(longitude + offsets, lats[np.abs(lats) <= 90.0])
        shares = _shares(climate(lon.ravel(), lat.ravel()), lat.ravel())
        if shares is not None:
            return Climate(shares, f"land in a box of {side:g} degrees around the epicentre")
    return None


def _shares(codes: NDArray[np.uint8], latitudes: Values) -> dict[str, float] | None:
    """Share of each climate in the land, by area; None without land."""
    area = np.cos(np.radians(latitudes))
    sums = {name: float(area[np.isin(codes, of)].sum()) for name, of in CLIMATES.items()}
    total = sum(sums.values())
    return {name: value / total for name, value in sums.items()} if total > 0 else None


def _coordinates(shaking: Shaking) -> tuple[Values, Values]:
    """Longitudes and latitudes of a ShakeMap's pixel centres, flat."""
    grid = shaking.grid
    rows, columns = np.mgrid[: grid.shape[0], : grid.shape[1]]
    a, b, c, d, e, f = tuple(grid.transform)[:6]
    x, y = a * (columns + 0.5) + b * (rows + 0.5) + c, d * (columns + 0.5) + e * (rows + 0.5) + f
    to_degrees = Transformer.from_crs(CRS.from_user_input(str(grid.crs)), "EPSG:4326", always_xy=True)
    longitudes, latitudes = to_degrees.transform(x.ravel(), y.ravel())
    return np.asarray(longitudes), np.asarray(latitudes)


def koeppen_lookup(codes: NDArray[np.uint8], *, west: float, north: float, step: float) -> ClimateLookup:
    """Look main Koeppen classes up in a raster of square pixels, the whole world or a part; 0 outside.

    Args:
        codes: (y, x), row 0 in the north.
        west: Longitude of the western edge, degrees.
        north: Latitude of the northern edge, degrees.
        step: Side of a pixel, degrees.
    """

    def look_up(longitudes: Values, latitudes: Values) -> NDArray[np.uint8]:
        columns = np.floor(((longitudes - west) % FULL_TURN) / step).astype(np.int64)
        # The south pole itself lies on the lower edge of the last row.
        rows = np.floor((north - latitudes) / step).astype(np.int64)
        rows = np.where(latitudes == north - codes.shape[0] * step, codes.shape[0] - 1, rows)
        inside = (rows >= 0) & (rows < codes.shape[0]) & (columns < codes.shape[1])
        out = np.zeros(longitudes.shape, dtype=np.uint8)
        out[inside] = codes[rows[inside], columns[inside]]
        return out

    return look_up


def assigned_region(cases: Iterable[Case], day: date, longitude: float, latitude: float) -> str | None:
    """The region that someone assigned to the event of this day and place; None if nobody did."""
    here = unit_vectors([[longitude, latitude]])[0]
    for case in cases:
        there = unit_vectors([[case.longitude, case.latitude]])
        if case.day == day and distances_to_arcs_km(here, there, there)[0] <= SAME_EVENT_KM:
            return case.region
    return None


def blend(scores: Sequence[Raster], weights: Sequence[float]) -> Raster:
    """Average scores of several models by their log-odds; NaN where any is.

    Raises:
        ValueError: there is nothing to average, or another number of weights.
    """
    if not scores or len(scores) != len(weights) or not sum(weights) > 0:
        raise ValueError(f"expected a positive weight for each of several scores, got {len(scores)} and {weights}")
    total = sum(
        w * logit(np.clip(s.astype(np.float64), TINY, 1.0 - TINY)) for s, w in zip(scores, weights, strict=True)
    )
    return np.asarray(expit(total / sum(weights)), dtype=np.float32)
