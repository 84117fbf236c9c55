"""One quake in a world: its rupture, its faults, and the ShakeMaps its network would publish."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from scipy import ndimage

from headscarp.core.event import Event, Shaking
from headscarp.core.hazard.groundmotion import (
    BA08_PGA,
    BA08_PGV,
    Mechanism,
    PlanarRupture,
    median_ln,
    rupture_size_m,
    vs30_from_gradient,
)
from headscarp.core.types import Raster
from headscarp.world.settings import WorldSettings

Floats = NDArray[np.float64]

NODES_PER_DEGREE: Final = 60
"""ShakeMaps are published every arc minute."""
RAKES: Final[dict[Mechanism, float]] = {"strike-slip": 0.0, "reverse": 90.0, "normal": -90.0}
DIPS: Final[dict[Mechanism, tuple[float, float]]] = {
    "strike-slip": (80.0, 90.0),
    "reverse": (30.0, 50.0),
    "normal": (50.0, 65.0),
}
SURPRISE: Final = (-0.8, 0.8)
"""Limits of the between-event residual in standard deviations: worlds without slides teach nothing."""
FIRST_ORIGIN: Final = datetime(2024, 1, 6, 3, 14, 7, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Quake:
    """A quake as nature made it and as its network describes it."""

    event: Event
    mechanism: Mechanism
    rupture: PlanarRupture
    """In the CRS of the world's grid."""
    faults: tuple[Floats, ...]
    """Mapped traces as (n, 2) polylines of x, y in the CRS of the world's grid."""
    shaking: Shaking
    """The final ShakeMap: true rupture and between-event term, median; its sigma is within-event only."""
    shaking_early: Shaking
    """The first ShakeMap: a short rupture at the epicentre, magnitude off, no between-event term, total sigma."""


def make_quake(settings: WorldSettings, seed: int, grid: GeoBox, elevation: Raster, rng: np.random.Generator) -> Quake:
    """Draw one quake under a world's grid; `elevation` (y, x) in metres gives the site term."""
    mechanism = settings.mechanisms[int(rng.integers(len(settings.mechanisms)))]
    magnitude = round(float(rng.uniform(*settings.magnitudes)), 1)
    rupture = _rupture(settings, mechanism, magnitude, _centre(grid), rng)
    event = _event(settings, seed, mechanism, magnitude, rupture, grid, rng)
    nodes = _Nodes.over(grid, elevation)
    surprise = float(np.clip(rng.standard_normal(), *SURPRISE))
    final = nodes.shaking(rupture, magnitude, mechanism, surprise=surprise, std=settings.shaking_std, version="2")
    guess = _first_guess(rupture, magnitude, event, grid, rng)
    early = nodes.shaking(guess[0], guess[1], "unspecified", surprise=0.0, std=None, version="1")
    return Quake(event, mechanism, rupture, _faults(rupture, rng), final, early)


def on_grid_ln(values: Raster, source: GeoBox, grid: GeoBox) -> Floats:
    """Logarithm of `values` (y, x) on `source` at the pixel centres of `grid`, bilinear in ln, edges held."""
    x, y = _centres(grid)
    lon, lat = Transformer.from_crs(str(grid.crs), str(source.crs), always_xy=True).transform(x, y)
    col, row = ~source.transform * (lon, lat)
    found: Floats = ndimage.map_coordinates(
        np.log(values.astype(float)), [np.asarray(row) - 0.5, np.asarray(col) - 0.5], order=1, mode="nearest"
    )
    return found


@dataclass(frozen=True, slots=True)
class _Nodes:
    """Where a ShakeMap has values, and the ground there."""

    grid: GeoBox
    x: Floats
    """Easting in the CRS of the world's grid, (y, x)."""
    y: Floats
    vs30: Floats

    @classmethod
    def over(cls, grid: GeoBox, elevation: Raster) -> _Nodes:
        box = _geographic(grid)
        lon, lat = _centres(box)
        x, y = Transformer.from_crs(str(box.crs), str(grid.crs), always_xy=True).transform(lon, lat)
        pixel_m = grid.transform.a
        smooth = ndimage.gaussian_filter(elevation, 500.0 / pixel_m)
        gradient = np.hypot(*np.gradient(smooth, pixel_m))
        col, row = ~grid.transform * (x, y)
        rows = np.clip(np.floor(row).astype(int), 0, elevation.shape[0] - 1)
        cols = np.clip(np.floor(col).astype(int), 0, elevation.shape[1] - 1)
        return cls(box, np.asarray(x), np.asarray(y), vs30_from_gradient(gradient[rows, cols]))

    def shaking(
        self,
        rupture: PlanarRupture,
        magnitude: float,
        mechanism: Mechanism,
        *,
        surprise: float,
        std: float | None,
        version: str,
    ) -> Shaking:
        """Medians of a rupture; `surprise` is the known between-event residual in standard deviations.

        `std` of ln PGA and ln PGV; None where there are no stations yet: the model's total.
        """
        rjb = rupture.rjb_km(self.x, self.y)
        fields: dict[str, Raster] = {}
        for name, measure in (("pga", BA08_PGA), ("pgv", BA08_PGV)):
            ln = median_ln(measure, magnitude, rjb_km=rjb, vs30=self.vs30, mechanism=mechanism)
            total = math.hypot(measure.within_std, measure.between_std)
            fields[name] = np.exp(ln + measure.between_std * surprise).astype(np.float32)
            fields[f"{name}_ln_std"] = np.full(ln.shape, total if std is None else std, np.float32)
        attributes = {"format": "synthetic", "version": version, "synthetic": True}
        return Shaking(grid=self.grid, vs30=self.vs30.astype(np.float32), attributes=attributes, **fields)


