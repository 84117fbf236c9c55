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

from headscarp.core.learning.statistics import auc, average_precision, prevalence
from headscarp.core.manifest import Architecture, Manifest
from headscarp.core.pci.table import Table
from headscarp.core.types import Attributes
from headscarp.io.inputs.folder import read_event_folder
from headscarp.io.store import Store, open_store
from headscarp.ml.bundle import save_bundle
from headscarp.ml.local import score_map
from headscarp.ml.network import Network
from headscarp.ml.train import Curve, Evaluate, TrainOptions, train
from headscarp.ml.windows import Scene
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
    architecture: Architecture = field(default_factory=lambda: Architecture("C", 8))
    options: TrainOptions = field(default_factory=TrainOptions)
    training_share: float = 0.6
    """Northern share of each real event that is trained on; the rest is held out and scored."""
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
        north, south = split(
            read_scene(folder, settings.channels, table=table, store=store),
            settings.training_share,
            gap_px=HOLD_OUT_GAP_PX,
        )
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
    return world, read_scene(folder, settings.channels, table=table, store=store)


def _manifest(settings: TrainSettings, material: Material, table: Table) -> Manifest:
    return Manifest(
        name=settings.name,
        version=settings.version,
        inputs=model_inputs(table, settings.channels),
        required=settings.required,
        architecture=settings.architecture,
        table_digest=table.digest,
        trained_on=tuple(scene.name for scene in material.training),
        synthetic=any(scene.synthetic for scene in material.training),
        attribution=material.attribution,
    )


def _criterion(manifest: Manifest, scenes: Sequence[Scene]) -> Evaluate:
    """Mean AUC over scenes."""

    def evaluate(network: Network) -> Mapping[str, float]:
        found = {s.name: auc(score_map(network, manifest, s.stack), s.slides, s.known) for s in scenes}
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
    scores, known = score_map(network, manifest, scene.stack), scene.known
    slope = scene.stack[manifest.channels.index("slope")]
    found = {
        "prevalence": prevalence(scores, scene.slides, known),
        "auc": auc(scores, scene.slides, known),
        "auc_slope_alone": auc(slope, scene.slides, known),
        "average_precision": average_precision(scores, scene.slides, known),
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
    """The model card."""
    real = ", ".join(s.name for s in material.training if not s.synthetic) or "none"
    acknowledged = "\n".join(f"- {a}" for a in material.attribution) or "- none"
    architecture, options = settings.architecture, settings.options
    return f"""# {manifest.name} {manifest.version}

A multi-scale fully convolutional network after Fan, Wang et al. (2025), doi:10.1093/nsr/nwaf179, that ranks 30 m
pixels by how readily the shaking of an earthquake sets off landslides there. Narrow (N = {architecture.width},
configuration {architecture.configuration}), for demonstration and for tests of the whole path.

**The score is neither a probability nor an areal coverage.** It was trained on soft labels, on windows of which half
are centred on landslides, and is not calibrated. Compare scores within one map.

## Input

{len(manifest.channels)} channels in physical units, NaN where missing: {", ".join(manifest.channels)}. Without
{" or ".join(sorted(manifest.required))} there is no score; anything else may be missing, at a loss of skill.
PCI table {manifest.table_digest[:16]}.

## Trained on

- Real: {real} (northern {settings.training_share:.0%} of each; the rest is held out below)
- SYNTHETIC worlds, seeds {", ".join(map(str, worlds.training))}; weights chosen on seeds
  {", ".join(map(str, worlds.choosing))}. The demonstration's world (seed 0) is none of them.

{options.steps} steps of {options.windows.batch} windows of {options.windows.size} px, seed {options.seed}; screened
Poisson labels of 2 px, dihedral and ground-motion augmentation, sources dropped at random.

## Scores on ground it never saw

All known pixels at the event's own prevalence. The ceiling is the expected AUC of the best score any use of the maps
could reach in that world.

{_score_table(scores)}

## Limits

- One small real event and invented terrain: no claim of skill on another real earthquake follows from these figures.
  Scores of SYNTHETIC worlds show that the code learns known structure, nothing more.
- A held-out part of a real event shares its shaking, its geology and its mapper with the part trained on.
- Each window makes its own channel gate, so that scores of neighbouring windows can differ slightly along their seam.
- No calibration, no uncertainty, no check for input unlike the training's.

## Attribution and licence

Weights: {manifest.licence}. No training data are part of this bundle.

{acknowledged}
"""


def _score_table(scores: Sequence[Attributes]) -> str:
    """Rows of the card's table."""
    lines = [
        "| scene | pixels | prevalence | AUC | ceiling | slope alone | average precision | score std |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in scores:
        ceiling = f"{row['ceiling_auc']:.3f}" if "ceiling_auc" in row else "-"
        lines.append(
            f"| {row['scene']} | {row['pixels']:,} | {row['prevalence']:.4f} | {row['auc']:.3f} | {ceiling} "
            f"| {row['auc_slope_alone']:.3f} | {row['average_precision']:.3f} | {row['score_standard_deviation']:.3f} |"
        )
    return "\n".join(lines)
