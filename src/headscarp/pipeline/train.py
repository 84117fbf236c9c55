"""Train a released model: on event folders and worlds, calibrated on events left out, scored on worlds it never saw."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from headscarp.core.learning.calibration import Calibration
from headscarp.core.learning.statistics import auc, average_precision, prevalence
from headscarp.core.manifest import Architecture, Manifest
from headscarp.core.pci.table import Table
from headscarp.core.types import Attributes, Raster
from headscarp.io.inputs.folder import read_event_folder
from headscarp.io.store import open_store
from headscarp.ml.bundle import save_bundle
from headscarp.ml.calibrate import Level, covered, fit_calibration, reliability_at_250_m
from headscarp.ml.placement import Placement
from headscarp.ml.regressor import NetworkLearner, Recipe, Trained
from headscarp.ml.train import Curve, TrainOptions
from headscarp.ml.windows import Scene, WindowOptions
from headscarp.pipeline.bundles import write_item
from headscarp.pipeline.card import model_card
from headscarp.pipeline.contenders import Contender
from headscarp.pipeline.dataset import model_inputs
from headscarp.pipeline.folds import Subject, make_folds
from headscarp.pipeline.heldout import held_out
from headscarp.pipeline.stages import Stages, Watcher
from headscarp.pipeline.subjects import Workroom, WorldOptions, read_event, read_world, world_ceiling
from headscarp.tables.coseismic import COSEISMIC, PAPER_CHANNELS

CURVE_FILE = "curve.csv"
SCORES_FILE = "scores.json"
NETWORK_FOLDER = "network"
"""Of checkpoints, shared with evaluations that use the same scratch."""
LEVEL: Level = "typical"
FLAT_DEGREES = 2.0
"""As in Nowicki Jessee et al. 2018 (doi:10.1029/2017JF004494) as the USGS runs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """Which synthetic worlds do what; no seed may have two jobs, and 0 is the demonstration's."""

    training: tuple[int, ...] = tuple(range(100, 115))
    calibrating: tuple[int, ...] = (150, 151, 152, 153, 154, 155)
    """Never trained on; they and the real events left out say how much of the land a score means."""
    unseen: tuple[int, ...] = (200, 201, 202, 203, 204, 205)
    """Scored once, at the end."""

    def __post_init__(self) -> None:
        """Refuse leaks."""
        every = (*self.training, *self.calibrating, *self.unseen)
        if len(set(every)) != len(every) or 0 in every:
            raise ValueError(f"expected distinct seeds without 0, got {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """What to train."""

    name: str
    version: str
    recipe: Recipe
    world_shape: tuple[int, int] = (512, 512)
    ceiling_draws: int = 40
    attribution: tuple[str, ...] = ()
    """Beyond what the event folders say of themselves."""


def small_model(*, attribution: tuple[str, ...] = ()) -> TrainSettings:
    """The released model: narrow enough to be trained, and to answer a quake within a minute, on two cores."""
    recipe = Recipe(inputs=model_inputs(COSEISMIC, PAPER_CHANNELS))
    return TrainSettings(name="headscarp-small", version="0.2.0", recipe=recipe, attribution=attribution)


def full_model(*, attribution: tuple[str, ...] = ()) -> TrainSettings:
    """The paper's width and windows, for a GPU."""
    windows = WindowOptions(size=448, batch=8, real=0.5)
    recipe = Recipe(
        inputs=model_inputs(COSEISMIC, PAPER_CHANNELS),
        architecture=Architecture("A", 32, embedding=8),
        pretraining=TrainOptions(steps=4000, learning_rate=1e-3, precision="bfloat16", windows=windows),
        fine_tuning=TrainOptions(steps=800, learning_rate=3e-4, precision="bfloat16", windows=windows),
        seeds=(0,),
    )
    return TrainSettings(name="headscarp-full", version="0.2.0", recipe=recipe, attribution=attribution)


@dataclass(frozen=True, slots=True)
class _Job:
    """What all steps of one training share."""

    settings: TrainSettings
    worlds: Seeds
    room: Workroom
    learner: NetworkLearner

    def world(self, seed: int) -> Subject:
        return read_world(seed, self.settings.world_shape, self.room)


def train_model(
    settings: TrainSettings,
    *,
    folders: Sequence[Path],
    worlds: Seeds,
    out: Path,
    scratch: Path,
    table: Table = COSEISMIC,
    placement: Placement | None = None,
    watcher: Watcher | None = None,
) -> Manifest:
    """Train, calibrate, score and write the bundle `out`; a run that was killed goes on from `scratch`.

    The released weights have seen all events. The calibration has not seen them as the weights have:
    it is fitted on maps of events made by networks that were trained without them, and on maps of
    worlds that nothing was trained on; so are the scores on the card.

    Raises:
        InvalidInput: a folder cannot be learned from, or there are not events of two places.
    """
    stages = Stages(watcher)
    room = Workroom(scratch, open_store(scratch / "store"), table, PAPER_CHANNELS)
    learner = NetworkLearner(
        recipe=settings.recipe,
        name=settings.name,
        version=settings.version,
        table_digest=table.digest,
        placement=placement or Placement(),
        scratch=scratch / NETWORK_FOLDER,
    )
    job = _Job(settings, worlds, room, learner)
    with stages.stage("training scenes") as progress, learner.placement.first_alone():
        subjects = list(_subjects(job, folders, progress))
    with stages.stage("train without each event") as progress:
        judged = _left_out(replace(job, learner=replace(learner, progress=progress)), subjects)
    with stages.stage("train") as progress:
        trained = replace(learner, progress=progress).fit([subject.scene for subject in subjects])
    with stages.stage("calibrate and score"), learner.placement.first_alone():
        manifest, left_out = _calibrated(job, trained, judged)
        scores = [{"trained": "without it"} | scene_scores(*found) for found in left_out]
        scores += [_world_scores(job, seed, trained, manifest) for seed in worlds.unseen]
    manifest = replace(manifest, attribution=(*_acknowledged(folders), *settings.attribution))
    card = model_card(
        manifest,
        settings.recipe,
        events=[scene.name for scene, _ in judged],
        training_seeds=worlds.training,
        calibrating_seeds=worlds.calibrating,
        scores=scores,
        reliability=reliability_at_250_m([(coverage, scene) for _, coverage, scene in left_out]),
    )
    if not learner.placement.first:
        return manifest
    manifest = save_bundle(out, manifest, trained.network, card=card)
    facts = {"scores": scores, "seconds": stages.seconds, "threads": torch.get_num_threads()}
    (out / SCORES_FILE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    _write_curve(out / CURVE_FILE, trained.curves)
    write_item(out)
    return manifest


def _subjects(job: _Job, folders: Sequence[Path], progress: object) -> Iterator[Subject]:
    """Real events, then the worlds that are trained on."""
    assert callable(progress)  # noqa: S101
    total = len(folders) + len(job.worlds.training)
    for done, folder in enumerate(folders, start=1):
        yield read_event(folder, job.room)
        progress(done, total)
    for done, seed in enumerate(job.worlds.training, start=len(folders) + 1):
        yield job.world(seed)
        progress(done, total)


def _left_out(job: _Job, subjects: Sequence[Subject]) -> list[tuple[Scene, Raster]]:
    """Each real event beside the scores of a network that was trained without it and its neighbours."""
    folds = make_folds("events", subjects, plans={})
    (judged,) = held_out([Contender(job.learner)], folds, job.room.scratch / "events", progress=lambda *_: None)
    scenes = {subject.name: subject.scene for subject in subjects}
    return [(scenes[test.name], judged.read(test.name)) for fold in folds for test in fold.test]


def _calibrated(
    job: _Job, trained: Trained, judged: Sequence[tuple[Scene, Raster]]
) -> tuple[Manifest, list[tuple[Raster, Raster, Scene]]]:
    """The manifest with its curve; each event left out as scores, as coverage by the curve of all others, its scene."""
    fresh = [job.world(seed).scene for seed in job.worlds.calibrating]
    pairs = [*((scores, scene) for scene, scores in judged), *((trained.score(scene), scene) for scene in fresh)]
    left_out = []
    for scene, scores in judged:
        others = [pair for pair in pairs if pair[1].name != scene.name]
        left_out.append((scores, _coverage(scores, fit_calibration(others, level=LEVEL), scene), scene))
    curve = fit_calibration(pairs, level=LEVEL)
    return replace(trained.manifest, calibration=curve, flat_degrees=FLAT_DEGREES, quantity="coverage"), left_out


def _coverage(scores: Raster, curve: Calibration, scene: Scene) -> Raster:
    """What a bundle with this curve would say of a scene."""
    (slope,) = scene.read(("slope",))
    return np.where(slope <= FLAT_DEGREES, np.float32(0.0), covered(scores, curve))


def _world_scores(job: _Job, seed: int, trained: Trained, manifest: Manifest) -> Attributes:
    """Scores of an unseen world, and the best that any use of its maps could reach."""
    subject = job.world(seed)
    scores = trained.score(subject.scene)
    assert manifest.calibration is not None  # noqa: S101
    found = scene_scores(scores, _coverage(scores, manifest.calibration, subject.scene), subject.scene)
    options = WorldOptions(shape=job.settings.world_shape, ceiling_draws=job.settings.ceiling_draws)
    ceiling = world_ceiling(seed, subject, options, job.room)
    return {"trained": "on others"} | found | {name: round(value, 4) for name, value in ceiling.items()}


def scene_scores(scores: Raster, coverage: Raster, scene: Scene) -> Attributes:
    """Over all known pixels of a scene: ranking, areal coverage, and slope alone beside them."""
    known, (slope,) = scene.known, scene.read(("slope",))
    found = {
        "prevalence": prevalence(scores, scene.slides, known),
        "auc": auc(scores, scene.slides, known),
        "average_precision": average_precision(scores, scene.slides, known),
        "slope_auc": auc(slope, scene.slides, known),
        "slope_average_precision": average_precision(slope, scene.slides, known),
        "area_ratio": reliability_at_250_m([(coverage, scene)]).area_ratio,
    }
    return {"scene": scene.name, "pixels": int(known.sum()), **{name: round(v, 4) for name, v in found.items()}}


def _acknowledged(folders: Sequence[Path]) -> tuple[str, ...]:
    """Whom the event folders thank."""
    found = (read_event_folder(folder).attribution for folder in folders)
    return tuple(attribution for attribution in found if attribution)


def _write_curve(path: Path, curves: Sequence[Curve]) -> None:
    """One line a step of every phase of every member: the loss."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["phase", "step", "loss"])
        for phase, curve in enumerate(curves):
            writer.writerows([phase, step, f"{loss:.5f}"] for step, loss in enumerate(curve, start=1))
