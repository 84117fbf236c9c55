"""One block of a cube: sources read with their halo, kernels run once each, the sea masked."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import CRS

from headscarp.core.event import Shaking
from headscarp.core.grid import PGA_FLOOR_G
from headscarp.core.pci.kernels import KERNELS
from headscarp.core.pci.table import Row, Table
from headscarp.core.tiling import Window
from headscarp.core.types import Raster
from headscarp.core.warp import Positions, interpolate, project
from headscarp.pipeline.layers import Gaps, Layers

Values = NDArray[Any]
"""(y, x): float32 with NaN, or uint8 class codes with 0, where there is no value."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a block is a function of."""

    grid: GeoBox
    table: Table
    shaking: Shaking
    layers: Layers
    gaps: Gaps

    @property
    def halo_px(self) -> int:
        """Reach of the table in pixels."""
        return math.ceil(self.table.halo_all_m / abs(self.grid.transform.a) - 1e-9)

    def is_haloed(self, row: Row) -> bool:
        """Whether a kernel reads the row around its pixel."""
        return any(row.name in other.inputs for other in self.table)

    @property
    def shaking_rows(self) -> list[Row]:
        """Rows that the ShakeMap fills."""
        return [r for r in self.table if (r.source or "").startswith("shaking.") and r.name not in self.layers.missing]

    def shaking_at(self, window: Window) -> Positions:
        """Pixel centres of a window on the ShakeMap."""
        return project(self.geobox(window), CRS.from_user_input(str(self.shaking.grid.crs)))

    def shaken(self, row: Row, at: Positions) -> Raster:
        """A field of the ShakeMap at these positions."""
        values = getattr(self.shaking, (row.source or "").removeprefix("shaking."))
        return interpolate(values, self.shaking.grid, at, ln=row.resampling == "bilinear_ln")

    def geobox(self, window: Window) -> GeoBox:
        """The grid of a window, which may reach outside the event grid."""
        transform = self.grid.transform * Affine.translation(window.x, window.y)
        return GeoBox(wh_(window.width, window.height), transform, self.grid.crs)


@dataclass(slots=True)
class Block:
    """Channels of a window and what was counted on the way."""

    values: dict[str, Values] = field(default_factory=dict)
    land: int = 0
    """Land pixels."""
    skipped: str | None = None
    """Why only shaking and elevation are there."""
    valid: dict[str, int] = field(default_factory=dict)
    """Land pixels with a value, by channel."""
    rejected: dict[str, int] = field(default_factory=dict)
    """Pixels whose value was outside the row's valid range, by channel."""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A kernel, and the rows it fills."""

    kernel: str
    rows: tuple[Row, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """What its rows read, together."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.inputs))


def kernel_groups(table: Table) -> tuple[Group, ...]:
    """Kernels in an order in which each finds its inputs ready.

    Raises:
        ValueError: rows that share a kernel depend on each other.
    """
    by_kernel: dict[str, list[Row]] = {}
    for row in table.ordered():
        if row.kernel:
            by_kernel.setdefault(row.kernel, []).append(row)
    pending = [Group(kernel, tuple(rows)) for kernel, rows in by_kernel.items()]
    made_by = {channel: group.kernel for group in pending for row in group.rows for channel in row.outputs}
    ordered: list[Group] = []
    while pending:
        done = {group.kernel for group in ordered}
        ready = [g for g in pending if all(made_by.get(i) in {None, *done} for i in g.inputs)]
        if not ready:
            raise ValueError(f"table {table.name}: kernels wait for each other: {[g.kernel for g in pending]}")
        ordered += ready
        pending = [g for g in pending if g not in ready]
    return tuple(ordered)


def evaluate(recipe: Recipe, window: Window) -> Block:
    """All channels of a window.

    Where no shaking reaches 0.02 g, or no land is, only shaking and elevation are made.
    """
    block = Block()
    _read_shaking(recipe, window, block)
    weak = _is_weak(recipe.table, block)
    padded = window if weak else window.padded(recipe.halo_px)
    wide = _read_dem(recipe, padded, window, block)
    land = block.values["land"]
    block.land = int((land == 1).sum())
    block.skipped = "PGA below 0.02 g" if weak else _landless(land)
    if block.skipped is None:
        _read_layers(recipe, window, padded, wide, block)
        _run_kernels(recipe, window, padded, wide, block)
    _mask_sea(recipe.table, land, block)
    _count(recipe.table, land, block)
    return block


def _is_weak(table: Table, block: Block) -> bool:
    """Whether the shaking is known and nowhere reaches the floor."""
    pga = next((block.values.get(r.name) for r in table if r.source == "shaking.pga"), None)
    return pga is not None and not bool((pga >= PGA_FLOOR_G).any())


def _landless(land: Values) -> str | None:
    """Why a block without land has none."""
    if (land == 1).any():
        return None
    return "sea" if (land == 0).any() else "no elevation"


