"""From a quake to its published product: claim, cube, predict, publish."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from headscarp.core.event import Event, RunId, ShakeMapId
from headscarp.core.grid import Extent, event_extent
from headscarp.core.normalisation import EventStatistics
from headscarp.core.pci.table import Table
from headscarp.core.predictor import Predictor
from headscarp.core.run import ENDED, Run, State
from headscarp.core.types import Attributes
from headscarp.errors import HeadscarpError, InvalidInput, MissingChannel, NotFound
from headscarp.io.cubes.cube import Cube
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.ledger import Ledger
from headscarp.io.outputs.product import ModelMap, Product, cube_key
from headscarp.io.store import Store
from headscarp.pipeline.champion import ModelChoice
from headscarp.pipeline.cube import build_cube
from headscarp.pipeline.executors import open_executor
from headscarp.pipeline.page import ensure_page
from headscarp.pipeline.predict import Progress, mask_map, predict_map, status_map
from headscarp.pipeline.publish import publish, publish_cube
from headscarp.pipeline.quake import Quake
from headscarp.pipeline.stages import Stages, Watcher
from headscarp.pipeline.statistics import event_statistics

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Workshop:
    """What a response works with: everything but the quake."""

    store: Store
    ledger: Ledger
    table: Table
    registry: SourceRegistry
    predictors: Sequence[Predictor]
    """The first is the published model."""
    choice: ModelChoice | None = None
    """Takes the place of the predictors where they depend on the earthquake's place."""
    region: Attributes | None = None
    """How the place decided about them."""
    public_url: str | None = None
    workers: int = 2
    dask: str | None = None
    """Address of a Dask scheduler whose workers make static blocks; threads of this process where None."""
    scratch: Path | None = None
    """Folder for temporary files; the system's where None."""

    def at(self, event: Event) -> Workshop:
        """The same with the models that are meant at this earthquake's place. Raises as `ModelChoice.at`."""
        if self.choice is None:
            return self
        models = self.choice.at(event)
        return replace(self, predictors=models.predictors, region=models.region, choice=None)


@dataclass(frozen=True, slots=True)
class Response:
    """How a response ended."""

    run: Run
    item: str | None
    """Store key of the STAC item."""
    seconds: Attributes = field(default_factory=dict)
    """Seconds by stage; empty where the product was there already."""
    new: bool = True


def identify(event: str, shakemap: ShakeMapId, workshop: Workshop) -> RunId:
    """The identity of the response to this ShakeMap with these models, this table and these sources."""
    models = tuple(f"{p.name}-{p.version}" for p in workshop.predictors)
    return RunId(event, shakemap, models, workshop.table.digest, workshop.registry.digest)


def respond(
    quake: Quake, workshop: Workshop, *, claimed: Run | None = None, watcher: Watcher | None = None
) -> Response:
    """Answer a quake, once: a run that has ended is reported as it ended, not repeated.

    `claimed` is a claim made earlier for this worker, by the watch. A claim for another ShakeMap
    than the quake has now is aborted: the newer one is answered instead.

    Raises:
        Busy: another worker is at it.
        InvalidInput: the quake cannot be answered; the ledger says INVALID.
        Unavailable, StoreError: the ledger says FAILED and the same call may be repeated.
    """
    workshop = workshop.at(quake.event)
    identity = identify(quake.event.id, quake.shakemap, workshop)
    if claimed is not None and claimed.id != str(identity):
        workshop.ledger.finish(claimed, State.ABORTED, reason=f"a newer ShakeMap came: {quake.shakemap}")
        claimed = None
    run = claimed or workshop.ledger.claim(identity)
    if run.state in ENDED:
        return _ended(run, workshop)
    stages = Stages(watcher)
    with workshop.ledger.working(run) as held, tempfile.TemporaryDirectory(dir=workshop.scratch) as folder:
        item = _produce(quake, identity, workshop, held=held, stages=stages, scratch=Path(folder))
        done = workshop.ledger.finish(held, State.SUCCEEDED, item=item, seconds=stages.seconds)
    _supersede_older(workshop, done)
    return Response(done, item, stages.seconds)


def _ended(run: Run, workshop: Workshop) -> Response:
    if run.state is State.INVALID:
        raise InvalidInput(f"run {run.id} was refused before: {run.reason}")
    # A crash right after publishing may have left this undone.
    _supersede_older(workshop, run)
    return Response(run, run.item, new=False)


