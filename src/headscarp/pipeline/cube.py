"""Build the data cube of an event: one path for training and for a new quake."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed

from headscarp.core.event import Event, Shaking
from headscarp.core.grid import Extent
from headscarp.core.pci.table import Table
from headscarp.core.tiling import YX, Window, blocks
from headscarp.core.types import Attributes
from headscarp.errors import InvalidInput
from headscarp.io.cubes.cube import SHARD, Cube
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.store import Store
from headscarp.pipeline.block import Block, Recipe, evaluate
from headscarp.pipeline.layers import Gaps, Layers, observed_after, open_layers

Progress = Callable[[int, int], None]
"""Called with blocks done and blocks in all."""


def build_cube(
    store: Store,
    key: str,
    *,
    event: Event,
    shaking: Shaking,
    extent: Extent,
    table: Table,
    registry: SourceRegistry,
    lineage: Attributes,
    progress: Progress | None = None,
    workers: int = 2,
    timeout_s: float = 30.0,
) -> Cube:
    """Write every channel of `table` over the extent, block by block, and finish the cube.

    Memory holds a few blocks, whatever the extent; the result does not depend on `workers`. What
    cannot be known is left NaN (code 0), and its reason recorded: a layer that is absent, in other
    classes, observed after the quake, or whose host does not answer. Only the DEM must be there.

    Args:
        store: where the cube goes.
        key: its key; an unfinished cube there is replaced.
        event: the quake, for its time, rake and the record.
        shaking: ground motion.
        extent: the event grid, and whether the ShakeMap's edge cuts it.
        table: rows to fill.
        registry: where layers come from.
        lineage: how event and shaking were found, copied into the attributes.
        progress: told after every block.
        workers: blocks worked on at a time.
        timeout_s: patience with one request to a source.

    Raises:
        InvalidInput: no DEM, a source that is not what it is said to be, or no land in the extent.
        SourceUnavailable: the DEM's host does not answer.
        StoreError: the cube cannot be written.
    """
    layers = open_layers(table, registry, event, shaking, extent.grid, timeout_s=timeout_s)
    recipe = Recipe(extent.grid, table, shaking, layers, Gaps())
    cube = Cube.create(store, key, extent.grid, table, _known_before(event, shaking, extent, lineage))
    done = _build_blocks(cube, recipe, workers, progress)
    tally = Tally(recipe, done)
    if tally.land == 0:
        raise InvalidInput(f"event {event.id}: no land in the extent: {tally.unknown_words(layers)}")
    return cube.finish(tally.attributes() | _dem_epoch(layers, event))


def _build_blocks(cube: Cube, recipe: Recipe, workers: int, progress: Progress | None) -> dict[Window, Block]:
    """Evaluate and write all blocks; what is returned holds counts only."""
    windows = list(blocks(YX(*recipe.grid.shape), SHARD))
    done: dict[Window, Block] = {}
    with ThreadPoolExecutor(workers, thread_name_prefix="cube") as pool:
        futures = {pool.submit(_build_block, cube, recipe, window): window for window in windows}
        try:
            for future in as_completed(futures):
                done[futures[future]] = future.result()
                if progress:
                    progress(len(done), len(windows))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {window: done[window] for window in windows}


def _build_block(cube: Cube, recipe: Recipe, window: Window) -> Block:
    block = evaluate(recipe, window)
    cube.write(window, block.values)
    block.values.clear()
    return block


class Tally:
    """What the blocks add up to."""

    def __init__(self, recipe: Recipe, done: Mapping[Window, Block]) -> None:
        self._recipe = recipe
        self._blocks = tuple(done.values())
        self.land = sum(block.land for block in self._blocks)
        self.evaluated_land = sum(block.land for block in self._blocks if block.skipped is None)
        self.valid = sum((Counter(block.valid) for block in self._blocks), Counter[str]())

    @property
    def missing(self) -> dict[str, str]:
        """Channels without any value, and why."""
        reasons = dict(self._recipe.layers.missing)
        for row in self._recipe.table:
            gap = self._recipe.gaps.reason(row.source or "")
            for channel in row.outputs:
                if channel not in reasons and self.valid[channel] == 0:
                    reasons[channel] = gap or self._no_value()
        return reasons

    def _no_value(self) -> str:
        if self.evaluated_land == 0:
            return "not made: PGA is below 0.02 g wherever there is land"
        return "its source holds no value on the land of this extent"

    def attributes(self) -> Attributes:
        """Attributes that are known after the last block."""
        missing = self.missing
        evaluated = sum((Counter(b.valid) for b in self._blocks if b.skipped is None), Counter[str]())
        shares = {c: round(evaluated[c] / max(self.evaluated_land, 1), 6) for c in self._recipe.table.channels}
        rejected = sum((Counter(block.rejected) for block in self._blocks), Counter[str]())
        pixel = abs(self._recipe.grid.transform.a * self._recipe.grid.transform.e)
        digest = hashlib.sha256("".join(block.digest for block in self._blocks).encode())
        return {
            "headscarp:missing": missing,
            "headscarp:gaps": self._recipe.gaps.to_json(),
            "headscarp:sources": self._recipe.layers.lineage(),
            "headscarp:land_km2": round(self.land * pixel / 1e6, 3),
            "headscarp:valid_fraction": shares,
            "headscarp:rejected_pixels": dict(rejected),
            "headscarp:skipped_blocks": dict(Counter(b.skipped for b in self._blocks if b.skipped)),
            "headscarp:blocks": len(self._blocks),
            "headscarp:content_digest": digest.hexdigest(),
        }

    def unknown_words(self, layers: Layers) -> str:
        """What the DEM says of an extent without land."""
        return f"DEM {layers.dem.spec.href} has {len(self._blocks)} block(s) of sea or without elevation there"


def _known_before(event: Event, shaking: Shaking, extent: Extent, lineage: Attributes) -> Attributes:
    """Attributes that are known before the first block."""
    facts = ("id", "title", "magnitude", "longitude", "latitude", "depth_km", "rake", "url")
    described = {name: getattr(event, name) for name in facts} | {"time": event.time.isoformat()}
    return {
        "title": ("SYNTHETIC " if event.synthetic else "") + f"Landslide control indicators, {event.title}",
        "headscarp:event": described,
        "headscarp:synthetic": event.synthetic,
        "headscarp:cut_by_shakemap_edge": extent.cut_by_shakemap_edge,
        "headscarp:shakemap": dict(shaking.attributes),
        "headscarp:peak_pga": shaking.peak_pga,
        "headscarp:lineage": lineage,
    }


def _dem_epoch(layers: Layers, event: Event) -> Attributes:
    return {"headscarp:dem_after_event": observed_after(layers.dem.spec, event)}
