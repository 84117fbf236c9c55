"""The ground that was searched for landslides: background exists only there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import shapely
from pyproj import CRS

from headscarp.core.grid import Bounds
from headscarp.errors import InvalidInput
from headscarp.io.inputs.inventory_files import RASTER_SUFFIXES, Features, Geometries, opened, read_features
from headscarp.io.inputs.inventory_place import check_coordinates, projected
from headscarp.io.inputs.inventory_raster import read_marked
from headscarp.io.inputs.inventory_repair import repair

HULL_RATIO: Final = 0.3
"""Of `shapely.concave_hull`: 1 is the convex hull, 0 the tightest outline without holes."""
OUTSIDE_SHARE: Final = 0.5
"""More landslides than this outside a given extent, and the two do not belong together."""

Rule = Literal["hull", "event"]


@dataclass(frozen=True, slots=True)
class MappedExtent:
    """Mapped ground, and how it is known."""

    geometry: Any
    """Polygon or multipolygon in the CRS of the inventory."""
    assumed: bool
    """Whether no one has stated it."""
    rule: str
    """How it came about, in words."""

    @property
    def area_km2(self) -> float:
        """Area in square kilometres."""
        return float(shapely.area(self.geometry)) / 1e6

    def without(self, named: Any) -> MappedExtent:
        """The extent less ground that is named as unknown."""
        return replace(self, geometry=shapely.difference(self.geometry, named), rule=f"{self.rule}, less named ground")


def given_extent(path: Path, crs: CRS, coseismic: Geometries) -> MappedExtent:
    """The extent that its mappers state, of polygons or of the non-zero cells of a raster.

    Raises:
        InvalidInput: it cannot be read, holds no area, or most landslides lie outside.
    """
    with opened(path) as file:
        found = read_marked(file) if file.suffix.lower() in RASTER_SUFFIXES else read_features(file)
    geometry = area_of(found, crs, path)
    outside = float(np.mean(~shapely.intersects(coseismic, geometry)))
    if outside > OUTSIDE_SHARE:
        raise InvalidInput(f"{path}: expected the extent of this inventory, found {outside:.0%} of it outside")
    return MappedExtent(geometry, assumed=False, rule=f"given: {path.name}")


def area_of(features: Features, crs: CRS, where: Path) -> Any:
    """The union of what polygons cover, in another CRS.

    Raises:
        InvalidInput: no polygon, or coordinates that the CRS cannot hold.
    """
    check_coordinates(features.geometry, features.crs, where)
    mended = repair(projected(features.geometry, features.crs, crs))
    if not mended.kept.any():
        raise InvalidInput(f"{where}: expected polygons, found none among {len(features)} features")
    return shapely.union_all(mended.geometry[mended.kept])


def hull_extent(mapped: Geometries) -> MappedExtent:
    """The concave hull of everything that was mapped, whatever its date: an assumption.

    It leaves out searched ground without landslides at the edge, and takes in gaps, such as clouds. Each
    polygon stands for the corners of its box: a hull of all vertices is the same, and nine times as slow.
    """
    corners = np.unique(shapely.get_coordinates(shapely.envelope(mapped)), axis=0)
    hull = shapely.concave_hull(shapely.multipoints(corners), ratio=HULL_RATIO)
    if shapely.get_dimensions(hull) < 2:
        hull = shapely.convex_hull(shapely.geometrycollections(list(mapped)))
    rule = f"assumed: concave hull (ratio {HULL_RATIO:g}) of all mapped polygons"
    return MappedExtent(hull, assumed=True, rule=rule)


def event_extent(area: Bounds, what: str) -> MappedExtent:
    """Everything for which the event has data: an assumption that the mappers looked at all of it."""
    return MappedExtent(shapely.box(*area), assumed=True, rule=f"assumed: the whole of {what}")
