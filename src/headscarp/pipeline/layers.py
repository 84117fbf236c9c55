"""What the rows of a table can be filled from for one event, and what is missing, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

import numpy as np
from odc.geo.geobox import GeoBox

from headscarp.core.event import Event, Shaking
from headscarp.core.pci.kernels import FAULT_LIMIT_M, Layer
from headscarp.core.pci.table import Row, Table
from headscarp.core.types import Attributes
from headscarp.errors import InvalidInput, SourceUnavailable
from headscarp.io.inputs.rasters import RasterLayer
from headscarp.io.inputs.sources import SourceRegistry, SourceSpec
from headscarp.io.inputs.vectors import read_lines

SHOWS_SCARS = frozenset({"land_cover", "ndvi"})
"""Layers that show the landslides themselves when observed after the quake."""

T = TypeVar("T")


@dataclass(slots=True)
class Layers:
    """Opened sources, event facts, and the reasons why channels are missing."""

    dem: RasterLayer
    rasters: dict[str, RasterLayer] = field(default_factory=dict)
    """By layer name."""
    facts: dict[str, Layer] = field(default_factory=dict)
    """Kernel inputs that are no channels: polylines by layer name, and `event.<field>`."""
    missing: dict[str, str] = field(default_factory=dict)
    """Reason by channel."""
    sources: Attributes = field(default_factory=dict)
    """Lineage of vector layers by name; that of rasters is known after they were read."""

    def lineage(self) -> Attributes:
        """What was read, by layer name."""
        return {"dem": self.dem.lineage(), **{n: r.lineage() for n, r in self.rasters.items()}, **self.sources}


class Gaps:
    """Layers whose host stopped answering while blocks were built: recorded, and not asked again."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self._blocks: dict[str, int] = {}
        self._lock = Lock()

    def read(self, layer: str, call: Callable[[], T]) -> T | None:
        """The result of `call`, None where the layer's host does not answer."""
        if layer not in self._reasons:
            try:
                return call()
            except SourceUnavailable as error:
                with self._lock:
                    self._reasons.setdefault(layer, str(error))
        with self._lock:
            self._blocks[layer] = self._blocks.get(layer, 0) + 1
        return None

    def reason(self, layer: str) -> str | None:
        """Why a layer has gaps, None if it has none."""
        return self._reasons.get(layer)

    def to_json(self) -> Attributes:
        """Blocks without the layer, and the reason, by layer name."""
        return {name: {"blocks": n, "reason": self._reasons[name]} for name, n in sorted(self._blocks.items())}


def open_layers(
    table: Table, registry: SourceRegistry, event: Event, shaking: Shaking, grid: GeoBox, *, timeout_s: float
) -> Layers:
    """Open whatever the table's rows need.

    Raises:
        InvalidInput: there is no DEM, or a source is not what the registry says.
        SourceUnavailable: the DEM's host does not answer; any other layer is then missing, with the reason.
    """
    spec = registry["dem"]
    if spec is None:
        raise InvalidInput(f"no elevation: {registry.reason('dem')}")
    opened = Layers(RasterLayer("dem", spec, timeout_s=timeout_s))
    opened.dem.check()
    question = _Question(table, registry, event, shaking, grid, timeout_s)
    for row in table.ordered():
        reason = question.kernel_reason(row, opened) if row.kernel else question.source_reason(row, opened)
        if reason:
            opened.missing.update(dict.fromkeys(row.outputs, reason))
    return opened


@dataclass(frozen=True, slots=True)
class _Question:
    """Why a row cannot be filled; None if it can, and what it needs is then open."""

    table: Table
    registry: SourceRegistry
    event: Event
    shaking: Shaking
    grid: GeoBox
    timeout_s: float

    def source_reason(self, row: Row, opened: Layers) -> str | None:
        layer = row.source or ""
        family, _, name = layer.partition(".")
        if family == "dem":
            return None
        if family == "shaking":
            values = getattr(self.shaking, name)
            return None if values is not None and np.isfinite(values).any() else f"the ShakeMap has no {name}"
        spec = self.registry[layer]
        if spec is None:
            return self.registry.reason(layer)
        return self._unfit(row, layer, spec) or self._unopened(layer, spec, opened)

    def kernel_reason(self, row: Row, opened: Layers) -> str | None:
        for name in row.inputs:
            if name in self.table.channels:
                lacking = opened.missing.get(name)
                reason = lacking and f"needs {name}: {lacking}"
            elif name.startswith("event."):
                reason = self._fact_reason(name, opened)
            else:
                reason = self._lines_reason(name, opened)
            if reason:
                return reason
        return None

    def _unfit(self, row: Row, layer: str, spec: SourceSpec) -> str | None:
        """Why a source may not be used for a row. Raises InvalidInput if it never could be."""
        if spec.kind == "vector":
            raise InvalidInput(f"layer {layer}: expected a raster, found vector file {spec.href}")
        if spec.unit is not None and spec.unit != row.units:
            raise InvalidInput(f"layer {layer}: {spec.href}: expected unit {row.units!r}, found {spec.unit!r}")
        if row.legend is not None and spec.scheme != row.legend:
            return f"scheme {spec.scheme!r} is not {row.legend!r}"
        if layer in SHOWS_SCARS and observed_after(spec, self.event):
            return f"observed {spec.epoch}, not before the earthquake of {self.event.time:%Y-%m-%d}: may show its scars"
        return None

    def _unopened(self, layer: str, spec: SourceSpec, opened: Layers) -> str | None:
        raster = RasterLayer(layer, spec, timeout_s=self.timeout_s)
        try:
            raster.check()
        except SourceUnavailable as error:
            return str(error)
        opened.rasters[layer] = raster
        return None

    def _fact_reason(self, name: str, opened: Layers) -> str | None:
        value = getattr(self.event, name.removeprefix("event."))
        opened.facts[name] = value
        return f"the event has no {name.removeprefix('event.')}" if value is None else None

    def _lines_reason(self, name: str, opened: Layers) -> str | None:
        if name in opened.facts:
            return None
        spec = self.registry[name]
        if spec is None:
            return self.registry.reason(name)
        try:
            lines, identity = read_lines(name, spec, self.grid, reach_m=FAULT_LIMIT_M, timeout_s=self.timeout_s)
        except SourceUnavailable as error:
            return str(error)
        opened.facts[name] = lines
        kept = spec.model_dump(include={"kind", "href", "licence", "attribution", "epoch", "note"}, exclude_none=True)
        opened.sources[name] = kept | {"files": {spec.href: identity}, "lines": len(lines)}
        return None


def observed_after(spec: SourceSpec, event: Event) -> bool | None:
    """Whether a source was observed at or after the quake; None where its epoch is not stated."""
    until = spec.observed_until
    return None if until is None else until >= event.time
