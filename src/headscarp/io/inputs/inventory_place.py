"""Whether an inventory lies where it says, and near the earthquake it is said to belong to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from headscarp.core.grid import Bounds
from headscarp.errors import InvalidInput
from headscarp.io.inputs.inventory_files import Geometries

_DEGREES = Bounds(-360.0, -90.0, 360.0, 90.0)
_WGS84 = CRS.from_epsg(4326)


def check_coordinates(shapes: Geometries, crs: CRS, where: Path) -> None:
    """Compare finite coordinates with what the CRS can hold.

    Raises:
        InvalidInput: metres in a CRS of degrees, degrees in a CRS of metres, or places that no point on Earth has.
    """
    found = _bounds(shapes)
    if found is None:
        return
    inside = _within(found, _DEGREES)
    metric = not crs.is_geographic and crs.axis_info[0].unit_name in {"metre", "meter"}
    if crs.is_geographic != inside and (crs.is_geographic or metric):
        unit = "degrees" if crs.is_geographic else "metres"
        raise InvalidInput(f"{where}: expected {unit}, as {crs.name} has, found {_printed(found)}: wrong CRS?")
    to_degrees = Transformer.from_crs(crs, _WGS84, always_xy=True)
    if not np.isfinite(to_degrees.transform_bounds(*found, densify_pts=5)).all():
        raise InvalidInput(f"{where}: expected places on Earth, found {_printed(found)} in {crs.name}: wrong CRS?")


def projected(shapes: Geometries, crs: CRS, to: CRS) -> Geometries:
    """The shapes in another CRS; coordinates without a place there become infinite."""
    if crs == to:
        return shapes.copy()
    move = Transformer.from_crs(crs, to, always_xy=True)
    return np.asarray(
        shapely.transform(shapes, lambda xy: np.column_stack(move.transform(xy[:, 0], xy[:, 1]))), dtype=object
    )


def check_near(shapes: Geometries, area: Bounds, crs: CRS, where: Path, *, what: str) -> NDArray[np.bool_]:
    """Which shapes touch the area of an event, both in the metres of `crs`.

    Raises:
        InvalidInput: none does; the message gives both in degrees, and says if the axes seem exchanged.
    """
    near = np.asarray(shapely.intersects(shapes, shapely.box(*area)))
    if near.any():
        return near
    found = _bounds(shapes)
    assert found is not None  # noqa: S101
    to_degrees = Transformer.from_crs(crs, _WGS84, always_xy=True)
    mine = Bounds(*to_degrees.transform_bounds(*found))
    theirs = Bounds(*to_degrees.transform_bounds(*area))
    exchanged = _overlap(Bounds(mine.south, mine.west, mine.north, mine.east), theirs)
    hint = ": longitude and latitude seem to be exchanged" if exchanged else ""
    raise InvalidInput(f"{where}: expected landslides inside {what}, {_printed(theirs)}, found {_printed(mine)}{hint}")


def _bounds(shapes: Geometries) -> Bounds | None:
    """Bounds of the finite coordinates, None without any."""
    coordinates = shapely.get_coordinates(shapes)
    coordinates = coordinates[np.isfinite(coordinates).all(axis=1)]
    if not len(coordinates):
        return None
    return Bounds(*map(float, (*coordinates.min(axis=0), *coordinates.max(axis=0))))


def _within(found: Bounds, limit: Bounds) -> bool:
    low = found.west >= limit.west and found.south >= limit.south
    return low and found.east <= limit.east and found.north <= limit.north


def _overlap(one: Bounds, other: Bounds) -> bool:
    across = one.west <= other.east and other.west <= one.east
    return across and one.south <= other.north and other.south <= one.north


def _printed(box: Bounds) -> str:
    return f"{box.west:.6g} to {box.east:.6g} by {box.south:.6g} to {box.north:.6g}"
