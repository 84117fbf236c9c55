"""Build the data cube of an event: one path for training and for a new quake.

Static blocks come from the lattice of the event's UTM zone, and are made first where they are not there yet;
what the event itself brings is computed on its own grid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

from headscarp.core.event import Event, Shaking
from headscarp.core.grid import Extent
from headscarp.core.lattice import BLOCK, BlockIndex, ZoneLattice
from headscarp.core.pci.table import Table
from headscarp.core.tiling import YX, Window, blocks
from headscarp.core.types import Attributes
from headscarp.errors import InvalidInput
from headscarp.io.cubes.cube import LATTICE, Cube
from headscarp.io.cubes.variables import SHARD
from headscarp.io.cubes.view import StaticView
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.store import Store
from headscarp.pipeline.fill import Filled, Order, fill_zone, group_of
from headscarp.pipeline.recipe import DEM, StaticRecipe, refused_after, static_recipe
from headscarp.pipeline.tally import Tally
from headscarp.pipeline.trigger import EventBlock, Trigger

Progress = Callable[[int, int], None]
"""Called with parts done and parts in all."""
WAITING = 1
"""Threads beside those that compute: one is always reading a source or writing to the store."""


def build_cube(
    store: Store,
    key: str,
    *,
    event: Event,
    shaking: Shaking | None,
    extent: Extent,
    table: Table,
    registry: SourceRegistry,
    lineage: Attributes,
    progress: Progress | None = None,
    workers: int = 2,
    timeout_s: float = 30.0,
    executor: Executor | None = None,
    block: int = BLOCK,
) -> Cube:
    """Fill every channel of `table` over the extent, block by block, and finish the cube.

    Memory holds a few blocks, whatever the extent; the result depends neither on `workers` nor on `executor`.
    What cannot be known is NaN (code 0), and its reason recorded: a layer that is absent, in other classes,
    observed after the quake, or whose host does not answer. Only the DEM must be there.

    Args:
        store: where the cube and the lattice are.
        key: the cube's key; an unfinished cube there is replaced.
        event: the quake, for its time, rake and the record.
        shaking: ground motion; None for tables that have none.
        extent: the event grid, and whether the ShakeMap's edge cuts it.
        table: rows to fill.
        registry: where layers come from.
        lineage: how event and shaking were found, copied into the attributes.
        progress: told after every part.
        workers: cores of this process.
        timeout_s: patience with one request to a source.
        executor: where lattice blocks are made; threads of this process where None.
        block: pixels along the side of a lattice block.

    Raises:
        InvalidInput: no DEM, a source that is not what it is said to be, a grid that is not on the lattice of a UTM
            zone, or no land in the extent.
        SourceUnavailable: the DEM's host does not answer.
        StoreError: the cube cannot be written.
    """
    zone = _zone(extent, block)
    recipe = static_recipe(table, registry, block=block, timeout_s=timeout_s)
    order = Order(store.url, recipe, zone.epsg, timeout_s=timeout_s)
    trigger = Trigger.of(table, registry, event, shaking, extent.grid, timeout_s=timeout_s)
    cube = Cube.create(store, key, extent.grid, table, _known_before(event, shaking, extent, lineage))
    windows = list(blocks(YX(*extent.grid.shape), SHARD))
    with ThreadPoolExecutor(workers + WAITING, thread_name_prefix="cube") as threads:
        felt = _felt(zone, trigger, threads)
        strong = [index for index, is_felt in felt.items() if is_felt]
        steps = _Steps(progress, len(strong) + len(windows))
        filled = fill_zone(order, strong, executor or threads, steps.advance)
        shape = YX(*extent.grid.shape)
        view = StaticView(group_of(order), zone.offset(extent.grid), strong, _holes(recipe, filled), shape)
        made = _event_blocks(cube, trigger, view, windows, threads, steps)
    tally = Tally(table, recipe, trigger, felt, filled, made)
    if strong and tally.land == 0:
        raise InvalidInput(f"event {event.id}: no land in the extent: {_unknown_words(recipe, len(strong))}")
    return cube.finish(tally.attributes(refused_after(table, registry, event)) | _lattice(recipe, view, tally))


@dataclass(slots=True)
class _Steps:
    """Counts what is done, for whoever watches."""

    progress: Progress | None
    total: int
    done: int = 0

    def advance(self, to: int) -> None:
        """So many are done."""
        self.done = to
        if self.progress:
            self.progress(to, self.total)


def _zone(extent: Extent, block: int) -> ZoneLattice:
    try:
        return ZoneLattice.under(extent.grid, block=block)
    except ValueError as error:
        raise InvalidInput(f"event grid: {error}") from error


def _felt(zone: ZoneLattice, trigger: Trigger, threads: Executor) -> dict[BlockIndex, bool]:
    """Blocks under the grid, and whether the shaking reaches the floor anywhere in their part of it."""
    at = zone.offset(trigger.grid)
    whole = Window(at.y, at.x, *trigger.grid.shape)
    indices = zone.blocks_under(trigger.grid)
    parts = [zone.part(index, whole) for index in indices]
    windows = [Window(part.y - at.y, part.x - at.x, part.height, part.width) for part in parts]
    return dict(zip(indices, threads.map(trigger.is_felt, windows), strict=True))


def _holes(recipe: StaticRecipe, filled: Mapping[BlockIndex, Filled]) -> dict[str, set[BlockIndex]]:
    """Blocks that lack a channel, by channel."""
    return {
        channel: {index for index, found in filled.items() if channel not in found.record.channels}
        for channel in recipe.channels
    }


def _event_blocks(
    cube: Cube,
    trigger: Trigger,
    view: StaticView,
    windows: Sequence[Window],
    threads: Executor,
    steps: _Steps,
) -> tuple[EventBlock, ...]:
    """Make and write the event's channels; what is returned holds counts only."""

    def make(window: Window) -> EventBlock:
        block = trigger.make(window, view.read)
        cube.write(window, block.values)
        block.values.clear()
        return block

    made = []
    for block in threads.map(make, windows):
        made.append(block)
        steps.advance(steps.done + 1)
    return tuple(made)


def _lattice(recipe: StaticRecipe, view: StaticView, tally: Tally) -> Attributes:
    """Which blocks the cube is made of, and which of them were read and which computed."""
    by_key = {computed: tally.keys(computed=computed) for computed in (False, True)}
    counted = {"digest": recipe.digest, "read": by_key[False], "computed": by_key[True]}
    return {LATTICE: view.to_json(tally.digests) | counted}


def _unknown_words(recipe: StaticRecipe, count: int) -> str:
    """What the DEM says of an extent without land."""
    spec = recipe.source(DEM)
    return f"DEM {spec.href if spec else ''} has {count} block(s) of sea or without elevation there"


def _known_before(event: Event, shaking: Shaking | None, extent: Extent, lineage: Attributes) -> Attributes:
    """Attributes that are known before the first block."""
    facts = ("id", "title", "magnitude", "longitude", "latitude", "depth_km", "rake", "url")
    described = {name: getattr(event, name) for name in facts} | {"time": event.time.isoformat()}
    motion = {"headscarp:shakemap": dict(shaking.attributes), "headscarp:peak_pga": shaking.peak_pga} if shaking else {}
    return {
        "title": ("SYNTHETIC " if event.synthetic else "") + f"Landslide control indicators, {event.title}",
        "headscarp:event": described,
        "headscarp:synthetic": event.synthetic,
        "headscarp:cut_by_shakemap_edge": extent.cut_by_shakemap_edge,
        "headscarp:lineage": lineage,
        **motion,
    }