def _centres(grid: GeoBox) -> tuple[Floats, Floats]:
    """Easting or longitude, northing or latitude (y, x) of pixel centres in the grid's CRS."""
    rows, cols = grid.shape
    col, row = np.meshgrid(np.arange(cols) + 0.5, np.arange(rows) + 0.5)
    x, y = grid.transform * (col, row)
    return np.asarray(x), np.asarray(y)


def _centre(grid: GeoBox) -> tuple[float, float]:
    rows, cols = grid.shape
    x, y = grid.transform * (cols / 2.0, rows / 2.0)
    return float(x), float(y)


def _geographic(grid: GeoBox) -> GeoBox:
    """Geographic cells centred on whole arc minutes that reach one node past the grid on each side."""
    bounds = grid.geographic_extent.boundingbox
    west, north = math.floor(bounds.left * NODES_PER_DEGREE) - 1, math.ceil(bounds.top * NODES_PER_DEGREE) + 1
    east, south = math.ceil(bounds.right * NODES_PER_DEGREE) + 1, math.floor(bounds.bottom * NODES_PER_DEGREE) - 1
    step = 1.0 / NODES_PER_DEGREE
    transform = Affine(step, 0.0, (west - 0.5) * step, 0.0, -step, (north + 0.5) * step)
    return GeoBox(wh_(east - west + 1, north - south + 1), transform, "EPSG:4326")


def _rupture(
    settings: WorldSettings,
    mechanism: Mechanism,
    magnitude: float,
    centre: tuple[float, float],
    rng: np.random.Generator,
) -> PlanarRupture:
    """A plane that strikes roughly along the coast and passes the centre at a drawn distance."""
    length, width = rupture_size_m(magnitude)
    strike = float(rng.uniform(-25.0, 25.0)) % 360.0
    aside = 1000.0 * float(rng.uniform(*settings.offset_km)) * (1.0 if rng.random() < 0.5 else -1.0)
    start = -length * float(rng.uniform(0.2, 0.8))
    azimuth = math.radians(strike)
    x = centre[0] + start * math.sin(azimuth) + aside * math.cos(azimuth)
    y = centre[1] + start * math.cos(azimuth) - aside * math.sin(azimuth)
    dip = float(rng.uniform(*DIPS[mechanism]))
    return PlanarRupture(x, y, strike, dip, length, width, top_m=2_000.0)


def _event(
    settings: WorldSettings,
    seed: int,
    mechanism: Mechanism,
    magnitude: float,
    rupture: PlanarRupture,
    grid: GeoBox,
    rng: np.random.Generator,
) -> Event:
    """The catalogue's line about the quake; the epicentre lies on the upper edge."""
    x, y = rupture.along(float(rng.uniform(0.3, 0.7)))
    longitude, latitude = Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True).transform(x, y)
    event_id = f"syn{settings.code}{seed:04d}"
    time = FIRST_ORIGIN + timedelta(days=seed % 500, seconds=int(rng.integers(86_400)))
    return Event(
        id=event_id,
        title=f"M {magnitude:.1f} - {settings.name} (fictive)",
        time=time,
        magnitude=magnitude,
        longitude=round(float(longitude), 4),
        latitude=round(float(latitude), 4),
        depth_km=round(float(rng.uniform(6.0, 16.0)), 1),
        ids=(event_id,),
        rake=RAKES[mechanism],
        updated=time + timedelta(minutes=20),
        synthetic=True,
    )


def _first_guess(
    rupture: PlanarRupture, magnitude: float, event: Event, grid: GeoBox, rng: np.random.Generator
) -> tuple[PlanarRupture, float]:
    """What is assumed before the rupture is known: too short, misdirected, magnitude within about 0.2."""
    x, y = Transformer.from_crs("EPSG:4326", str(grid.crs), always_xy=True).transform(event.longitude, event.latitude)
    strike = (rupture.strike + float(rng.uniform(-40.0, 40.0))) % 360.0
    length = 0.7 * rupture.length_m
    azimuth = math.radians(strike)
    start = (x - 0.5 * length * math.sin(azimuth), y - 0.5 * length * math.cos(azimuth))
    guess = replace(rupture, x=start[0], y=start[1], strike=strike, dip=90.0, length_m=length)
    return guess, round(magnitude + float(np.clip(0.1 * rng.standard_normal(), -0.2, 0.2)), 1)


def _faults(rupture: PlanarRupture, rng: np.random.Generator) -> tuple[Floats, ...]:
    """The rupture's trace, mapped too long and a little wrong, and two faults beside it."""
    azimuth = math.radians(rupture.strike)
    along = np.array([math.sin(azimuth), math.cos(azimuth)])
    across = np.array([math.cos(azimuth), -math.sin(azimuth)])
    fraction = np.linspace(-0.1, 1.1, 40)
    traces = []
    for aside in (0.0, float(rng.uniform(4e3, 9e3)), -float(rng.uniform(4e3, 9e3))):
        wander = np.cumsum(rng.standard_normal(40)) * 120.0
        start = np.array([rupture.x, rupture.y])
        line = start + fraction[:, None] * rupture.length_m * along + (aside + wander)[:, None] * across
        traces.append(np.asarray(line, float))
    return tuple(traces)
