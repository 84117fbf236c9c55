"""From event folders with an inventory to training scenes; the cube is built as for a new quake."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import rasterio
import shapely
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.warp import reproject, transform_bounds

from headscarp.core.grid import PGA_FLOOR_G, Bounds, Extent, snapped_grid, utm_crs
from headscarp.core.learning.labels import LENGTH_PX, soft_label
from headscarp.core.manifest import InputChannel
from headscarp.core.pci.table import Row, Table
from headscarp.core.tiling import Window
from headscarp.core.types import Mask, Raster
from headscarp.errors import InvalidInput, NotFound
from headscarp.io.cubes.cube import Cube
from headscarp.io.inputs.folder import EventFolder, Inventory, read_event_folder
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.store import Store
from headscarp.ml.windows import Scene
from headscarp.pipeline.cube import build_cube
from headscarp.pipeline.statistics import event_statistics

OVERSAMPLING = 4
"""Polygons are counted on this many points along each side of a pixel."""
COVERED = 0.5
"""Share of a pixel from which it is a landslide pixel."""
QUERY = re.compile(r"(?P<field>\w+) (?P<operator>in|not in) \[(?P<values>\d+(, ?\d+)*)\]")
"""Attribute queries of inventories, as `Year_obs in [2005, 2006]`."""

Progress = Callable[[int, int], None]


def model_inputs(table: Table, channels: Sequence[str]) -> tuple[InputChannel, ...]:
    """What a network must know about these channels of a table, in the order given."""
    return tuple(_model_input(table, name) for name in channels)


def _model_input(table: Table, name: str) -> InputChannel:
    row = table[name]
    classes = int(row.valid[1]) if row.kind == "categorical" and row.valid else 0
    return InputChannel(name, _root_source(table, row), row.transform, classes)


def _root_source(table: Table, row: Row) -> str:
    """The first data source behind a row: derived rows go missing with it."""
    if row.source is not None:
        return row.source.split(".")[0]
    first = row.inputs[0]
    return _root_source(table, table[first]) if first in table.channels else first.split(".")[0]


def read_scene(
    folder: Path,
    channels: Sequence[str],
    *,
    table: Table,
    store: Store,
    length_px: float = LENGTH_PX,
    progress: Progress | None = None,
) -> Scene:
    """Read an event folder with an inventory as a training scene.

    Layers the folder lacks are missing. Labels are unknown at sea, outside the DEM, below the
    shaking floor of 0.02 g and on ignored ground.

    Raises:
        InvalidInput: the folder has no inventory or no DEM, or its inventory cannot be read.
    """
    event = read_event_folder(folder)
    if event.inventory is None:
        raise InvalidInput(f"{folder / 'event.json'}: expected an inventory to learn from, found none")
    extent = mapped_extent(event)
    cube = _cube(event, extent, table, store, progress)
    share, ignored = landslide_coverage(event.inventory, extent.grid)
    return _scene(cube, event, channels, table, share=share, ignored=ignored, length_px=length_px)


def _cube(event: EventFolder, extent: Extent, table: Table, store: Store, progress: Progress | None) -> Cube:
    """The cube of this folder's content and this table; one that was finished earlier is used again."""
    key = f"training/{event.shakemap_id.code}-{table.digest[:8]}.zarr"
    try:
        return Cube.open(store, key)
    except NotFound:
        pass
    return build_cube(
        store,
        key,
        event=event.event,
        shaking=event.shaking,
        extent=extent,
        table=table,
        registry=SourceRegistry({}, {}).with_overrides(event.layers, others="the event folder has no such layer"),
        lineage={"source": "event folder"},
        progress=progress,
    )


def _scene(
    cube: Cube,
    event: EventFolder,
    channels: Sequence[str],
    table: Table,
    *,
    share: Raster,
    ignored: Mask,
    length_px: float,
) -> Scene:
    """Join channels and labels."""
    slides = share >= COVERED
    window = Window(0, 0, *cube.grid.shape)
    land, slope, pga, ln_std = cube.read(("land", "slope", "pga", "pga_ln_std"), window)
    mapped = (land == 1) & np.isfinite(slope) & ~ignored
    label = soft_label(slides, mapped, length_px=length_px)
    label[~(pga >= PGA_FLOOR_G)] = np.nan
    stack = cube.read(tuple(channels), window)
    statistics = event_statistics(cube, [c for c in channels if table[c].kind == "continuous"])
    return Scene(
        event.event.id,
        tuple(channels),
        stack,
        label,
        slides & mapped,
        ln_std,
        statistics,
        synthetic=event.event.synthetic,
        coverage=np.where(mapped, share, np.float32(0)),
    )


def mapped_extent(event: EventFolder) -> Extent:
    """The event grid over the folder's DEM: nothing is known about slides beyond it.

    Raises:
        InvalidInput: the folder has no DEM.
    """
    if "dem" not in event.layers:
        raise InvalidInput(f"{event.path / 'event.json'}: layers: expected dem, found {sorted(event.layers)}")
    crs = utm_crs(event.event.longitude, event.event.latitude)
    with rasterio.open(event.layers["dem"]["href"]) as dem:
        bounds = Bounds(*transform_bounds(dem.crs, crs.to_wkt(), *dem.bounds))
    return Extent(snapped_grid(bounds, crs), cut_by_shakemap_edge=True)