def _read_shaking(recipe: Recipe, window: Window, block: Block) -> None:
    at = recipe.shaking_at(window)
    for row in recipe.shaking_rows:
        values = recipe.shaken(row, at)
        block.values[row.name] = _validated(values, row, block, (slice(None), slice(None)))


def _read_dem(recipe: Recipe, padded: Window, window: Window, block: Block) -> dict[str, Raster]:
    """Elevation and land with their halo; the block keeps their core."""
    rows = {row.source: row for row in recipe.table if row.source in {"dem", "dem.sea"}}
    resampling = rows["dem"].resampling or "bilinear"
    elevation, land = recipe.layers.dem.elevation(recipe.geobox(padded), resampling)
    core = window.within(padded)
    wide = {}
    for source, values in (("dem", elevation), ("dem.sea", land)):
        row = rows[source]
        wide[row.name] = _validated(values, row, block, core)
        block.values[row.name] = wide[row.name][core].copy()
    return wide


def _read_layers(recipe: Recipe, window: Window, padded: Window, wide: dict[str, Raster], block: Block) -> None:
    """Registry rasters; with a halo, as the ShakeMap's fields, where a kernel reads them."""
    for row in filter(recipe.is_haloed, recipe.shaking_rows):
        wide[row.name] = recipe.shaken(row, recipe.shaking_at(padded))
    for row in recipe.table:
        layer = recipe.layers.rasters.get(row.source or "")
        if layer is None or row.name in recipe.layers.missing:
            continue
        haloed = recipe.is_haloed(row)
        area = padded if haloed else window
        read: Callable[[GeoBox, str], Values] = layer.codes if row.kind == "categorical" else layer.continuous
        found = recipe.gaps.read(layer.name, partial(read, recipe.geobox(area), row.resampling or "nearest"))
        if found is None:
            continue
        core = window.within(area)
        values = _validated(found, row, block, core)
        block.values[row.name] = values[core].copy()
        if haloed:
            wide[row.name] = _as_raster(values) if row.kind == "categorical" else values


def _run_kernels(recipe: Recipe, window: Window, padded: Window, wide: dict[str, Raster], block: Block) -> None:
    """Each kernel once; halos are dropped as soon as nothing reads them any more."""
    grid, core = recipe.geobox(padded), window.within(padded)
    groups = kernel_groups(recipe.table)
    for n, group in enumerate(groups):
        rows = [r for r in group.rows if r.outputs[0] not in recipe.layers.missing]
        known = {**recipe.layers.facts, **wide}
        rows = [r for r in rows if all(i in known for i in r.inputs)]
        if rows:
            made = KERNELS[group.kernel].function({i: known.get(i) for i in group.inputs}, grid)
            later = {name for other in groups[n + 1 :] for name in other.inputs}
            for row in rows:
                _keep(row, made, core, later, wide, block)
            wide_names = [name for name in wide if name not in later]
            for name in wide_names:
                del wide[name]


def _keep(
    row: Row,
    made: Mapping[str, Raster],
    core: tuple[slice, slice],
    later: set[str],
    wide: dict[str, Raster],
    block: Block,
) -> None:
    """A row's outputs: the core for the cube, the halo where a later kernel reads it."""
    for channel in row.outputs:
        values = _validated(made[channel], row, block, core, channel)
        block.values[channel] = values[core].copy()
        if channel in later:
            wide[channel] = values


def _validated(values: Values, row: Row, block: Block, core: tuple[slice, slice], channel: str | None = None) -> Values:
    """Values with those outside the row's valid range made NaN (or 0), counted over the core."""
    if row.valid is None:
        return values
    low, high = row.valid
    codes = values.dtype == np.uint8
    outside = (values < low) | (values > high)
    if codes:
        outside &= values != 0
    if outside.any():
        count = int(outside[core].sum())
        name = channel or row.name
        if count:
            block.rejected[name] = block.rejected.get(name, 0) + count
        values = np.where(outside, values.dtype.type(0 if codes else np.nan), values)
    return values


def _as_raster(codes: Values) -> Raster:
    """Class codes as floats, NaN where unknown."""
    return np.where(codes == 0, np.nan, codes).astype(np.float32)


def _mask_sea(table: Table, land: Raster, block: Block) -> None:
    sea = land == 0
    if not sea.any():
        return
    for channel, values in block.values.items():
        if table[channel].role == "feature":
            values[sea] = 0 if values.dtype == np.uint8 else np.nan


def _count(table: Table, land: Raster, block: Block) -> None:
    """Count valid land pixels, and take the digest of all values."""
    digest = hashlib.sha256()
    on_land = land == 1
    for channel in table.channels:
        values = block.values.get(channel)
        if values is None:
            continue
        known = values != 0 if values.dtype == np.uint8 else np.isfinite(values)
        block.valid[channel] = int((known & on_land).sum())
        digest.update(channel.encode())
        digest.update(np.ascontiguousarray(values).data)
    block.digest = digest.hexdigest()
