"""Channels of the event on its own grid: ground motion, mechanism, and rasters of other triggers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import CRS

from headscarp.core.event import Event, Shaking
from headscarp.core.grid import PGA_FLOOR_G
from headscarp.core.pci.kernels import KERNELS, Layer
from headscarp.core.pci.table import Row, Table
from headscarp.core.tiling import Window
from headscarp.core.types import Attributes, Raster
from headscarp.core.warp import Positions, interpolate, project
from headscarp.errors import SourceUnavailable
from headscarp.io.cubes.variables import Encoding
from headscarp.io.inputs.rasters import RasterLayer
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.pipeline.block import within_range
from headscarp.pipeline.layers import Gaps
from headscarp.pipeline.plan import Plan
from headscarp.pipeline.recipe import missing_rows

_SHAKING = "shaking."
_EVENT = "event."
Static = Callable[[str, Window], Raster]
"""Values of a static channel over a window of the event grid, NaN where there is none."""


@dataclass(slots=True)
class Trigger:
    """What the event's own channels are made from, and why some cannot be."""

    grid: GeoBox
    table: Table
    event: Event
    shaking: Shaking | None
    rasters: dict[str, RasterLayer] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Reason by channel."""
    gaps: Gaps = field(default_factory=Gaps)

    @classmethod
    def of(
        cls, table: Table, registry: SourceRegistry, event: Event, shaking: Shaking | None, grid: GeoBox, *,
        timeout_s: float,
    ) -> Trigger:  # fmt: skip
        """Open whatever the table's event rows need; what does not answer is missing, with the reason.

        Raises:
            InvalidInput: a source can never be used for its row, or is not what the registry says.
        """
        trigger = cls(grid, table, event, shaking, missing=missing_rows(table, registry, table.of_event))
        for row in table.ordered():
            if row.per == "event" and row.outputs[0] not in trigger.missing:
                reason = trigger._lacking(row, registry, timeout_s)
                if reason:
                    trigger.missing.update(dict.fromkeys(row.outputs, reason))
        return trigger

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of the event that can be filled."""
        return tuple(row for row in self.table.of_event if row.outputs[0] not in self.missing)

    def _lacking(self, row: Row, registry: SourceRegistry, timeout_s: float) -> str | None:
        """Why a row cannot be filled; None if it can, and its source is then open."""
        if row.kernel:
            return next(filter(None, map(self._lacking_input, row.inputs)), None)
        source = row.source or ""
        if source.startswith(_SHAKING):
            return self._lacking_motion(source.removeprefix(_SHAKING))
        spec = registry[source]
        assert spec is not None  # noqa: S101  # else it is missing
        raster = RasterLayer(source, spec, timeout_s=timeout_s)
        try:
            raster.check()
        except SourceUnavailable as error:
            return str(error)
        self.rasters[source] = raster
        return None

    def _lacking_input(self, name: str) -> str | None:
        if name in self.missing:
            return f"needs {name}: {self.missing[name]}"
        fact = name.removeprefix(_EVENT)
        return f"the event has no {fact}" if fact != name and getattr(self.event, fact) is None else None

    def _lacking_motion(self, name: str) -> str | None:
        values = getattr(self.shaking, name) if self.shaking else None
        return None if values is not None and np.isfinite(values).any() else f"the ShakeMap has no {name}"

    def is_felt(self, window: Window) -> bool:
        """Whether the shaking somewhere reaches the floor, or is not what the table goes by."""
        row = next((row for row in self.rows if row.source == f"{_SHAKING}pga"), None)
        if row is None:
            return True
        # One pixel in 256 settles most windows; only a doubtful one is looked at pixel by pixel.
        coarse = self._geobox(window).zoom_out(16)
        clearly = bool((self._motion_on(row, coarse) >= 1.01 * PGA_FLOOR_G).any())
        return clearly or bool((self._motion(row, window) >= PGA_FLOOR_G).any())

    def make(self, window: Window, static: Static) -> EventBlock:
        """The event's channels over a window of the grid; features hold nothing at sea.

        Args:
            window: part of the grid.
            static: reads static channels, for kernels and for the sea.
        """
        block = EventBlock(static("land", window) if "land" in self.table.channels else _unknown(window))
        plan = Plan.of(self.rows)
        wide: dict[str, NDArray[Any]] = {}
        for row in self.rows:
            if row.source:
                area = window.padded(plan.reach_px.get(row.name, 0))
                self._put(block, row, row.name, self._sourced(row, area), area, window, wide)
        for group in plan.groups:
            area = window.padded(plan.outer_px(group))
            inner = area.padded(group.halo_px)
            given = {name: self._given(name, inner, wide, window, static, plan) for name in group.inputs}
            made = KERNELS[group.kernel].function(given, self._geobox(inner))
            for row in group.rows:
                for channel in row.outputs:
                    self._put(block, row, channel, made[channel][area.within(inner)], area, window, wide)
        block.settle(self.table)
        return block

    def _given(
        self, name: str, inner: Window, wide: Mapping[str, NDArray[Any]], window: Window, static: Static, plan: Plan
    ) -> Layer:
        """An input of a kernel over its window."""
        if name.startswith(_EVENT):
            value: float | None = getattr(self.event, name.removeprefix(_EVENT))
            return value
        if name in wide:
            found: Raster = wide[name][inner.within(window.padded(plan.reach_px[name]))]
            return found
        return static(name, inner)

    def _put(
        self, block: EventBlock, row: Row, channel: str, values: NDArray[Any], area: Window, window: Window,
        wide: dict[str, NDArray[Any]],
    ) -> None:  # fmt: skip
        """Keep a channel's part over the window, and all of it for the kernels."""
        checked, outside = within_range(values, row)
        if outside is not None:
            block.rejected[channel] = int(outside[window.within(area)].sum())
        wide[channel] = checked
        # What is kept is written to at sea: no other channel may share its memory.
        own = checked if window == area and checked.flags.owndata else np.array(checked[window.within(area)])
        block.values[channel] = own

    def _sourced(self, row: Row, window: Window) -> NDArray[Any]:
        source = row.source or ""
        if source.startswith(_SHAKING):
            return self._motion(row, window)
        layer, grid = self.rasters[source], self._geobox(window)
        if row.kind == "categorical":
            codes = self.gaps.read(source, lambda: layer.codes(grid, row.resampling or "nearest"))
            return np.zeros(tuple(grid.shape), np.uint8) if codes is None else codes
        found = self.gaps.read(source, lambda: layer.continuous(grid, row.resampling or "bilinear"))
        return _unknown(window) if found is None else found

    def _motion(self, row: Row, window: Window) -> Raster:
        """A field of the ShakeMap."""
        return self._motion_on(row, self._geobox(window))

    def _motion_on(self, row: Row, grid: GeoBox) -> Raster:
        assert self.shaking is not None  # noqa: S101  # else the row is missing
        at = _positions(grid, str(self.shaking.grid.crs))
        values = getattr(self.shaking, (row.source or "").removeprefix(_SHAKING))
        return interpolate(values, self.shaking.grid, at, ln=row.resampling == "bilinear_ln")

    def _geobox(self, window: Window) -> GeoBox:
        transform = self.grid.transform * Affine.translation(window.x, window.y)
        return GeoBox(wh_(window.width, window.height), transform, self.grid.crs)

    def lineage(self) -> Attributes:
        """What was read, by layer name."""
        return {name: raster.lineage() for name, raster in self.rasters.items()}


