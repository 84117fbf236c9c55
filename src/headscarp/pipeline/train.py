"""Train a model on event folders and synthetic worlds, score it on ground it never saw, and bundle it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headscarp.core.learning.labels import LENGTH_PX
from headscarp.core.learning.statistics import auc, average_precision, prevalence
from headscarp.core.manifest import Architecture, Manifest
from headscarp.core.normalisation import Normalisation
from headscarp.core.pci.table import Table
from headscarp.core.types import Attributes
from headscarp.io.inputs.folder import read_event_folder
from headscarp.io.store import Store, open_store
from headscarp.ml.bundle import save_bundle
from headscarp.ml.local import score_map
from headscarp.ml.network import Network
from headscarp.ml.train import Curve, Evaluate, TrainOptions, train
from headscarp.ml.windows import Scene
from headscarp.pipeline.card import model_card
from headscarp.pipeline.dataset import model_inputs, read_scene, split
from headscarp.pipeline.stages import Stages, Watcher
from headscarp.pipeline.world import write_world
from headscarp.tables.coseismic import COSEISMIC, PAPER_CHANNELS
from headscarp.world.ceiling import observable_ceiling
from headscarp.world.generate import World, make_world
from headscarp.world.settings import REGIONS

HOLD_OUT_GAP_PX = 50
"""Beyond the network's radius, so that held-out ground and training labels never share a pixel's surroundings."""
CURVE_FILE = "curve.csv"
SCORES_FILE = "scores.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """Which synthetic worlds do what; no seed may have two jobs, and 0 is the demonstration's."""

    training: tuple[int, ...] = tuple(range(100, 112))
    choosing: tuple[int, ...] = (150, 151, 152)
    """The weights that do best on these are kept."""
    unseen: tuple[int, ...] = (200, 201, 202, 203, 204, 205)
    """Scored once, at the end."""

    def __post_init__(self) -> None:
        """Refuse leaks."""
        every = (*self.training, *self.choosing, *self.unseen)
        if len(set(every)) != len(every) or 0 in every:
            raise ValueError(f"expected distinct seeds without 0, got {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """What to train."""

    name: str = "headscarp-small"
    version: str = "0.1.0"
    channels: tuple[str, ...] = PAPER_CHANNELS
    required: frozenset[str] = frozenset({"slope", "pga"})
    architecture: Architecture = field(default_factory=lambda: Architecture("C", 12))
    normalisation: Normalisation = "event"
    absolute: frozenset[str] = frozenset({"slope", "pga"})
    """Seen by value beside their rank."""
    options: TrainOptions = field(default_factory=TrainOptions)
    training_share: float = 0.6
    """Northern share of each real event that is trained on; the rest is held out and scored."""
    label_length_px: float = LENGTH_PX
    """Of mapped inventories: their positional error."""
    exact_label_length_px: float = 1.0
    """Of synthetic worlds, where every slide is where it is said to be."""
    attribution: tuple[str, ...] = ()
    """Beyond what the event folders say of themselves."""
    world_shape: tuple[int, int] = (512, 512)
    ceiling_draws: int = 40


@dataclass(frozen=True, slots=True)
class Material:
    """All scenes of one training."""

    training: tuple[Scene, ...]
    choosing: tuple[Scene, ...]
    held_out: tuple[Scene, ...]
    """The other part of each real event."""
    attribution: tuple[str, ...]


def train_model(
    settings: TrainSettings,
    *,
    folders: Sequence[Path],
    worlds: Seeds,
    out: Path,
    scratch: Path,
    unseen_folders: Sequence[Path] = (),
    table: Table = COSEISMIC,
    watcher: Watcher | None = None,
) -> Manifest:
    """Train, score and write the bundle `out`; a run that was killed goes on from `scratch`.

    Beside the bundle's three files it writes the training curve and the scores. `scratch` keeps
    worlds, cubes and the checkpoint. Events in `unseen_folders` are scored whole, never trained on.

    Raises:
        InvalidInput: a folder cannot be learned from, or the checkpoint is of another training.
    """
    stages = Stages(watcher)
    store = open_store(scratch / "store")
    with stages.stage("training scenes") as progress:
        material = gather(settings, folders, worlds, table=table, store=store, scratch=scratch, progress=progress)
        others = [read_scene(folder, settings.channels, table=table, store=store) for folder in unseen_folders]
    manifest = _manifest(settings, material, table)
    with stages.stage("train") as progress:
        network, curve = train(
            manifest,
            material.training,
            options=settings.options,
            evaluate=_criterion(manifest, material.choosing),
            checkpoint=scratch / "checkpoint",
            progress=lambda step, steps, _: progress(step, steps),
        )
    with stages.stage("score unseen ground"):
        scores = [scene_scores(network, manifest, scene) for scene in (*material.held_out, *others)]
        scores += [
            _world_scores(seed, settings, network, manifest, table=table, store=store, scratch=scratch)
            for seed in worlds.unseen
        ]
    facts = {"scores": scores, "seconds": stages.seconds, "threads": torch.get_num_threads()}
    manifest = save_bundle(out, manifest, network, card=_card(settings, manifest, material, worlds, scores))
    (out / SCORES_FILE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    _write_curve(out / CURVE_FILE, curve)
    return manifest


def gather(
    settings: TrainSettings,
    folders: Sequence[Path],
    worlds: Seeds,
    *,
    table: Table,
    store: Store,
    scratch: Path,
    progress: Any,
) -> Material:
    """Read every scene but those that are scored at the end."""
    total, done = len(folders) + len(worlds.training) + len(worlds.choosing), 0
    training: list[Scene] = []
    choosing: list[Scene] = []
    held_out: list[Scene] = []
    for folder in folders:
        whole = read_scene(folder, settings.channels, table=table, store=store, length_px=settings.label_length_px)
        north, south = split(whole, settings.training_share, gap_px=HOLD_OUT_GAP_PX)
        training.append(north)
        held_out.append(south)
        progress(done := done + 1, total)
    for seeds, scenes in ((worlds.training, training), (worlds.choosing, choosing)):
        for seed in seeds:
            scenes.append(_world_scene(seed, settings, table=table, store=store, scratch=scratch)[1])
            progress(done := done + 1, total)
    acknowledged = (read_event_folder(folder).attribution for folder in folders)
    return Material(tuple(training), tuple(choosing), tuple(held_out), tuple(a for a in acknowledged if a))


def _world_scene(
    seed: int, settings: TrainSettings, *, table: Table, store: Store, scratch: Path
) -> tuple[World, Scene]:
    """Draw a world, write it as an event folder and read it as any other; regions take turns."""
    world = make_world(seed, settings=REGIONS[seed % len(REGIONS)], shape=settings.world_shape)
    folder = write_world(world, scratch / f"world-{seed}")
    length = settings.exact_label_length_px
    return world, read_scene(folder, settings.channels, table=table, store=store, length_px=length)


def _manifest(settings: TrainSettings, material: Material, table: Table) -> Manifest:
    return Manifest(
        name=settings.name,
        version=settings.version,
        inputs=model_inputs(table, settings.channels),
        required=settings.required,
        architecture=settings.architecture,
        normalisation=settings.normalisation,
        absolute=settings.absolute if settings.normalisation == "event" else frozenset(),
        table_digest=table.digest,
        trained_on=tuple(scene.name for scene in material.training),
        synthetic=any(scene.synthetic for scene in material.training),
        attribution=(*material.attribution, *settings.attribution),
    )


def _criterion(manifest: Manifest, scenes: Sequence[Scene]) -> Evaluate:
    """Mean AUC over scenes."""

    def evaluate(network: Network) -> Mapping[str, float]:
        maps = {s.name: score_map(network, manifest, s.stack, statistics=s.statistics) for s in scenes}
        found = {s.name: auc(maps[s.name], s.slides, s.known) for s in scenes}
        return {"criterion": float(np.mean(list(found.values()))), **found}

    return evaluate


def _world_scores(
    seed: int,
    settings: TrainSettings,
    network: Network,
    manifest: Manifest,
    *,
    table: Table,
    store: Store,
    scratch: Path,
) -> Attributes:
    """Scores of an unseen world, and the best that any use of its maps could reach."""
    world, scene = _world_scene(seed, settings, table=table, store=store, scratch=scratch)
    ceiling = observable_ceiling(world, draws=settings.ceiling_draws)
    return scene_scores(network, manifest, scene) | {
        "scene": f"SYNTHETIC {world.settings.name}, seed {seed}",
        "ceiling_auc": round(ceiling.auc, 4),
        "ceiling_standard_error": round(ceiling.standard_error, 4),
        "ceiling_auc_same_pixels": round(auc(ceiling.score, scene.slides, scene.known), 4),
    }


def scene_scores(network: Network, manifest: Manifest, scene: Scene) -> Attributes:
    """Ranking scores over all known pixels of a scene, and slope alone beside them."""
    scores, known = score_map(network, manifest, scene.stack, statistics=scene.statistics), scene.known
    slope = scene.stack[manifest.channels.index("slope")]
    found = {
        "prevalence": prevalence(scores, scene.slides, known),
        "auc": auc(scores, scene.slides, known),
        "average_precision": average_precision(scores, scene.slides, known),
        "slope_auc": auc(slope, scene.slides, known),
        "slope_average_precision": average_precision(slope, scene.slides, known),
        "score_standard_deviation": float(np.nanstd(scores[known])),
    }
    return {"scene": scene.name, "pixels": int(known.sum()), **{name: round(v, 4) for name, v in found.items()}}


def _write_curve(path: Path, curve: Curve) -> None:
    """One line an evaluation: step, mean loss since the last one, and what was found."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = [name for name in curve.evaluations[0] if name != "step"]
        writer.writerow(["step", "loss", *names])
        start = 0
        for row in curve.evaluations:
            end = int(row["step"])
            writer.writerow([end, f"{np.mean(curve.losses[start:end]):.6f}", *(f"{row[n]:.4f}" for n in names)])
            start = end


def _card(
    settings: TrainSettings, manifest: Manifest, material: Material, worlds: Seeds, scores: Sequence[Attributes]
) -> str:
    return model_card(
        manifest,
        options=settings.options,
        real=[scene.name for scene in material.training if not scene.synthetic],
        training_share=settings.training_share,
        label_lengths=(settings.label_length_px, settings.exact_label_length_px),
        training_seeds=worlds.training,
        choosing_seeds=worlds.choosing,
        scores=scores,
    )
