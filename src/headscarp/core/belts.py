"""Seismic belts on the sphere: how far a place is from the plate boundaries and orogens that make one.

Plates and boundaries after Bird (2003), doi:10.1029/2001GC000252. Which of them make a belt is data:
`tables.regions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

EARTH_RADIUS_KM = 6371.0
FULL_TURN = 360.0

Values: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Boundary:
    """A stretch of the boundary between two plates."""

    plates: frozenset[str]
    line: Values
    """(vertex, 2) longitude and latitude, degrees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeltRule:
    """Which boundaries and orogens make a belt."""

    name: str
    plates: frozenset[str]
    both: bool
    """Whether both plates of a boundary must be among `plates`, or one suffices."""
    without_pairs: frozenset[frozenset[str]] = frozenset()
    without_plates: frozenset[str] = frozenset()
    orogens: tuple[str, ...] = ()

    def holds(self, plates: frozenset[str]) -> bool:
        """Whether the boundary between these plates belongs to the belt."""
        if plates in self.without_pairs or plates & self.without_plates:
            return False
        return plates <= self.plates if self.both else bool(plates & self.plates)


def boundaries_of(collection: Mapping[str, Any]) -> tuple[Boundary, ...]:
    """Boundaries of PB2002 as published in GeoJSON.

    Raises:
        ValueError: a feature is no line, or does not name its plates.
    """
    return tuple(b for feature in collection["features"] for b in _boundaries(feature))


def _boundaries(feature: Mapping[str, Any]) -> Iterable[Boundary]:
    names, shape = feature.get("properties") or {}, feature.get("geometry") or {}
    lines = {"LineString": lambda c: [c], "MultiLineString": list}.get(shape.get("type", ""))
    if lines is None or not {"PlateA", "PlateB"} <= set(names):
        raise ValueError(f"expected lines with PlateA and PlateB, found {shape.get('type')} with {sorted(names)}")
    plates = frozenset((names["PlateA"], names["PlateB"]))
    return [Boundary(plates, np.asarray(line, dtype=np.float64)[:, :2]) for line in lines(shape["coordinates"])]


@dataclass(frozen=True, slots=True)
class _Belt:
    """Everything a distance needs."""

    starts: Values
    """(arc, 3) unit vectors."""
    ends: Values
    outlines: tuple[shapely.Polygon, ...]
    """In degrees, longitudes unwrapped."""


class Belts:
    """Belts as arcs and outlines."""

    def __init__(
        self, boundaries: Sequence[Boundary], rules: Sequence[BeltRule], orogens: Mapping[str, str | Values]
    ) -> None:
        """Gather each belt's geometry.

        Args:
            boundaries: Of all plates.
            rules: One a belt.
            orogens: Outline of each orogen, (vertex, 2) degrees or as text "lon lat, lon lat, ...".

        Raises:
            ValueError: a rule names an orogen that is not given, or no boundary answers it.
        """
        self._belts: dict[str, _Belt] = {}
        for rule in rules:
            if absent := set(rule.orogens) - set(orogens):
                raise ValueError(f"belt {rule.name}: expected outlines of its orogens, found none of {sorted(absent)}")
            lines = [b.line for b in boundaries if rule.holds(b.plates)]
            if not lines:
                raise ValueError(f"belt {rule.name}: expected boundaries of plates {sorted(rule.plates)}, found none")
            outlines = [_closed(_vertices(orogens[name])) for name in rule.orogens]
            starts, ends = zip(*(_arcs(line) for line in (*lines, *outlines)), strict=True)
            polygons = tuple(shapely.Polygon(_unwrapped(outline)) for outline in outlines)
            self._belts[rule.name] = _Belt(np.concatenate(starts), np.concatenate(ends), polygons)

    def distances_km(self, longitude: float, latitude: float) -> dict[str, float]:
        """Great-circle distance to each belt, 0 within its orogens."""
        return {name: self._distance(belt, longitude, latitude) for name, belt in self._belts.items()}

    def _distance(self, belt: _Belt, longitude: float, latitude: float) -> float:
        if any(_within(polygon, longitude, latitude) for polygon in belt.outlines):
            return 0.0
        return float(distances_to_arcs_km(unit_vectors([[longitude, latitude]])[0], belt.starts, belt.ends).min())


def _within(polygon: shapely.Polygon, longitude: float, latitude: float) -> bool:
    """Whether an outline holds a place, whichever turn their longitudes are of."""
    turns = round((polygon.centroid.x - longitude) / FULL_TURN) + np.array([-1, 0, 1])
    return bool(shapely.intersects_xy(polygon, longitude + turns * FULL_TURN, np.full(3, latitude)).any())


def distances_to_arcs_km(point: Values, starts: Values, ends: Values) -> Values:
    """(arc,) distance of a unit vector (3,) to great-circle arcs shorter than half a turn, given by unit vectors."""
    normals = np.cross(starts, ends)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
    # The foot of the perpendicular lies on the arc if the point is ahead of its start and behind its end.
    ahead = np.cross(normals, starts) @ point
    behind = np.cross(ends, normals) @ point
    across = np.arcsin(np.clip(np.abs(normals @ point), 0.0, 1.0))
    to_ends = np.minimum(_angle(starts, point), _angle(ends, point))
    beside = (length[:, 0] > 0) & (ahead > 0) & (behind > 0)
    return np.asarray(EARTH_RADIUS_KM * np.where(beside, across, to_ends))


def _angle(vectors: Values, point: Values) -> Values:
    """Angles between unit vectors, well conditioned where they are small."""
    return np.asarray(2.0 * np.arcsin(np.clip(np.linalg.norm(vectors - point, axis=1) / 2.0, 0.0, 1.0)))


def _arcs(line: Values) -> tuple[Values, Values]:
    vectors = unit_vectors(line)
    return vectors[:-1], vectors[1:]


def unit_vectors(degrees: Any) -> Values:
    """(vertex, 3) unit vectors of longitude and latitude."""
    lon, lat = np.radians(np.asarray(degrees, dtype=np.float64)).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def _vertices(outline: str | Values) -> Values:
    if isinstance(outline, str):
        return np.array([vertex.split() for vertex in outline.split(",")], dtype=np.float64)
    return np.asarray(outline, dtype=np.float64)


def _closed(outline: Values) -> Values:
    return np.concatenate([outline, outline[:1]])


def _unwrapped(outline: Values) -> Values:
    """The outline with longitudes that never jump across the date line."""
    return np.stack([np.unwrap(outline[:, 0], period=FULL_TURN), outline[:, 1]], axis=1)