@dataclass(slots=True)
class EventBlock:
    """The event's channels over a window, and what was counted on the way."""

    ground: Raster
    """1 on land, 0 at sea, NaN where neither is known."""
    values: dict[str, NDArray[Any]] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    valid: dict[str, int] = field(default_factory=dict)
    """Land pixels with a value, by channel."""
    known: dict[str, int] = field(default_factory=dict)
    """Pixels with a value, by channel."""
    land: int = 0
    digest: str = ""

    def settle(self, table: Table) -> None:
        """Mask the sea, count, and take the digest of what is stored."""
        sea, on_land = self.ground == 0, self.ground == 1
        self.land, has_sea = int(on_land.sum()), bool(sea.any())
        digest = hashlib.sha256()
        for channel, values in sorted(self.values.items()):
            row = table[channel]
            if row.role == "feature" and has_sea:
                values[sea] = 0 if values.dtype == np.uint8 else np.nan
            encoding = Encoding.of(row)
            stored = encoding.pack(values)
            self.known[channel], self.valid[channel] = encoding.count_known(stored, on_land)
            digest.update(channel.encode())
            digest.update(np.ascontiguousarray(stored).data)
        self.digest = digest.hexdigest()


def _unknown(window: Window) -> Raster:
    return np.full((window.height, window.width), np.nan, np.float32)


@lru_cache(maxsize=8)
def _positions(grid: GeoBox, crs: str) -> Positions:
    """Where the pixels of a window lie on the ShakeMap: the same for all of its fields."""
    return project(grid, CRS.from_user_input(crs))