def landslide_masks(inventory: Inventory, grid: GeoBox) -> tuple[Mask, Mask]:
    """Hard labels and ignored ground (y, x) of an inventory; no pixel is both.

    A landslide pixel is covered by half or more. Raises InvalidInput as `landslide_coverage` does.
    """
    share, ignored = landslide_coverage(inventory, grid)
    return share >= COVERED, ignored


def landslide_coverage(inventory: Inventory, grid: GeoBox) -> tuple[Raster, Mask]:
    """Share of each pixel that landslides cover, and ignored ground (y, x), none of it covered by half or more.

    The share of a raster is 0 or 1. Ignored is what a polygon of another time touches, and all that
    lies outside a stated extent of mapping.

    Raises:
        InvalidInput: an attribute query of another form than `FIELD in [NUMBERS]`.
    """
    if inventory.href.suffix.lower() in {".tif", ".tiff"}:
        share = _raster_mask(inventory.href, grid).astype(np.float32)
    else:
        share = _share(_polygons(inventory.href, inventory.coseismic, grid), grid)
    ignored = np.zeros(grid.shape, dtype=bool)
    if inventory.ignore_href is not None:
        ignored = _raster_mask(inventory.ignore_href, grid)
        share[ignored] = 0  # unknown ground outranks a label beneath it, and does not become background
    elif inventory.ignore is not None:
        ignored = _touched(_polygons(inventory.href, inventory.ignore, grid), grid)
    if inventory.extent is not None:
        ignored |= ~_burn(_polygons(inventory.extent, None, grid), grid, all_touched=False)
    return share, ignored & (share < COVERED)


def _raster_mask(path: Path, grid: GeoBox) -> Mask:
    """Non-zero pixels of the first band, nearest on the grid; outside the raster False."""
    out = np.zeros(grid.shape, dtype=np.uint8)
    with rasterio.open(path) as source:
        values = (source.read(1) != 0).astype(np.uint8)
        reproject(
            values,
            out,
            src_transform=source.transform,
            src_crs=source.crs,
            dst_transform=grid.transform,
            dst_crs=str(grid.crs),
            resampling=Resampling.nearest,
        )
    return out.astype(bool)


def _polygons(path: Path, query: str | None, grid: GeoBox) -> list[shapely.Geometry]:
    """Polygons that answer the query, in the CRS of the grid."""
    import pyogrio.raw

    where = None if query is None else _sql(query, path)
    meta, _, geometries, _ = pyogrio.raw.read(path, columns=[], where=where, force_2d=True)
    to_grid = Transformer.from_crs(CRS.from_user_input(meta["crs"]), CRS.from_user_input(str(grid.crs)), always_xy=True)
    polygons = shapely.make_valid(shapely.from_wkb(geometries))
    projected = shapely.transform(polygons, lambda xy: np.column_stack(to_grid.transform(xy[:, 0], xy[:, 1])))
    return [p for p in projected if p is not None and not p.is_empty]


def _sql(query: str, path: Path) -> str:
    """The attribute query as OGR SQL."""
    match = QUERY.fullmatch(query)
    if match is None:
        raise InvalidInput(f"{path}: expected a query like 'Year_obs in [2005, 2006]', found {query!r}")
    return f'"{match["field"]}" {match["operator"].upper()} ({match["values"]})'


def _share(polygons: Sequence[shapely.Geometry], grid: GeoBox) -> Raster:
    """Share of each pixel that lies in some polygon."""
    height, width = grid.shape
    fine = grid.zoom_out(1 / OVERSAMPLING)
    burnt = _burn(polygons, fine, all_touched=False)
    return np.asarray(burnt.reshape(height, OVERSAMPLING, width, OVERSAMPLING).mean(axis=(1, 3), dtype=np.float32))


def _touched(polygons: Sequence[shapely.Geometry], grid: GeoBox) -> Mask:
    """Pixels that some polygon touches."""
    return _burn(polygons, grid, all_touched=True)


def _burn(polygons: Sequence[shapely.Geometry], grid: GeoBox, *, all_touched: bool) -> Mask:
    if not polygons:
        return np.zeros(grid.shape, dtype=bool)
    burnt = rasterize(polygons, out_shape=grid.shape, transform=grid.transform, all_touched=all_touched, dtype=np.uint8)
    return np.asarray(burnt, dtype=bool)


def split(scene: Scene, share: float, *, gap_px: int) -> tuple[Scene, Scene]:
    """Part a scene along its rows for a spatial hold-out: the northern `share` and the rest.

    Rows within `gap_px` of the line belong to neither part. Both keep the whole stack, so that a
    network sees each part with its surroundings; labels outside the part are unknown.
    """
    line = round(share * scene.label.shape[0])
    row = np.arange(scene.label.shape[0])[:, None]
    return (
        scene.only(row < line - gap_px, name=f"{scene.name}-north"),
        scene.only(row >= line + gap_px, name=f"{scene.name}-south"),
    )
