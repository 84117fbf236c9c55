"""Earthquakes, the ShakeMap products that describe them, and the identity of a run."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from odc.geo.geobox import GeoBox

from headscarp.core.types import Attributes, Raster


@dataclass(frozen=True, slots=True)
class Event:
    """One earthquake as its author describes it now."""

    id: str
    title: str
    time: datetime
    """Origin time, UTC, timezone-aware."""
    magnitude: float
    longitude: float
    latitude: float
    depth_km: float
    ids: tuple[str, ...] = ()
    """Every alias the event has had, its present id included."""
    rake: float | None = None
    """Rake of the preferred nodal plane in degrees, None where unknown."""
    updated: datetime | None = None
    url: str | None = None
    """The author's page about the event."""
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class ShakeMapId:
    """Which ShakeMap: source, code and update time; never its `version`, which authors repeat."""

    source: str
    code: str
    update_time: int
    """Milliseconds since 1970, as USGS prints it."""

    def __str__(self) -> str:
        return f"{self.source}-{self.code}-{self.update_time}"


@dataclass(frozen=True, slots=True)
class Shaking:
    """Ground motion on one grid; every array is (y, x) with row 0 in the north, NaN = no value."""

    grid: GeoBox
    pga: Raster
    """Peak ground acceleration, g."""
    pgv: Raster | None = None
    """Peak ground velocity, cm/s."""
    pga_ln_std: Raster | None = None
    """Standard deviation of ln PGA."""
    pgv_ln_std: Raster | None = None
    """Standard deviation of ln PGV."""
    vs30: Raster | None = None
    """Shear-wave velocity of the top 30 m, m/s."""
    attributes: Attributes = field(default_factory=dict)
    """Where it came from: format, ShakeMap version as printed, units as read."""

    @property
    def peak_pga(self) -> float:
        """Largest finite PGA in g."""
        return float(np.nanmax(self.pga))


@dataclass(frozen=True, slots=True)
class RunId:
    """What a product is a function of; two runs with equal identity make the same product."""

    event: str
    shakemap: ShakeMapId
    models: tuple[str, ...]
    """`name-version` of each model, the published one first."""
    table_digest: str
    sources_digest: str = ""
    """Of the source registry; what an event folder brings along is in its ShakeMap's code."""

    @property
    def recipe(self) -> str:
        """Eight digits that change with any model, the table or the sources."""
        text = "\n".join((*self.models, self.table_digest, self.sources_digest))
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def __str__(self) -> str:
        """Safe as file name, STAC id and idempotency key."""
        parts = (self.event, str(self.shakemap), self.models[0], self.recipe)
        return re.sub(r"[^A-Za-z0-9_-]+", "_", "-".join(parts))


SHAKEMAP_EXPECTED_WITHIN = timedelta(hours=24)
"""How long after the origin a missing ShakeMap is waited for."""
