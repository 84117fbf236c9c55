"""One block of the lattice: sources read once, kernels run once each, values kept on land only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from headscarp.core.lattice import BlockIndex, ZoneLattice
from headscarp.core.packing import any_outside
from headscarp.core.pci.kernels import FAULT_LIMIT_M, KERNELS, Layer
from headscarp.core.pci.table import Row
from headscarp.core.tiling import Window
from headscarp.core.types import Attributes, Mask, Raster
from headscarp.pipeline.layers import Layers
from headscarp.pipeline.plan import Group, Plan
from headscarp.pipeline.recipe import DEM
from headscarp.tables.legends import LEGENDS

Values = NDArray[Any]
"""(y, x): float32 with NaN, or uint8 class codes with 0, where there is no value."""
_SEA = f"{DEM}.sea"


@dataclass(slots=True)
class Block:
    """Channels of a block and what was counted on the way."""

    values: dict[str, Values] = field(default_factory=dict)
    land: Mask = field(default_factory=lambda: np.zeros((0, 0), dtype=bool))
    sea: int = 0
    """Sea pixels; where neither land nor sea is, the elevation is not known."""
    rejected: dict[str, int] = field(default_factory=dict)
    """Pixels whose value was outside the row's valid range, by channel."""
    holes: dict[str, str] = field(default_factory=dict)
    """Reason by channel whose source did not answer."""
    sources: Attributes = field(default_factory=dict)
    """Lineage by layer."""


@dataclass(frozen=True, slots=True)
class Field:
    """A layer over a window of the lattice."""

    values: Raster
    window: Window

    def cut(self, window: Window) -> Raster:
        """The part over a smaller window."""
        return self.values[window.within(self.window)]


def make_block(
    layers: Layers, rows: Sequence[Row], zone: ZoneLattice, index: BlockIndex, *, wanted: Sequence[Row]
) -> Block:
    """The wanted rows over one block; a function of block, rows and sources alone.

    Work is done on the box of the block's land, and a halo around it: what lies further off changes nothing.

    Args:
        layers: opened sources.
        rows: all static rows that have a source.
        zone: the lattice.
        index: which block.
        wanted: the rows to fill.

    Raises:
        InvalidInput: a source is not what it is said to be.
        SourceUnavailable: the DEM's host does not answer; other layers leave holes.
    """
    own = layers.apart()
    needed = _with_inputs(rows, wanted)
    work = _Work(own, zone, zone.window(index), Plan.of(needed), Block())
    work.read_dem(rows)
    if work.block.land.any():
        work.read_rasters(needed)
        work.run_kernels(needed)
    work.settle(rows, wanted)
    return work.block


def _with_inputs(rows: Sequence[Row], wanted: Sequence[Row]) -> tuple[Row, ...]:
    """The wanted rows and all they are derived from, in the order of `rows`."""
    by_channel = {channel: row for row in rows for channel in row.outputs}
    needed, pending = set(wanted), list(wanted)
    while pending:
        above = {by_channel[name] for name in pending.pop().inputs if name in by_channel}
        pending += above - needed
        needed |= above
    return tuple(row for row in rows if row in needed)


