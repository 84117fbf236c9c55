"""Training from end to end on worlds small enough to be quick: a whole bundle comes out, and the same one twice."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headscarp.core.manifest import Architecture, Manifest
from headscarp.core.normalisation import EventStatistics
from headscarp.errors import InvalidInput
from headscarp.ml.bundle import load_bundle
from headscarp.ml.local import LocalPredictor
from headscarp.ml.regressor import Recipe
from headscarp.ml.train import TrainOptions
from headscarp.ml.windows import WindowOptions
from headscarp.pipeline.dataset import model_inputs
from headscarp.pipeline.train import CURVE_FILE, SCORES_FILE, Seeds, TrainSettings, train_model
from headscarp.pipeline.world import write_world
from headscarp.tables.coseismic import COSEISMIC, PAPER_CHANNELS
from headscarp.world.generate import make_world
from headscarp.world.settings import REGIONS

STEPS = TrainOptions(steps=8, checkpoint_every=4, windows=WindowOptions(size=64, batch=4, real=0.5))
SETTINGS = TrainSettings(
    name="tiny",
    version="1",
    recipe=Recipe(
        inputs=model_inputs(COSEISMIC, PAPER_CHANNELS),
        architecture=Architecture("C", 2),
        gate_px=64,
        pretraining=STEPS,
        fine_tuning=replace(STEPS, steps=4),
        seeds=(0, 1),
    ),
    world_shape=(96, 96),
    ceiling_draws=3,
)
SEEDS = Seeds(training=(101,), calibrating=(150,), unseen=(200,))


class PowerCutError(Exception):
    """Stands for the power cut."""


class Recorder:
    """Notes what it sees, and may pull the plug at a step of the first training."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stages: list[str] = []
        self.steps: dict[str, list[int]] = {}
        self._stop_at = stop_at

    def begin(self, stage: str) -> None:
        self.stages.append(stage)
        self.steps[stage] = []

    def advance(self, stage: str, done: int, total: int) -> None:
        self.steps[stage].append(done)
        if stage == "train without each event" and done == self._stop_at:
            raise PowerCutError

    def end(self, stage: str, seconds: float) -> None:
        pass


def event_folder(seed: int, root: Path) -> Path:
    """An event folder that stands for a real one."""
    world = make_world(seed, settings=REGIONS[seed % len(REGIONS)], shape=(160, 128))
    folder = write_world(world, root / f"event-{seed}")
    description = json.loads((folder / "event.json").read_text())
    (folder / "event.json").write_text(json.dumps(description | {"synthetic": False, "attribution": f"someone {seed}"}))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Events of two places."""
    root = tmp_path_factory.mktemp("events")
    return [event_folder(seed, root) for seed in (300, 301)]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(folders: list[Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest, Recorder]:
    """A bundle, trained in one go."""
    root, seen = tmp_path_factory.mktemp("trained"), Recorder()
    manifest = train_model(
        SETTINGS, folders=folders, worlds=SEEDS, out=root / "tiny", scratch=root / "scratch", watcher=seen
    )
    return root / "tiny", manifest, seen


def test_the_bundle_is_whole_and_gives_coverage(trained: tuple[Path, Manifest, Recorder]) -> None:
    out, manifest, _ = trained
    assert Manifest.load(out) == manifest
    assert manifest.table_digest == COSEISMIC.digest
    assert (manifest.quantity, manifest.members, manifest.gate_px) == ("coverage", 2, 64)
    assert manifest.calibration is not None
    model = LocalPredictor(*load_bundle(out, table_digest=COSEISMIC.digest))
    stack = np.full((len(PAPER_CHANNELS), 64, 64), np.nan, np.float32)
    stack[[PAPER_CHANNELS.index(c) for c in ("slope", "pga")]] = [[[30.0]], [[0.4]]]
    coverage = model.bound_to(EventStatistics.unknown(model.ranked)).gated([stack]).predict(stack)
    assert (coverage >= 0).all() and (coverage <= 0.9).all()


def test_each_event_is_scored_by_networks_that_never_saw_it(trained: tuple[Path, Manifest, Recorder]) -> None:
    """Both events left out in turn, then all together; the pre-training on worlds is one for all."""
    out, manifest, seen = trained
    assert seen.stages == ["training scenes", "train without each event", "train", "calibrate and score"]
    assert len(seen.steps["train without each event"]) == 2 * 8 + 2 * (2 * 4)
    assert len(seen.steps["train"]) == 2 * 4
    assert {name[:3] for name in manifest.trained_on} == {"syn"}
    rows = json.loads((out / SCORES_FILE).read_text())["scores"]
    assert [row["trained"] for row in rows] == ["without it", "without it", "on others"]
    assert {row["scene"] for row in rows[:2]} <= set(manifest.trained_on)
    assert rows[2]["scene"] not in manifest.trained_on
    assert 0.5 < rows[2]["ceiling_auc"] <= 1.0
    for row in rows:
        assert 0.0 < row["prevalence"] < 0.5
        assert 0.0 < row["auc"] < 1.0
        assert row["area_ratio"] > 0


def test_the_card_says_what_it_is(trained: tuple[Path, Manifest, Recorder]) -> None:
    card = (trained[0] / "CARD.md").read_text()
    for part in (
        "SYNTHETIC worlds, seeds 101.",
        "areal coverage",
        "- someone 300",
        "- someone 301",
        "Reliability at 250 m",
    ):
        assert part in card, part


def test_every_step_has_its_loss(trained: tuple[Path, Manifest, Recorder]) -> None:
    with (trained[0] / CURVE_FILE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == 2 * [*range(1, 9), *range(1, 5)]
    assert all(float(row["loss"]) > 0 for row in rows)


def test_a_killed_training_ends_in_the_same_bundle(
    folders: list[Path], trained: tuple[Path, Manifest, Recorder], tmp_path: Path
) -> None:
    # Cubes of the first run serve again, what it trained does not.
    scratch = shutil.copytree(
        trained[0].parent / "scratch", tmp_path / "scratch", ignore=shutil.ignore_patterns("network", "events")
    )
    arguments = {"folders": folders, "worlds": SEEDS, "out": tmp_path / "tiny", "scratch": scratch}
    with pytest.raises(PowerCutError):
        train_model(SETTINGS, **arguments, watcher=Recorder(stop_at=7))  # type: ignore[arg-type]
    assert not (tmp_path / "tiny").exists()
    again = Recorder()
    manifest = train_model(SETTINGS, **arguments, watcher=again)  # type: ignore[arg-type]
    assert again.steps["train without each event"][0] == 5, "the checkpoint was of step 4"
    assert manifest == trained[1]


def test_one_event_alone_cannot_be_left_out(folders: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="two places or more"):
        train_model(SETTINGS, folders=folders[:1], worlds=SEEDS, out=tmp_path / "x", scratch=tmp_path)


@pytest.mark.parametrize("change", [{"unseen": (101,)}, {"calibrating": (0,)}, {"training": (7, 7)}])
def test_a_seed_has_one_job_and_none_is_the_demonstration(change: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="distinct seeds"):
        replace(SEEDS, **change)
