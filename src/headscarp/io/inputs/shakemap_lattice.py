"""Where the nodes of a ShakeMap lie."""

from __future__ import annotations

import math
from dataclasses import dataclass

from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox

from headscarp.errors import BadShakeMap

MAX_NODES = 20_000_000
"""Fifteen times the largest recorded ShakeMap."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """Longitudes and latitudes of the outermost nodes in degrees, and how many nodes lie between."""

    west: float
    east: float
    south: float
    north: float
    nlon: int
    nlat: int

    @property
    def step(self) -> tuple[float, float]:
        """Degrees between nodes in longitude and latitude; printed spacings are rounded, these are not."""
        return (self.east - self.west) / (self.nlon - 1), (self.north - self.south) / (self.nlat - 1)

    def geobox(self) -> GeoBox:
        """EPSG:4326 grid with a cell around each node, row 0 in the north, longitudes past 180 kept."""
        dx, dy = self.step
        transform = Affine(dx, 0.0, self.west - dx / 2, 0.0, -dy, self.north + dy / 2)
        return GeoBox(wh_(self.nlon, self.nlat), transform, "EPSG:4326")

    def agrees(self, other: Lattice) -> bool:
        """Whether both have the same nodes to within a tenth of a step: printed bounds are rounded."""
        if (self.nlon, self.nlat) != (other.nlon, other.nlat):
            return False
        dx, dy = self.step
        off_x = max(abs(self.west - other.west), abs(self.east - other.east))
        off_y = max(abs(self.south - other.south), abs(self.north - other.north))
        return off_x <= 0.1 * dx and off_y <= 0.1 * dy


def checked_lattice(lattice: Lattice, where: str) -> Lattice:
    """The lattice, its longitudes unwrapped across the antimeridian.

    Raises:
        BadShakeMap: fewer than 2 by 2 or too many nodes, or bounds that are not on Earth.
    """
    if min(lattice.nlon, lattice.nlat) < 2 or lattice.nlon * lattice.nlat > MAX_NODES:
        raise BadShakeMap(
            f"{where}: expected 2 x 2 to {MAX_NODES} nodes, found nlon {lattice.nlon}, nlat {lattice.nlat}"
        )
    bounds = (lattice.west, lattice.east, lattice.south, lattice.north)
    if not all(map(math.isfinite, bounds)):
        raise BadShakeMap(f"{where}: expected finite bounds, found {bounds}")
    east = lattice.east + 360.0 if lattice.east <= lattice.west else lattice.east
    on_earth = -360 <= lattice.west < east <= 540 and east - lattice.west <= 360
    if not (on_earth and -90 <= lattice.south < lattice.north <= 90):
        raise BadShakeMap(f"{where}: expected west < east and south < north in degrees, found {bounds}")
    return Lattice(lattice.west, east, lattice.south, lattice.north, lattice.nlon, lattice.nlat)
