"""The three criteria by which the paper chose its inventories, as far as geometry can tell.

doi:10.1093/nsr/nwaf179, Methods: (i) landslides are polygons, not points; (ii) each polygon is covered
by landslide entirely; (iii) the boundary of each landslide is indicated. The second can only be settled
by looking at images. What geometry shows are the traces that its usual violations leave.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import shapely

from headscarp.core.types import Mask
from headscarp.io.inputs.inventory_files import Geometries

LARGE_M2: Final = 1e6
"""Single coseismic landslides above a square kilometre are a handful per great earthquake."""
LARGE_SHARE: Final = 0.01
PARTS_SHARE: Final = 0.05
OVERLAP_SHARE: Final = 0.01
"""Of the area drawn."""
DISC_QUOTIENT: Final = 0.98
"""4 pi area / perimeter**2 (Polsby and Popper 1991) of a circle drawn with 13 sides or more; landslides stay below."""
STAIRS_SHARE: Final = 0.9
"""Of the length of an outline that runs along the axes."""
COARSE_M: Final = 60.0
"""Median distance of vertices: twice the pixel."""

Verdict = Literal["met", "doubtful", "not met", "not contradicted"]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion, what was found, and what cannot be known from the file."""

    name: str
    verdict: Verdict
    found: str
    unchecked: str


@dataclass(frozen=True, slots=True)
class Kinds:
    """How many features are polygons, and how many are not."""

    polygons: int
    others: int
    cells: bool = False
    """Whether the polygons are outlines of raster cells."""


def assess(kinds: Kinds, slides: Geometries, stairs: Mask) -> tuple[Criterion, Criterion, Criterion]:
    """The paper's criteria for the accepted landslides.

    Args:
        kinds: What kinds of features the file holds.
        slides: (n,) valid polygons in metres, n >= 1.
        stairs: (n,) whether the outline was a staircase in the file, see `staircases`.
    """
    discs = share(_quotient(slides) > DISC_QUOTIENT)
    return _polygons(kinds), _filled(slides, discs), _bounded(kinds, slides, discs, share(stairs))


def staircases(shapes: Geometries) -> Mask:
    """Which outlines run along the axes of their CRS, as those drawn around raster cells do."""
    coordinates, owner = shapely.get_coordinates(shapes, return_index=True)
    step = np.abs(np.diff(coordinates, axis=0))
    same = owner[1:] == owner[:-1]
    length = np.where(same, np.hypot(step[:, 0], step[:, 1]), 0.0)
    axial = np.where(step.min(axis=1) <= 1e-6 * step.max(axis=1), length, 0.0)
    count = len(shapes)
    total = np.bincount(owner[1:], weights=length, minlength=count)
    along = np.bincount(owner[1:], weights=axial, minlength=count)
    return np.asarray((total > 0) & (along >= STAIRS_SHARE * total))


def overlap_share(shapes: Geometries) -> float:
    """Area that pairs of polygons share, over the area drawn."""
    tree = shapely.STRtree(shapes)
    one, other = tree.query(shapes, predicate="intersects")
    first = one < other
    shared = shapely.area(shapely.intersection(shapes[one[first]], shapes[other[first]])).sum()
    return float(shared / shapely.area(shapes).sum())


def share(mask: Mask) -> float:
    """The share of True values, 0 of none."""
    return float(mask.mean()) if mask.size else 0.0


def _polygons(kinds: Kinds) -> Criterion:
    total = kinds.polygons + kinds.others
    found = f"{kinds.polygons} of {total} features are polygons"
    if kinds.cells:
        return Criterion("landslides are polygons", "not met", "a raster: polygons were drawn around its cells", "")
    verdict: Verdict = "met" if kinds.others == 0 else "doubtful"
    return Criterion("landslides are polygons", verdict, found, "slides that are not in the file at all")


def _filled(slides: Geometries, discs: float) -> Criterion:
    large = share(shapely.area(slides) > LARGE_M2)
    several = share(shapely.get_num_geometries(slides) > 1)
    found = f"{large:.1%} above 1 km2, {several:.1%} of several parts, {discs:.1%} discs"
    verdict: Verdict = "not contradicted"
    if discs > 0.5:
        verdict = "not met"
    elif large > LARGE_SHARE or several > PARTS_SHARE or discs > PARTS_SHARE:
        verdict = "doubtful"
    unchecked = "whether every polygon is landslide throughout: only images show undisturbed ground inside"
    return Criterion("polygons are covered by landslide entirely", verdict, found, unchecked)


def _bounded(kinds: Kinds, slides: Geometries, discs: float, stairs: float) -> Criterion:
    overlap, spacing = overlap_share(slides), _vertex_spacing(slides)
    found = f"{overlap:.1%} of the area overlaps, {stairs:.1%} staircases, median vertex spacing {spacing:.0f} m"
    verdict: Verdict = "met"
    if kinds.cells or discs > 0.5 or stairs > 0.5:
        verdict = "not met"
    elif overlap > OVERLAP_SHARE or spacing > COARSE_M:
        verdict = "doubtful"
    unchecked = "whether source and deposit are told apart, and whether touching slides are one or several"
    return Criterion("the boundary of each landslide is indicated", verdict, found, unchecked)


def _quotient(shapes: Geometries) -> np.ndarray:
    return np.asarray(4 * math.pi * shapely.area(shapes) / shapely.length(shapes) ** 2)


def _vertex_spacing(shapes: Geometries) -> float:
    """Median over polygons of perimeter over number of sides."""
    rings = shapely.get_num_geometries(shapes)
    sides = shapely.get_num_coordinates(shapes) - rings
    return float(np.median(shapely.length(shapes) / np.maximum(sides, 3)))
