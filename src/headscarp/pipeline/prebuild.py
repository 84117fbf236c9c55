"""Fill the lattice ahead of time, so that at event time only the shaking is new."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from typing import Any

from headscarp.core.grid import Bounds
from headscarp.core.lattice import BLOCK, BlockIndex, ZoneLattice, blocks_in
from headscarp.core.pci.table import Table
from headscarp.errors import InvalidInput
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.store import Store, open_store
from headscarp.pipeline.executors import open_executor
from headscarp.pipeline.fill import Filled, Order, fill_zone
from headscarp.pipeline.recipe import StaticRecipe, static_recipe
from headscarp.pipeline.stages import Stages
from headscarp.settings import Settings
from headscarp.tables.belts import BELTS
from headscarp.tables.coseismic import COSEISMIC

Progress = Callable[[int, int], None]
"""Called with blocks done and blocks in all."""


@dataclass(frozen=True, slots=True)
class Prebuilt:
    """What a prebuild found and made."""

    digest: str
    """Of the recipe: rows, kernels and sources."""
    zones: Mapping[str, int]
    """Blocks by UTM zone."""
    read: int
    """Blocks that stood there already."""
    computed: int
    with_land: int
    holes: Mapping[str, int]
    """Blocks without a channel whose source did not answer, by channel; the next prebuild tries again."""
    reasons: Mapping[str, str]
    """Why, by channel, and why some channels are in no block at all."""
    seconds: float = field(compare=False, default=0.0)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def prebuild_with(
    settings: Settings, *, bbox: Sequence[float] | None = None, belt: str | None = None, stages: Stages
) -> Prebuilt:
    """Prebuild a box or a belt with the coseismic table, store and sources of these settings.

    Raises:
        InvalidInput: not exactly one of box and belt is given, or it is none.
        Misconfigured, Unavailable: the Dask cluster of the settings cannot be used.
        HeadscarpError: as `prebuild`.
    """
    boxes = chosen_boxes(bbox=bbox, belt=belt)
    registry = SourceRegistry.load(settings.sources, profile=settings.profile, mirror=settings.mirror)
    with (
        open_executor(workers=settings.workers, dask=settings.dask) as executor,
        stages.stage("prebuild") as progress,
    ):
        return prebuild(
            open_store(settings.store),
            boxes,
            table=COSEISMIC,
            registry=registry,
            executor=executor,
            progress=progress,
            timeout_s=settings.timeout_s,
        )


def chosen_boxes(*, bbox: Sequence[float] | None, belt: str | None) -> tuple[Bounds, ...]:
    """The one box, or the boxes of the belt. Raises InvalidInput unless exactly one of them is given."""
    if (bbox is None) == (belt is None):
        raise InvalidInput("expected either a box (west, south, east, north) or a belt")
    return belt_boxes(belt) if belt is not None else (Bounds(*bbox or ()),)


def belt_boxes(name: str) -> tuple[Bounds, ...]:
    """The boxes of a seismic belt. Raises InvalidInput if there is no such belt."""
    if name not in BELTS:
        raise InvalidInput(f"belt {name!r}: expected one of {sorted(BELTS)}")
    return BELTS[name]


def planned(boxes: Sequence[Bounds], *, block: int = BLOCK) -> dict[ZoneLattice, tuple[BlockIndex, ...]]:
    """Blocks that boxes of longitude and latitude touch, by zone. Raises InvalidInput for boxes that are none."""
    try:
        return blocks_in(boxes, block=block)
    except ValueError as error:
        raise InvalidInput(f"box: {error}") from error


def prebuild(
    store: Store,
    boxes: Sequence[Bounds],
    *,
    table: Table,
    registry: SourceRegistry,
    executor: Executor | None = None,
    progress: Progress | None = None,
    timeout_s: float = 30.0,
    block: int = BLOCK,
) -> Prebuilt:
    """Make every static block that the boxes touch and that is not there yet; what was done before stays done.

    Args:
        store: where the lattice is.
        boxes: longitudes and latitudes; east of west crosses the antimeridian.
        table: whose static rows to fill.
        registry: where layers come from.
        executor: threads, processes or a Dask client's executor; None works in this thread.
        progress: told after every block.
        timeout_s: patience with one request to a source.
        block: pixels along the side of a block.

    Raises:
        InvalidInput: no DEM, a source that is not what it is said to be, or a box that is none.
        SourceUnavailable: the DEM's host does not answer.
        StoreError: a block cannot be written.
        Unavailable: workers were lost; the same call goes on from there.
    """
    started, zones = time.perf_counter(), planned(boxes, block=block)
    recipe = static_recipe(table, registry, block=block, timeout_s=timeout_s)
    session, total, filled = uuid.uuid4().hex, sum(map(len, zones.values())), list[Filled]()
    for zone, indices in zones.items():
        order = Order(store.url, recipe, zone.epsg, session=session, timeout_s=timeout_s)
        filled += fill_zone(order, indices, executor, _teller(progress, len(filled), total)).values()
    counts = {zone.crs: len(indices) for zone, indices in zones.items()}
    return _summary(recipe, counts, filled, time.perf_counter() - started)


def _teller(progress: Progress | None, before: int, total: int) -> Callable[[int], None]:
    """Tells of blocks done in one zone as of blocks done in all."""

    def tell(done: int) -> None:
        if progress:
            progress(before + done, total)

    return tell


def _summary(recipe: StaticRecipe, zones: Mapping[str, int], filled: Sequence[Filled], seconds: float) -> Prebuilt:
    holes = Counter(channel for found in filled for channel in found.holes)
    reasons = dict(recipe.missing) | {channel: reason for found in filled for channel, reason in found.holes.items()}
    return Prebuilt(
        digest=recipe.digest,
        zones=zones,
        read=sum(not found.computed for found in filled),
        computed=sum(found.computed for found in filled),
        with_land=sum(found.record.land > 0 for found in filled),
        holes=dict(sorted(holes.items())),
        reasons=dict(sorted(reasons.items())),
        seconds=round(seconds, 3),
    )
