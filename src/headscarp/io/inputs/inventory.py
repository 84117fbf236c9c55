"""A landslide inventory as its mappers publish it, made fit to learn from and to score on.

Every feature ends in one of three places: coseismic, ignored (there may be a landslide, or one of
another time: neither landslide nor background) or refused. What lies outside the mapped extent is
unknown, not background.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import shapely
from pyproj import CRS

from headscarp.core.grid import Bounds
from headscarp.core.learning.inventory import Period
from headscarp.core.types import Mask
from headscarp.errors import InvalidInput
from headscarp.io.inputs.inventory_criteria import Criterion, Kinds, assess, staircases
from headscarp.io.inputs.inventory_dates import InventoryDates, InventoryOptions, date_columns
from headscarp.io.inputs.inventory_extent import MappedExtent, area_of, event_extent, given_extent, hull_extent
from headscarp.io.inputs.inventory_files import (
    RASTER_SUFFIXES,
    Features,
    Geometries,
    file_sha256,
    opened,
    read_features,
)
from headscarp.io.inputs.inventory_place import check_coordinates, check_near, projected
from headscarp.io.inputs.inventory_raster import read_cells, read_marked
from headscarp.io.inputs.inventory_repair import DUPLICATE, NOT_POLYGON, SLIVER, Repaired, duplicates, repair

POINT_REACH_M: Final = 60.0
"""Ground this near a point or line is unknown: the usual positional error of inventories."""
NAMED: Final = "on ground named as unknown"

Fate = Literal["accepted", "repaired", "ignored", "refused"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where landslides of an event can be."""

    crs: CRS
    """Projected, in metres; everything is read into it."""
    area: Bounds
    """What the event has data for, in `crs`."""
    what: str
    """The area in words: `the DEM`, `the ShakeMap`."""
    origin: datetime


@dataclass(frozen=True, slots=True)
class Tally:
    """How many features met with one fate for one reason."""

    fate: Fate
    reason: str
    features: int
    area_km2: float
    example: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"fate": self.fate, "reason": self.reason, "features": self.features, "area_km2": self.area_km2}


@dataclass(frozen=True, slots=True)
class LandslideInventory:
    """One earthquake's landslides; polygons are valid, in metres of `crs`, and counter-clockwise."""

    source: str
    sha256: str
    crs: CRS
    coseismic: Geometries
    ignore: Geometries
    refused: Geometries
    """What was left out although it has a place; some of it is ignored ground as well."""
    extent: MappedExtent
    periods: Mapping[str, int]
    """Features of the file by `Period`, before any was refused."""
    tallies: tuple[Tally, ...]
    criteria: tuple[Criterion, ...]
    dating: str
    quality: str = "unstated"
    notes: tuple[str, ...] = field(default=())

    @property
    def area_km2(self) -> float:
        """Coseismic landslide area, overlaps counted twice."""
        return float(shapely.area(self.coseismic).sum()) / 1e6


def read_inventory(
    path: Path, place: Place, options: InventoryOptions, *, today: date | None = None
) -> LandslideInventory:
    """Read, check, mend, date and part an inventory.

    Args:
        path: GeoPackage, shapefile, GeoJSON, FlatGeobuf, KML, GeoTIFF, or a zip archive with one of these.
        place: Where and when the earthquake was.
        options: What the file does not say of itself.
        today: Dates after this day cannot be; the present day if not given.

    Raises:
        InvalidInput: the file cannot be read or placed, its dates cannot be, it lies elsewhere, holds no
            polygon or none of this earthquake, or an attribute or a layer it was asked for is not there.
    """
    with opened(path) as file:
        cells, features = _read(file, options)
        sha256 = file_sha256(path)
    check_coordinates(features.geometry, features.crs, path)
    sorter = _Sorter(path, place, options, features, today or datetime.now(UTC).date())
    return sorter.inventory(cells, sha256)


def _read(file: Path, options: InventoryOptions) -> tuple[Geometries | None, Features]:
    """Mapped cells, of rasters only, and features."""
    if file.suffix.lower() not in RASTER_SUFFIXES:
        return None, read_features(file, columns=date_columns(options, file), layer=options.layer)
    if options.date_attributes or options.coseismic:
        raise InvalidInput(f"{file}: expected polygons with attributes to date by, found a raster")
    features, mapped = read_cells(file, value=options.landslide_value)
    return mapped, features


