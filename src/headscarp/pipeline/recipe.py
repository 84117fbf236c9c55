"""What a block of the lattice is a function of: static rows, kernel versions and sources, as plain values.

The digest of a recipe is part of every block's key. An event's shaking, time and mechanism never enter it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from headscarp.core.event import Event
from headscarp.core.lattice import BLOCK
from headscarp.core.pci.kernels import KERNELS
from headscarp.core.pci.table import Row, Table
from headscarp.core.types import Attributes
from headscarp.errors import InvalidInput
from headscarp.io.cubes.lattice import FORMAT
from headscarp.io.inputs.origin import identify, is_remote
from headscarp.io.inputs.sources import SourceRegistry, SourceSpec
from headscarp.tables.legends import LEGENDS

DEM = "dem"
SHOWS_SCARS = frozenset({"land_cover", "ndvi"})
"""Layers that show the landslides themselves when observed after the quake."""
_TERMS = {"licence", "attribution", "note", "resolution", "epoch", "published"}
"""Of a source; they change no value."""


@dataclass(frozen=True, slots=True)
class StaticRecipe:
    """Everything that decides the values of static channels; equal where the digests are."""

    digest: str
    rows: tuple[Row, ...] = field(compare=False)
    """Static rows of the table."""
    sources: tuple[tuple[str, SourceSpec], ...] = field(compare=False)
    """Specification by layer name."""
    missing: tuple[tuple[str, str], ...] = field(compare=False)
    """Reason by channel that no block can have: no source, or one in other classes."""
    described: str = field(compare=False)
    """What the digest was taken of, as JSON."""
    block: int = BLOCK

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that a complete block has."""
        missing = dict(self.missing)
        return tuple(channel for row in self.rows for channel in row.outputs if channel not in missing)

    def source(self, layer: str) -> SourceSpec | None:
        """The specification of a layer, None where it is absent."""
        return dict(self.sources).get(layer)


def static_recipe(
    table: Table, registry: SourceRegistry, *, block: int = BLOCK, timeout_s: float = 30.0
) -> StaticRecipe:
    """The recipe of a table's static rows with these sources.

    Raises:
        InvalidInput: there is no DEM, or a source can never be used for its row.
    """
    rows = table.static
    spec = registry[DEM]
    if spec is None:
        raise InvalidInput(f"no elevation: {registry.reason(DEM)}")
    missing = missing_rows(table, registry, rows)
    layers = {layer_of(row.source) for row in rows if row.source}
    layers |= {name for row in rows for name in row.inputs if name not in table.channels}
    found = {name: registry[name] for name in sorted(layers)}
    described: Attributes = {
        "format": FORMAT,
        "block": block,
        "rows": [asdict(row) for row in sorted(rows, key=lambda row: row.name)],
        "kernels": {row.kernel: KERNELS[row.kernel].version for row in rows if row.kernel},
        "legends": {row.legend: sorted(LEGENDS[row.legend]) for row in rows if row.legend},
        "sources": {name: spec and identity_of(spec, timeout_s=timeout_s) for name, spec in found.items()},
    }
    text = json.dumps(described, sort_keys=True)
    return StaticRecipe(
        hashlib.sha256(text.encode()).hexdigest(),
        rows,
        tuple((name, spec) for name, spec in found.items() if spec is not None),
        tuple(missing.items()),
        text,
        block,
    )


def layer_of(source: str) -> str:
    """Layer of the source registry behind a row's source: `dem.sea` is made from `dem`."""
    return source.partition(".")[0]


def identity_of(spec: SourceSpec, *, timeout_s: float) -> Attributes:
    """What decides a source's values: of a local file its content, wherever it lies; of others their address."""
    plain = spec.model_dump(mode="json", exclude=_TERMS | {"fallback"}, exclude_none=True)
    if spec.kind != "tiles" and not is_remote(spec.href):
        plain["href"] = identify(spec.href, timeout_s=timeout_s)
    return plain | {"fallback": [identity_of(other, timeout_s=timeout_s) for other in spec.fallback]}


def missing_rows(table: Table, registry: SourceRegistry, rows: Iterable[Row]) -> dict[str, str]:
    """Channels that no source can fill, and why; whatever is derived from them is missing too.

    Raises:
        InvalidInput: a source can never be used for its row.
    """
    asked = set(rows)
    reasons: dict[str, str] = {}
    for row in table.ordered():
        if row in asked:
            lacking = _lacking_input(table, registry, row, reasons) if row.kernel else _unfit(row, registry)
            if lacking:
                reasons.update(dict.fromkeys(row.outputs, lacking))
    return reasons


def _unfit(row: Row, registry: SourceRegistry) -> str | None:
    """Why the registry's source may not be used for a row. Raises InvalidInput if it never could be."""
    layer = layer_of(row.source or "")
    if layer in {DEM, "shaking"}:
        return None
    spec = registry[layer]
    if spec is None:
        return registry.reason(layer)
    if spec.kind == "vector":
        raise InvalidInput(f"layer {layer}: expected a raster, found vector file {spec.href}")
    if spec.unit is not None and spec.unit != row.units:
        raise InvalidInput(f"layer {layer}: {spec.href}: expected unit {row.units!r}, found {spec.unit!r}")
    if row.legend is not None and spec.scheme != row.legend:
        return f"scheme {spec.scheme!r} is not {row.legend!r}"
    return None


def _lacking_input(table: Table, registry: SourceRegistry, row: Row, reasons: Mapping[str, str]) -> str | None:
    """Why an input of a derived row is not there."""
    for name in row.inputs:
        if name in reasons:
            return f"needs {name}: {reasons[name]}"
        if name not in table.channels and not name.startswith("event.") and registry[name] is None:
            return registry.reason(name)
    return None


def refused_after(table: Table, registry: SourceRegistry, event: Event) -> dict[str, str]:
    """Channels whose source was observed after the quake and may show its scars, and what is derived from them."""
    reasons: dict[str, str] = {}
    for row in table.ordered():
        spec = registry[layer_of(row.source or "")] if row.source in SHOWS_SCARS else None
        reason = next((f"needs {name}: {reasons[name]}" for name in row.inputs if name in reasons), None)
        if spec is not None and observed_after(spec, event):
            reason = f"observed {spec.epoch}, not before the earthquake of {event.time:%Y-%m-%d}: may show its scars"
        if reason:
            reasons.update(dict.fromkeys(row.outputs, reason))
    return reasons


def observed_after(spec: SourceSpec, event: Event) -> bool | None:
    """Whether a source was observed at or after the quake; None where its epoch is not stated."""
    until = spec.observed_until
    return None if until is None else until >= event.time


def recipe_attributes(recipe: StaticRecipe) -> Attributes:
    """What the digest was taken of, for the lattice's attributes."""
    found: dict[str, Any] = json.loads(recipe.described)
    return found
