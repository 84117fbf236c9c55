"""Polygons that break the rules of simple features, mended where their meaning is plain, refused where it is not.

Rules are those of OGC 06-103r4 (Simple Features), as GEOS checks them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from headscarp.core.types import Mask
from headscarp.io.inputs.inventory_files import Geometries

SLIVER_WIDTH_M: Final = 1.0
"""Twice the area over the perimeter: a strip narrower than this is on no image from which slides are mapped."""
SAME_M: Final = 0.01
"""Outlines that agree to within this are one landslide drawn twice."""

EMPTY: Final = "empty geometry"
NOT_POLYGON: Final = "point or line, not a polygon"
NOT_FINITE: Final = "coordinates that are not finite"
COLLAPSED: Final = "no area left after repair"
SLIVER: Final = "sliver"
DUPLICATE: Final = "drawn twice"

CROSSING: Final = "self-crossing outline"
WINDING: Final = "ring wound the wrong way"
MIXED: Final = "points or lines beside the polygon"
SLIVER_PART: Final = "part that is a sliver"


@dataclass(frozen=True, slots=True)
class Repaired:
    """Features after repair, index by index; refused ones keep what they were."""

    geometry: Geometries
    refusal: NDArray[np.str_]
    """Why a feature is refused, empty where it is not."""
    repairs: dict[str, Mask]
    """Which features each repair was made on."""

    @property
    def kept(self) -> Mask:
        """Features that are not refused."""
        return np.asarray(self.refusal == "")


def repair(shapes: Geometries) -> Repaired:
    """Valid polygons of one orientation out of what a file holds.

    Outlines that cross themselves are split where they cross; what they enclose stays, so a figure of
    eight keeps both loops. A part that lies within another part of the same feature is a hole wound the
    wrong way. Valid polygons come back with the same outline.

    Args:
        shapes: (n,) geometries or None, coordinates in metres.
    """
    work = _Work(shapes.copy(), np.full(len(shapes), "", dtype="U64"), {})
    for step in (_refuse_hopeless, _drop_lower_dimensions, _open_holes, _make_valid, _drop_slivers, _orient):
        step(work)
    return Repaired(work.shapes, work.refusal, work.repairs)


def duplicates(shapes: Geometries, groups: NDArray[Any]) -> Mask:
    """Which polygons repeat an earlier one of the same group, vertex by vertex, wherever the ring begins."""
    snapped = shapely.set_precision(shapes, SAME_M, mode="pointwise")
    keys = shapely.to_wkb(shapely.normalize(snapped))
    seen: set[tuple[Any, bytes]] = set()
    repeated = np.zeros(len(shapes), dtype=bool)
    for index, key in enumerate(zip(groups.tolist(), keys.tolist(), strict=True)):
        repeated[index] = key in seen
        seen.add(key)
    return repeated


def mean_width(shapes: Geometries) -> NDArray[np.float64]:
    """Twice the area over the perimeter in metres: the width of a long strip; 0 of what has no outline."""
    with np.errstate(invalid="ignore"):  # of coordinates that are not finite
        length = shapely.length(shapes)
        return np.asarray(np.divide(2 * shapely.area(shapes), length, out=np.zeros(len(shapes)), where=length > 0))


@dataclass(slots=True)
class _Work:
    """Features on the bench; the array of each field is changed in place."""

    shapes: Geometries
    refusal: NDArray[np.str_]
    repairs: dict[str, Mask]

    def refuse(self, where: Mask, reason: str) -> None:
        self.refusal[where & (self.refusal == "")] = reason

    def replace(self, indices: Sequence[int], make: Callable[[Any], Any], repair: str) -> None:
        """New shapes for some features, the repair noted for those that changed."""
        changed = self.repairs.setdefault(repair, np.zeros(len(self.shapes), dtype=bool))
        for index in indices:
            new = make(self.shapes[index])
            if new is not self.shapes[index]:
                self.shapes[index] = new
                changed[index] = True

    def open_to(self, where: Mask) -> list[int]:
        """Indices of features that are not refused."""
        return [int(index) for index in np.flatnonzero(where & (self.refusal == ""))]


def _refuse_hopeless(work: _Work) -> None:
    work.refuse(shapely.is_missing(work.shapes) | shapely.is_empty(work.shapes), EMPTY)
    coordinates, owner = shapely.get_coordinates(work.shapes, return_index=True)
    broken = np.zeros(len(work.shapes), dtype=bool)
    broken[owner[~np.isfinite(coordinates).all(axis=1)]] = True
    work.refuse(broken, NOT_FINITE)
    work.refuse(shapely.get_dimensions(work.shapes) < 2, NOT_POLYGON)


def _drop_lower_dimensions(work: _Work) -> None:
    work.replace(work.open_to(shapely.get_type_id(work.shapes) == 7), _polygons_of, MIXED)


def _open_holes(work: _Work) -> None:
    several = shapely.get_num_geometries(work.shapes) > 1
    several[several] = ~shapely.is_valid(work.shapes[several])
    work.replace(work.open_to(several), _without_nested, WINDING)


def _make_valid(work: _Work) -> None:
    invalid = work.open_to(~shapely.is_valid(work.shapes))
    work.replace(invalid, lambda s: shapely.make_valid(s, method="structure", keep_collapsed=False), CROSSING)
    with np.errstate(invalid="ignore"):
        work.refuse(shapely.area(work.shapes) <= 0, COLLAPSED)


def _drop_slivers(work: _Work) -> None:
    whole = mean_width(work.shapes) < SLIVER_WIDTH_M
    several = work.open_to(shapely.get_num_geometries(work.shapes) > 1)
    work.replace(several, _without_slivers, SLIVER_PART)
    work.refuse(whole & (mean_width(work.shapes) < SLIVER_WIDTH_M), SLIVER)


def _orient(work: _Work) -> None:
    """Shells counter-clockwise, holes clockwise; only a hole wound as its shell is a fault worth telling."""
    kept = np.array(work.open_to(np.ones(len(work.shapes), dtype=bool)), dtype=int)
    if not len(kept):
        return
    faulty = work.repairs.setdefault(WINDING, np.zeros(len(work.shapes), dtype=bool))
    faulty[kept[_with_hole_like_shell(work.shapes[kept])]] = True
    work.shapes[kept] = shapely.orient_polygons(work.shapes[kept])


def _with_hole_like_shell(shapes: Geometries) -> Mask:
    """Features of which some hole runs the same way round as its shell."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    found = np.zeros(len(shapes), dtype=bool)
    for index in np.flatnonzero(shapely.get_num_interior_rings(parts) > 0):
        turns = [shapely.is_ccw(hole) for hole in parts[index].interiors]
        found[owner[index]] |= shapely.is_ccw(parts[index].exterior) in turns
    return found


def _polygons_of(shape: Any) -> Any:
    parts = [p for p in shapely.get_parts(shape) if shapely.get_dimensions(p) == 2]
    return shapely.multipolygons([q for p in parts for q in shapely.get_parts(p)])


def _without_nested(shape: Any) -> Any:
    """Parts that lie inside a larger valid part become its holes."""
    parts = sorted(shapely.get_parts(shape), key=shapely.area, reverse=True)
    if not all(shapely.is_valid(part) for part in parts):
        return shape
    out, nested = [parts[0]], False
    for part in parts[1:]:
        host = next((k for k, other in enumerate(out) if shapely.contains_properly(other, part)), None)
        if host is None:
            out.append(part)
        else:
            out[host], nested = shapely.difference(out[host], part), True
    return shapely.union_all(out) if nested else shape


def _without_slivers(shape: Any) -> Any:
    parts = shapely.get_parts(shape)
    wide = mean_width(parts) >= SLIVER_WIDTH_M
    return shape if wide.all() or not wide.any() else shapely.multipolygons(parts[wide])
