"""Fill the lattice: independent block tasks, run by whatever `concurrent.futures.Executor` is given."""

from __future__ import annotations

import hashlib
import os
import sys
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from headscarp.core.lattice import BlockIndex, ZoneLattice
from headscarp.core.pci.table import Row
from headscarp.errors import Unavailable
from headscarp.io.cubes.lattice import BlockRecord, ChannelRecord, LatticeGroup
from headscarp.io.cubes.variables import Encoding, Stored
from headscarp.io.store import Store, open_store
from headscarp.pipeline.block import Block, make_block
from headscarp.pipeline.layers import layers_of
from headscarp.pipeline.recipe import StaticRecipe, recipe_attributes

Progress = Callable[[int, int], None]
"""Called with blocks done and blocks in all."""


@dataclass(frozen=True, slots=True)
class Order:
    """What every block of a build has in common; plain values, so that it travels to other processes."""

    store: str
    """URL."""
    recipe: StaticRecipe
    epsg: int
    session: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Of the build: hosts that went away are asked again by the next one."""
    timeout_s: float = 30.0

    @property
    def zone(self) -> ZoneLattice:
        """The lattice that is filled."""
        return ZoneLattice(self.epsg, self.recipe.block)


@dataclass(frozen=True, slots=True)
class Filled:
    """A block as it now stands."""

    index: BlockIndex
    record: BlockRecord
    computed: bool
    """Whether anything was made now, or all of it stood there already."""
    holes: dict[str, str] = field(default_factory=dict)
    """Reason by channel that this build goes without."""


def existing(order: Order, indices: Sequence[BlockIndex]) -> dict[BlockIndex, Filled]:
    """Those of the blocks that lack nothing."""
    records = group_of(order).records(indices)
    wanted = set(order.recipe.channels)
    return {i: Filled(i, found, computed=False) for i, found in records.items() if wanted <= set(found.channels)}


def fill_zone(
    order: Order, indices: Sequence[BlockIndex], executor: Executor | None, tell: Callable[[int], None]
) -> dict[BlockIndex, Filled]:
    """Blocks as they stand, and made where they lack something; sources are looked at only if one does.

    `tell` is called with the number of blocks done. Raises as `fill_blocks`.
    """
    found = existing(order, indices)
    if found:
        tell(len(found))
    lacking = [index for index in indices if index not in found]
    if lacking:
        layers_of(order.recipe, order.session, order.timeout_s).check()
    made = fill_blocks(order, lacking, executor=executor, progress=lambda done, _: tell(len(found) + done))
    return {index: (found | made)[index] for index in indices}


def fill_blocks(
    order: Order,
    indices: Sequence[BlockIndex],
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> dict[BlockIndex, Filled]:
    """Make what these blocks lack. The lattice that results does not depend on the executor.

    Args:
        order: what and where.
        indices: the blocks.
        executor: threads, processes or a Dask client's executor; None works in this thread.
        progress: told after every block.

    Raises:
        InvalidInput: a source is not what it is said to be.
        SourceUnavailable: the DEM's host does not answer.
        StoreError, StoreUnavailable: a block cannot be written.
        Unavailable: workers were lost; blocks that were done stay, and the same call goes on from there.
    """
    done: dict[BlockIndex, Filled] = {}
    if executor is None:
        for index in indices:
            done[index] = fill_block(order, index)
            _tell(progress, done, indices)
        return done
    futures = [executor.submit(fill_block, order, index) for index in indices]
    try:
        for future in as_completed(futures):
            filled = future.result()
            done[filled.index] = filled
            _tell(progress, done, indices)
    except _lost() as error:
        raise Unavailable(f"lattice EPSG:{order.epsg}: workers were lost: {error}") from error
    finally:
        _cancel(futures)
    return {index: done[index] for index in indices}


def _tell(progress: Progress | None, done: dict[BlockIndex, Filled], indices: Sequence[BlockIndex]) -> None:
    if progress:
        progress(len(done), len(indices))


def _lost() -> tuple[type[BaseException], ...]:
    """What executors raise when their workers are gone."""
    distributed = sys.modules.get("distributed")
    return (BrokenExecutor, distributed.KilledWorker) if distributed else (BrokenExecutor,)


def _cancel(futures: Sequence[Future[Filled]]) -> None:
    for future in futures:
        future.cancel()


def fill_block(order: Order, index: BlockIndex) -> Filled:
    """Make what one block lacks, write it, then record it; the task that executors run."""
    group = group_of(order)
    index = BlockIndex(*index)
    record = group.record(index)
    rows = tuple(row for row in order.recipe.rows if set(row.outputs) <= set(order.recipe.channels))
    wanted = tuple(row for row in rows if record is None or not set(row.outputs) <= set(record.channels))
    if record is not None and not wanted:
        return Filled(index, record, computed=False)
    layers = layers_of(order.recipe, order.session, order.timeout_s)
    block = make_block(layers, rows, order.zone, index, wanted=wanted)
    stored = _packed(block, wanted)
    group.write(index, stored)
    committed = group.commit(index, _recorded(block, stored, wanted))
    return Filled(index, committed, computed=True, holes=block.holes)


@lru_cache(maxsize=4)
def _store(url: str, *_credentials: str | None) -> Store:
    """A store opened once in this process: a client of an object store takes half a second to make."""
    return open_store(url)


@lru_cache(maxsize=8)
def group_of(order: Order) -> LatticeGroup:
    """The lattice of an order, opened once in this process."""
    store = _store(order.store, os.environ.get("AWS_ENDPOINT_URL"), os.environ.get("AWS_ACCESS_KEY_ID"))
    return LatticeGroup.ensure(
        store, order.recipe.digest, order.zone, order.recipe.rows, recipe_attributes(order.recipe)
    )


def _packed(block: Block, rows: Sequence[Row]) -> dict[str, Stored]:
    """Values as they are stored; the block lets go of its own as they are done."""
    stored = {}
    for row in rows:
        encoding = Encoding.of(row)
        for channel in row.outputs:
            if channel in block.values:
                stored[channel] = encoding.pack(block.values.pop(channel))
    return stored


def _recorded(block: Block, stored: dict[str, Stored], rows: Sequence[Row]) -> BlockRecord:
    encodings = {channel: Encoding.of(row) for row in rows for channel in row.outputs}
    channels = {
        channel: ChannelRecord(
            hashlib.sha256(np.ascontiguousarray(values).data).hexdigest(),
            encodings[channel].count_known(values, block.land)[1],
            block.rejected.get(channel, 0),
        )
        for channel, values in stored.items()
    }
    return BlockRecord(int(block.land.sum()), block.sea, channels, block.sources)
