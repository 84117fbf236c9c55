"""Training from end to end on worlds small enough to be quick: a whole bundle comes out, and the same one twice."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headscarp.core.manifest import Architecture, Manifest
from headscarp.core.normalisation import EventStatistics
from headscarp.ml.bundle import load_bundle
from headscarp.ml.local import LocalPredictor
from headscarp.ml.train import TrainOptions
from headscarp.ml.windows import WindowOptions
from headscarp.pipeline.train import CURVE_FILE, SCORES_FILE, Seeds, TrainSettings, train_model
from headscarp.pipeline.world import write_world
from headscarp.tables.coseismic import COSEISMIC, PAPER_CHANNELS
from headscarp.world.generate import make_world

SETTINGS = TrainSettings(
    name="tiny",
    architecture=Architecture("C", 2),
    options=TrainOptions(steps=24, evaluate_every=8, windows=WindowOptions(size=64, batch=4)),
    world_shape=(96, 96),
    ceiling_draws=3,
)
SEEDS = Seeds(training=(101,), choosing=(150,), unseen=(200,))


class PowerCutError(Exception):
    """Stands for the power cut."""


class Recorder:
    """Notes what it sees, and may pull the plug at a training step."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stages: list[str] = []
        self.steps: list[int] = []
        self._stop_at = stop_at

    def begin(self, stage: str) -> None:
        self.stages.append(stage)

    def advance(self, stage: str, done: int, total: int) -> None:
        if stage == "train":
            self.steps.append(done)
            if done == self._stop_at:
                raise PowerCutError

    def end(self, stage: str, seconds: float) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An event folder that stands for a real one."""
    return write_world(make_world(300, shape=(192, 96)), tmp_path_factory.mktemp("event"))


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """A bundle, trained in one go on one thread."""
    root, threads = tmp_path_factory.mktemp("trained"), torch.get_num_threads()
    torch.set_num_threads(1)
    manifest = train_model(SETTINGS, folders=[folder], worlds=SEEDS, out=root / "tiny", scratch=root / "scratch")
    torch.set_num_threads(threads)
    return root / "tiny", manifest


def test_the_bundle_is_whole_and_runs(trained: tuple[Path, Manifest]) -> None:
    out, manifest = trained
    assert Manifest.load(out) == manifest
    assert manifest.table_digest == COSEISMIC.digest
    assert manifest.channels == PAPER_CHANNELS
    model = LocalPredictor(*load_bundle(out, table_digest=COSEISMIC.digest))
    stack = np.full((len(PAPER_CHANNELS), 64, 64), np.nan, np.float32)
    stack[[PAPER_CHANNELS.index(c) for c in ("slope", "pga")]] = [[[30.0]], [[0.4]]]
    assert manifest.normalisation == "event"
    assert np.isfinite(model.bound_to(EventStatistics.unknown(model.ranked)).predict(stack)).all()


def test_synthetic_ground_is_named_as_such(trained: tuple[Path, Manifest]) -> None:
    out, manifest = trained
    assert manifest.synthetic
    assert len(manifest.trained_on) == 2
    card = (out / "CARD.md").read_text()
    assert "SYNTHETIC worlds, seeds 101" in card
    assert "neither a probability" in card


def test_scores_are_of_unseen_ground_at_its_own_prevalence(trained: tuple[Path, Manifest]) -> None:
    rows = json.loads((trained[0] / SCORES_FILE).read_text())["scores"]
    assert [("SYNTHETIC" in row["scene"]) for row in rows] == [False, True]
    assert rows[0]["scene"].endswith("-south")
    assert rows[0]["scene"] not in trained[1].trained_on
    assert rows[1]["ceiling_auc"] < 1.0
    for row in rows:
        assert 0.0 < row["prevalence"] < 0.5
        assert 0.0 < row["auc"] < 1.0


def test_the_curve_has_a_line_for_each_evaluation(trained: tuple[Path, Manifest]) -> None:
    with (trained[0] / CURVE_FILE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["8", "16", "24"]
    assert all(float(row["loss"]) > 0 for row in rows)


def test_a_killed_training_ends_in_the_same_bundle(
    folder: Path, trained: tuple[Path, Manifest], tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    # Cubes of the first run serve again, its checkpoint does not.
    scratch = shutil.copytree(
        trained[0].parent / "scratch", tmp_path / "scratch", ignore=shutil.ignore_patterns("checkpoint*")
    )
    arguments = {"folders": [folder], "worlds": SEEDS, "out": tmp_path / "tiny", "scratch": scratch}
    with pytest.raises(PowerCutError):
        train_model(SETTINGS, **arguments, watcher=Recorder(stop_at=13))  # type: ignore[arg-type]
    assert not (tmp_path / "tiny").exists()
    again = Recorder()
    manifest = train_model(SETTINGS, **arguments, watcher=again)  # type: ignore[arg-type]
    torch.set_num_threads(threads)
    assert again.steps[0] == 9
    assert again.stages == ["training scenes", "train", "score unseen ground"]
    assert manifest == trained[1]


@pytest.mark.parametrize("change", [{"unseen": (101,)}, {"choosing": (0,)}, {"training": (7, 7)}])
def test_a_seed_has_one_job_and_none_is_the_demonstration(change: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="distinct seeds"):
        replace(SEEDS, **change)