def _produce(quake: Quake, identity: RunId, workshop: Workshop, *, held: Run, stages: Stages, scratch: Path) -> str:
    with stages.stage("extent"):
        extent = event_extent(quake.shaking, quake.event.longitude, quake.event.latitude)
    with stages.stage("cube") as progress:
        cube = _cube(quake, identity, workshop, extent, progress)
    with stages.stage("statistics"):
        ranked = dict.fromkeys(c for predictor in workshop.predictors for c in predictor.ranked)
        statistics = event_statistics(cube, tuple(ranked))
    maps, left_out = _maps(cube, workshop, statistics, stages=stages, scratch=scratch)
    with stages.stage("mask"):
        status = status_map(cube, maps[0].path, scratch / "status.tif")
        for model_map in maps:
            mask_map(model_map.path, status)
    workshop.ledger.confirm(held)
    with stages.stage("publish"):
        ensure_page(workshop.store)
        gates = {name: gate for model_map in maps for name, gate in model_map.gates.items()}
        place = {} if workshop.region is None else {"headscarp:region": workshop.region}
        product = _product(
            quake,
            identity,
            cube,
            extent=extent,
            maps=maps,
            derived={
                "headscarp:left_out": left_out,
                "headscarp:event_statistics": statistics.to_plain(),
                "headscarp:channel_gates": gates,
                **place,
            },
            status=status,
            stages=stages,
        )
        now = datetime.now(UTC)
        publish_cube(cube, quake.event, workshop.table, workshop.store, now=now)
        return publish(product, workshop.store, scratch=scratch, public_url=workshop.public_url, now=now)


def _cube(quake: Quake, identity: RunId, workshop: Workshop, extent: Extent, progress: Progress) -> Cube:
    """The cube of this run; one that is complete from an earlier attempt is used as it is."""
    key = cube_key(identity.event, str(identity))
    try:
        return Cube.open(workshop.store, key)
    except NotFound:
        pass
    with open_executor(workers=workshop.workers, dask=workshop.dask) as executor:
        return build_cube(
            workshop.store,
            key,
            event=quake.event,
            shaking=quake.shaking,
            extent=extent,
            table=workshop.table,
            registry=workshop.registry.with_overrides(quake.layers, others=quake.lacking),
            lineage=quake.lineage | {"shakemap_id": str(quake.shakemap)},
            progress=progress,
            workers=workshop.workers,
            executor=executor,
        )


def _maps(
    cube: Cube, workshop: Workshop, statistics: EventStatistics, *, stages: Stages, scratch: Path
) -> tuple[tuple[ModelMap, ...], Attributes]:
    """The map of every model, and why a comparison model was left out; the published model must run."""
    maps: list[ModelMap] = []
    left_out: Attributes = {}
    for predictor in workshop.predictors:
        with stages.stage(f"predict {predictor.name}") as progress:
            path = scratch / f"{predictor.name}.tif"
            try:
                arguments: Attributes = {"statistics": statistics, "workers": workshop.workers, "progress": progress}
                maps.append(predict_map(cube, predictor, path, **arguments))
            except MissingChannel as error:
                if not maps:
                    raise
                log.warning("left out: %s", error)
                left_out[predictor.name] = str(error)
    return tuple(maps), left_out


def _product(
    quake: Quake,
    identity: RunId,
    cube: Cube,
    *,
    extent: Extent,
    maps: tuple[ModelMap, ...],
    derived: Attributes,
    status: Path,
    stages: Stages,
) -> Product:
    return Product(
        run=identity,
        event=quake.event,
        grid=cube.grid,
        cut_by_shakemap_edge=extent.cut_by_shakemap_edge,
        maps=maps,
        status=status,
        peak_pga=quake.shaking.peak_pga,
        shakemap=quake.shaking.attributes,
        lineage=cube.attributes | derived,
        timings=dict(stages.seconds),
        synthetic=quake.event.synthetic,
    )


def _supersede_older(workshop: Workshop, done: Run) -> None:
    """Of the published runs of an event only the one with the newest ShakeMap stays SUCCEEDED."""
    published = [run for run in workshop.ledger.runs(done.event) if run.state is State.SUCCEEDED]
    newest = max(published, key=lambda run: (run.update_time, run.id), default=done)
    for run in published:
        if run.id != newest.id:
            workshop.ledger.supersede(run, by=newest.id)


def respond_to_claim(
    claimed: Run, load: Callable[[], Quake], workshop: Workshop, *, watcher: Watcher | None = None
) -> Response:
    """Answer the quake of a claim made by the watch; trouble in loading it or its models ends the claim too.

    Raises:
        HeadscarpError: as `respond` and `load_quake` do; the ledger says INVALID or FAILED.
    """
    try:
        quake = load()
        workshop = workshop.at(quake.event)
    except HeadscarpError as error:
        state = State.INVALID if isinstance(error, InvalidInput) else State.FAILED
        workshop.ledger.finish(claimed, state, reason=f"{type(error).__name__}: {error}")
        raise
    return respond(quake, workshop, claimed=claimed, watcher=watcher)
