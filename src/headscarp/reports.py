"""What ingests and archives came to, as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from headscarp.io.inputs.earthquakes import EarthquakeRegistry
from headscarp.io.inputs.inventory import LandslideInventory
from headscarp.io.outputs.report.ranking import group_label
from headscarp.pipeline.collect import Outcome
from headscarp.pipeline.ingest import Ingested

_FATES = {"accepted": "green", "repaired": "cyan", "ignored": "yellow", "refused": "red"}
_VERDICTS = {"met": "green", "not contradicted": "green", "doubtful": "yellow", "not met": "red"}
_STATES = {"done": "green", "kept": "cyan", "absent": "dim", "failed": "red"}


def ingested(made: Ingested) -> RenderableType:
    """Fates with reasons, the paper's criteria, and what had to be assumed."""
    inventory = made.inventory
    extent = f"mapped extent: {inventory.extent.area_km2:.1f} km2, {inventory.extent.rule}"
    lines = [f"dates: {inventory.dating}", extent, *inventory.notes]
    return Group(_fates(inventory, made.event.title), _criteria(inventory), *(Text(line) for line in lines))


def outcomes(found: Sequence[Outcome]) -> RenderableType:
    """One line per earthquake of an archive; those without an inventory are counted only."""
    table = Table("earthquake", "state", "landslides", "seconds", "why", title="training archive")
    for outcome in found:
        if outcome.state == "absent":
            continue
        state = Text(outcome.state + (" (try again)" if outcome.retry else ""), style=_STATES[outcome.state])
        numbers = (f"{outcome.landslides}", f"{outcome.seconds:.1f}") if outcome.state == "done" else ("", "")
        table.add_row(Text(outcome.name), state, *numbers, Text(outcome.reason))
    absent = sum(outcome.state == "absent" for outcome in found)
    hint = "`headscarp dataset list` says where public ones lie"
    return Group(table, Text(f"{absent} without an inventory: {hint}" if absent else ""))


def earthquakes(registry: EarthquakeRegistry) -> RenderableType:
    """The registry, one line per earthquake."""
    table = Table("key", "date", "M", "region", "status", "USGS id", "public inventory", title="earthquakes")
    for quake in registry:
        public = registry.public_inventory(quake)
        where = "" if public is None else public.url or f"doi:{public.doi}"
        status = f"{quake.status}, excluded" if quake.excluded else quake.status
        row = (quake.key, f"{quake.date}", f"{quake.magnitude:.1f}", quake.region, status, quake.usgs_id or "", where)
        table.add_row(*map(Text, row))
    return table


def selection(trace: Mapping[str, Any]) -> RenderableType:
    """Information gain of each indicator and what became of it, a table for each group."""
    return Group(*(_selected(group) for group in trace["groups"]))


def _selected(group: Mapping[str, Any]) -> Table:
    table = Table("indicator", "bits", "interval", "noise", "kept", title=group_label(group))
    removed = {s["removed"]: s["rule"] for s in group["selection"]["steps"] if s["removed"]}
    for gain in group["gains"]:
        between = "" if gain["low"] is None else f"{gain['low']:.4f} to {gain['high']:.4f}"
        fate = f"no: {removed[gain['name']]}" if gain["name"] in removed else "yes"
        table.add_row(Text(gain["name"]), f"{gain['bits']:.4f}", between, f"{gain['floor']:.4f}", fate)
    for name, scenes in group["unknown"].items():
        table.add_row(Text(name), "", "", "", Text(f"unknown in {', '.join(scenes)}"))
    return table


def _fates(inventory: LandslideInventory, title: str) -> Table:
    table = Table("fate", "why", "features", "km2", "for instance", title=f"{title}: {inventory.source}")
    for tally in inventory.tallies:
        fate = Text(tally.fate, style=_FATES[tally.fate])
        table.add_row(fate, Text(tally.reason), f"{tally.features}", f"{tally.area_km2:.3f}", Text(tally.example))
    return table


def _criteria(inventory: LandslideInventory) -> Table:
    table = Table("criterion of the paper", "verdict", "found", "cannot be told from the file")
    for criterion in inventory.criteria:
        verdict = Text(criterion.verdict, style=_VERDICTS[criterion.verdict])
        table.add_row(Text(criterion.name), verdict, Text(criterion.found), Text(criterion.unchecked))
    return table