class _Sorter:
    """Gives every feature of a file its fate."""

    def __init__(self, path: Path, place: Place, options: InventoryOptions, features: Features, today: date) -> None:
        self.path, self.place, self.options, self.features = path, place, options, features
        self.stairs = staircases(features.geometry)
        self.mended: Repaired = repair(projected(features.geometry, features.crs, place.crs))
        self.refusal = self.mended.refusal.copy()
        self.dates = InventoryDates(path, place.origin, options, features, today)

    def inventory(self, cells: Geometries | None, sha256: str) -> LandslideInventory:
        """Everything the file holds, parted; `cells` is the mapped ground of a raster."""
        self._refuse_elsewhere()
        self._refuse_repeated()
        kept, named = self.refusal == "", self._named()
        coseismic = kept & self.dates.coseismic & ~self._inside(named)
        self._check(coseismic, kept)
        shapes = self.mended.geometry
        if named is not None:
            shapes[coseismic] = _cut(shapes[coseismic], named)
        other = kept & ~coseismic
        kinds = Kinds(self._polygons(), len(shapes) - self._polygons(), cells is not None)
        return LandslideInventory(
            source=self.path.name,
            sha256=sha256,
            crs=self.place.crs,
            coseismic=shapes[coseismic],
            ignore=np.concatenate([shapes[other], self._around_refused()]),
            refused=shapes[~kept & ~shapely.is_missing(shapes)],
            extent=self._extent(shapes[coseismic], shapes[kept], cells, named),
            periods=self.dates.counts(),
            tallies=tuple(self._tallies(coseismic, other)),
            criteria=assess(kinds, shapes[coseismic], self.stairs[coseismic]),
            dating=self.dates.words,
            quality=self.options.quality,
            notes=tuple(self.dates.notes(coseismic)),
        )

    def _polygons(self) -> int:
        return int((shapely.get_dimensions(self.features.geometry) == 2).sum())

    def _refuse_elsewhere(self) -> None:
        kept = self.refusal == ""
        if not kept.any():
            reasons = ", ".join(sorted(set(self.refusal.tolist())))
            raise InvalidInput(f"{self.path}: expected polygons, found none among {len(kept)} features: {reasons}")
        place = self.place
        near = check_near(self.mended.geometry[kept], place.area, place.crs, self.path, what=place.what)
        self.refusal[np.flatnonzero(kept)[~near]] = f"outside {place.what}"

    def _refuse_repeated(self) -> None:
        kept = np.flatnonzero(self.refusal == "")
        again = duplicates(self.mended.geometry[kept], self.dates.coseismic[kept])
        self.refusal[kept[again]] = DUPLICATE

    def _check(self, coseismic: Mask, kept: Mask) -> None:
        if coseismic.any():
            return
        found = ", ".join(f"{count} {period}" for period, count in self.dates.counts(kept).items())
        raise InvalidInput(f"{self.path}: expected landslides of this earthquake, {self.dates.expected}, found {found}")

    def _around_refused(self) -> Geometries:
        """Ground where a refused feature says that something is, but not of which shape."""
        shapes, unclear = self.mended.geometry, np.isin(self.refusal, (NOT_POLYGON, SLIVER))
        near = unclear.copy()
        near[unclear] = shapely.intersects(shapes[unclear], shapely.box(*self.place.area))
        return np.asarray(shapely.buffer(shapes[near], POINT_REACH_M, quad_segs=4), dtype=object)

    def _named(self) -> Any | None:
        """Ground that the caller names as unknown."""
        if self.options.ignore is None:
            return None
        with opened(self.options.ignore) as file:
            features = read_marked(file) if file.suffix.lower() in RASTER_SUFFIXES else read_features(file)
        return area_of(features, self.place.crs, self.options.ignore) if len(features) else None

    def _inside(self, named: Any | None) -> Mask:
        if named is None:
            return np.zeros(len(self.refusal), dtype=bool)
        shapely.prepare(named)
        return np.asarray(shapely.covers(named, self.mended.geometry))

    def _extent(self, slides: Geometries, kept: Geometries, cells: Geometries | None, named: Any) -> MappedExtent:
        rule = self.options.extent
        if isinstance(rule, Path):
            found = given_extent(rule, self.place.crs, slides)
        elif rule == "event":
            found = event_extent(self.place.area, self.place.what)
        elif cells is None:
            found = hull_extent(kept)
        else:
            mapped = shapely.union_all(projected(cells, self.features.crs, self.place.crs))
            found = MappedExtent(mapped, assumed=True, rule="assumed: all cells that are not nodata")
        return found if named is None else found.without(named)

    def _tallies(self, coseismic: Mask, other: Mask) -> Sequence[Tally]:
        refused = {reason: self.refusal == reason for reason in dict.fromkeys(self.refusal.tolist()) if reason}
        ignored = {
            reason: other & (self.dates.periods == reason) for reason in dict.fromkeys(self.dates.periods.tolist())
        }
        ignored[NAMED] = ignored.pop(Period.COSEISMIC.value, np.zeros_like(other))
        repaired = {name: mask & (self.refusal == "") for name, mask in self.mended.repairs.items()}
        groups: dict[Fate, Mapping[str, Mask]] = {
            "accepted": {Period.COSEISMIC.value: coseismic},
            "repaired": repaired,
            "ignored": ignored,
            "refused": refused,
        }
        return [self._tally(fate, r, mask) for fate, found in groups.items() for r, mask in found.items() if mask.any()]

    def _tally(self, fate: Fate, reason: str, mask: Mask) -> Tally:
        with np.errstate(invalid="ignore"):  # of coordinates that are not finite
            areas = shapely.area(self.mended.geometry[mask])
        example = f"feature {int(np.flatnonzero(mask)[0])}{self.dates.example(mask)}"
        return Tally(fate, reason, int(mask.sum()), float(np.nansum(areas[np.isfinite(areas)])) / 1e6, example)


def _cut(shapes: Geometries, named: Any) -> Geometries:
    """The part of each shape that lies outside named ground."""
    touching = shapely.intersects(shapes, named)
    out = shapes.copy()
    out[touching] = shapely.difference(shapes[touching], named)
    return out