@dataclass(slots=True)
class _Work:
    """A block in the making."""

    layers: Layers
    zone: ZoneLattice
    core: Window
    plan: Plan
    block: Block
    fields: dict[str, Field] = field(default_factory=dict)
    """What kernels still need, with its halo."""
    land: Window = field(default_factory=lambda: Window(0, 0, 0, 0))
    """The box of the block's land."""
    known: Window = field(default_factory=lambda: Window(0, 0, 0, 0))
    """The box of all known elevations around it; outside is nothing that a kernel could read."""

    def read_dem(self, rows: Sequence[Row]) -> None:
        """Elevation and land; the block keeps its own part."""
        by_source = {row.source: row for row in rows if row.source in {DEM, _SEA}}
        reach = max((self.plan.reach_px.get(row.name, 0) for row in by_source.values()), default=0)
        padded = self.core.padded(reach)
        elevation, land = self.layers.dem.elevation(self.zone.geobox(padded), by_source[DEM].resampling or "bilinear")
        for source, values in ((DEM, elevation), (_SEA, land)):
            checked = self._validated(values, by_source[source], padded, by_source[source].name)
            self.fields[by_source[source].name] = Field(checked, padded)
            self.block.values[by_source[source].name] = checked[self.core.within(padded)]
        is_land = self.block.values[by_source[_SEA].name] == 1
        self.block.land, self.block.sea = is_land, int((self.block.values[by_source[_SEA].name] == 0).sum())
        self.land, self.known = _box(is_land, self.core), _box(np.isfinite(elevation), padded)
        self.block.sources[DEM] = self.layers.dem.lineage()

    def read_rasters(self, rows: Sequence[Row]) -> None:
        """Registry rasters on the land, and around it where a kernel reads them."""
        for row in rows:
            layer = self.layers.rasters.get(row.source or "")
            if layer is None:
                continue
            area = self.land.padded(self.plan.reach_px.get(row.name, 0))
            read: Callable[[GeoBox, str], Values] = layer.codes if row.kind == "categorical" else layer.continuous
            call = partial(read, self.zone.geobox(area), row.resampling or "nearest")
            found = self.layers.gaps.read(layer.name, call)
            if found is None:
                self.block.holes[row.outputs[0]] = self._gap(layer.name)
                continue
            self.block.sources[layer.name] = layer.lineage()
            values = self._validated(found, row, area, row.name)
            self._place(row.name, values, area)
            if row.name in self.plan.reach_px:
                self.fields[row.name] = Field(_as_raster(values), area)

    def run_kernels(self, rows: Sequence[Row]) -> None:
        """Each kernel once, on no more than what is asked of it; what nothing reads any more is dropped."""
        for n, group in enumerate(self.plan.groups):
            lacking = next((self.block.holes[name] for name in group.inputs if name in self.block.holes), None)
            outer = _common(self.land.padded(self.plan.outer_px(group)), self.known)
            inner = _common(outer.padded(group.halo_px), self.known)
            given = {} if lacking else self._inputs(group, inner)
            lacking = lacking or next((self._gap(name) for name in group.inputs if name not in given), None)
            if lacking:
                self.block.holes.update({c: lacking for row in group.rows for c in row.outputs})
                continue
            made = KERNELS[group.kernel].function(given, self.zone.geobox(inner))
            later = {name for other in self.plan.groups[n + 1 :] for name in other.inputs}
            self._keep(group, made, inner, outer, later)
            for name in [name for name in self.fields if name not in later]:
                del self.fields[name]

    def _inputs(self, group: Group, inner: Window) -> dict[str, Layer]:
        """Rasters cut to the window; lines near the block; nothing for lines whose layer does not cover it."""
        given: dict[str, Layer] = {n: self.fields[n].cut(inner) for n in group.inputs if n in self.fields}
        for name in group.inputs:
            lines = self.layers.lines.get(name)
            if lines is None:
                continue
            grid = self.zone.geobox(self.core)
            if not lines.covers(grid):
                given[name] = None
                continue
            near = self.layers.gaps.read(name, partial(lines.near, grid, reach_m=FAULT_LIMIT_M))
            if near is not None:
                given[name] = near
                self.block.sources[name] = lines.lineage()
        return given

    def _gap(self, name: str) -> str:
        return self.layers.gaps.reason(name) or f"needs {name}"

    def _keep(self, group: Group, made: Mapping[str, Raster], inner: Window, outer: Window, later: set[str]) -> None:
        """A group's outputs: the land for the block, more where a later kernel reads it."""
        for row in group.rows:
            for channel in row.outputs:
                values = self._validated(made[channel], row, inner, channel)
                self._place(channel, values, inner)
                if channel in later:
                    self.fields[channel] = Field(values[outer.within(inner)], outer)

    def _place(self, channel: str, values: Values, window: Window) -> None:
        """Put the part over the block's land into a block that holds nothing elsewhere."""
        part = _common(self.land, window)
        if part == self.core and self.block.land.all():
            self.block.values[channel] = values[part.within(window)].copy()
            return
        whole = np.full((self.core.height, self.core.width), _nothing(values), values.dtype)
        on_land = self.block.land[part.within(self.core)]
        np.copyto(whole[part.within(self.core)], values[part.within(window)], where=on_land)
        self.block.values[channel] = whole

    def settle(self, rows: Sequence[Row], wanted: Sequence[Row]) -> None:
        """Keep the wanted channels only; those that no land asked for hold nothing."""
        channels = [channel for row in rows if row in wanted for channel in row.outputs]
        shape = (self.core.height, self.core.width)
        kinds = {channel: row.kind for row in rows for channel in row.outputs}
        kept = {}
        for channel in channels:
            if channel in self.block.values:
                kept[channel] = self.block.values[channel]
            elif channel not in self.block.holes:
                codes = kinds[channel] == "categorical"
                kept[channel] = np.zeros(shape, np.uint8) if codes else np.full(shape, np.nan, np.float32)
        self.block.values = kept
        self.block.holes = {channel: reason for channel, reason in self.block.holes.items() if channel in channels}
        self.block.rejected = {c: n for c, n in self.block.rejected.items() if c in channels}

    def _validated(self, values: Values, row: Row, window: Window, channel: str) -> Values:
        """Values with those outside the row's valid range made NaN (or 0), counted over the block."""
        checked, outside = within_range(values, row)
        if outside is not None:
            part = _common(self.core, window)
            count = int(outside[part.within(window)].sum())
            if count:
                self.block.rejected[channel] = self.block.rejected.get(channel, 0) + count
        return checked


def within_range(values: Values, row: Row) -> tuple[Values, Mask | None]:
    """Values outside the row's range and codes outside its legend made NaN or 0, and where; None if nowhere."""
    if row.valid is None:
        return values, None
    if values.dtype == np.uint8 and row.legend is not None:
        unknown = np.ones(256, dtype=bool)
        unknown[[0, *LEGENDS[row.legend]]] = False
        outside = unknown[values]
    else:
        low, high = (np.float32(limit) for limit in row.valid)
        if not any_outside(values, low, high):
            return values, None
        outside = (values < low) | (values > high)
    if not outside.any():
        return values, None
    return np.where(outside, _nothing(values), values), outside


def _nothing(values: Values) -> Any:
    """What stands where there is no value."""
    return values.dtype.type(0 if values.dtype == np.uint8 else np.nan)


def _as_raster(values: Values) -> Raster:
    """Class codes as floats, NaN where unknown."""
    return np.where(values == 0, np.nan, values).astype(np.float32) if values.dtype == np.uint8 else values


def _box(mask: Mask, window: Window) -> Window:
    """The smallest window that holds what is true in a mask over `window`."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return Window(window.y, window.x, 0, 0)
    height, width = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
    return Window(window.y + int(rows[0]), window.x + int(columns[0]), height, width)


def _common(one: Window, other: Window) -> Window:
    """The pixels of both."""
    top, left = max(one.y, other.y), max(one.x, other.x)
    bottom = min(one.y + one.height, other.y + other.height)
    right = min(one.x + one.width, other.x + other.width)
    return Window(top, left, max(bottom - top, 0), max(right - left, 0))
