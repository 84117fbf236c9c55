"""The evaluation from event folders to results: the keys that were agreed on, and a leak that is caught."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headscarp.core.types import Raster
from headscarp.errors import InvalidInput
from headscarp.io.outputs.report.results import Results
from headscarp.ml.windows import Scene
from headscarp.pipeline.contenders import Contender, Released, released
from headscarp.pipeline.evaluate import EvaluateOptions, evaluate
from headscarp.pipeline.judge import JudgeOptions
from headscarp.pipeline.subjects import FIRST_SEED, WorldOptions
from headscarp.pipeline.world import write_world
from headscarp.world.generate import make_world
from headscarp.world.settings import REGIONS
from tests.pipeline.contests import Fake, contender

SHAPE = (112, 112)
WORLDS = WorldOptions(count=2, shape=SHAPE, ceiling_draws=12)
JUDGE = JudgeOptions(draws=100)


def slope(scene: Scene) -> Raster:
    return scene.read(("slope",))[0] / np.float32(90)


def half(scene: Scene) -> Raster:
    """Slope in the north only."""
    found = slope(scene).copy()
    found[SHAPE[0] // 2 :] = np.nan
    return found


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two event folders of places far apart."""
    root = tmp_path_factory.mktemp("events")
    worlds = [make_world(40 + k, settings=REGIONS[k], shape=SHAPE) for k in range(2)]
    return [write_world(world, root / world.event.id) for world in worlds]


@pytest.fixture(scope="module")
def events(folders: list[Path], scratch: Path) -> dict[str, Any]:
    """Results of leaving one event out, with twins."""
    models = [contender("boosting", slope), contender("half", half, "score"), contender("slope", slope, "score")]
    options = EvaluateOptions(split="events", calibrate=True, judge=JUDGE)
    return evaluate(models, folders, options, scratch=scratch)


def test_results_have_the_form_that_reports_read(events: dict[str, Any]) -> None:
    written = json.loads(json.dumps(events, allow_nan=False))
    parsed = Results.parse(written)
    assert [m.name for m in parsed.models] == [
        "boosting", "half", "slope", "boosting+calibrated", "half+calibrated", "slope+calibrated",
    ]  # fmt: skip
    assert {m.name: m.quantity for m in parsed.models}["slope+calibrated"] == "coverage"
    assert set(written) >= {"format", "split", "folds", "created", "headscarp", "scenes", "models", "scores",
                            "differences", "curves", "skipped", "leaks"}  # fmt: skip
    assert all(s.label.startswith("SYNTHETIC") for s in parsed.scenes)
    assert {(row.profile, row.ground) for row in parsed.scores} >= {
        ("honest", "all"), ("honest", "slope>=5"), ("honest", "slope-matched"), ("paper", "all"),
    }  # fmt: skip


def test_every_model_stands_beside_boosting_and_slope(events: dict[str, Any]) -> None:
    pairs = {(row["model"], row["against"]) for row in events["differences"]}
    assert {("half", "boosting"), ("half", "slope"), ("slope", "boosting"), ("boosting", "slope")} <= pairs
    assert not [row for row in events["differences"] if row["model"] == row["against"]]
    equal = [r for r in events["differences"] if (r["model"], r["against"]) == ("boosting", "slope")]
    assert {row["scene"] for row in equal} == {*(s["name"] for s in events["scenes"]), "mean"}
    assert all(row["value"] == row["low"] == row["high"] == 0.0 for row in equal)


def test_ground_without_a_score_is_counted(events: dict[str, Any]) -> None:
    for scene in events["scenes"]:
        by_model = {
            row["model"]: row
            for row in events["scores"]
            if (row["scene"], row["profile"], row["ground"]) == (scene["name"], "honest", "all")
        }
        assert by_model["slope"]["pixels"] + by_model["slope"]["not_judged"] == scene["pixels"]
        assert by_model["half"]["not_judged"] > 0.3 * scene["pixels"]
        assert by_model["half"]["pixels"] + by_model["half"]["not_judged"] == scene["pixels"]


def test_a_second_run_fits_nothing_and_finds_the_same(
    events: dict[str, Any], folders: list[Path], scratch: Path
) -> None:
    models = [contender("boosting", slope), contender("half", half, "score"), contender("slope", slope, "score")]
    again = evaluate(models, folders, EvaluateOptions(split="events", calibrate=True, judge=JUDGE), scratch=scratch)
    assert all(not m.learner.fitted for m in models)  # type: ignore[attr-defined]
    assert {**again, "created": ""} == {**events, "created": ""}


def test_a_leaked_fold_is_caught_on_worlds_and_an_honest_one_is_not(scratch: Path) -> None:
    truths = {}
    for seed in range(FIRST_SEED, FIRST_SEED + WORLDS.count):
        world = make_world(seed, settings=REGIONS[seed % len(REGIONS)], shape=SHAPE)
        truths[world.event.id] = (world.probability, world.landslides.astype(np.float32))
    models = [
        contender("the truth", lambda s: truths[s.name][0]),
        contender("the labels", lambda s: truths[s.name][1], "score"),
        contender("slope", slope, "score"),
    ]
    results = evaluate(models, [], EvaluateOptions(split="worlds", worlds=WORLDS, judge=JUDGE), scratch=scratch)
    assert {leak["model"] for leak in results["leaks"]} == {"the truth", "the labels"}
    # A small world with few slides has a ceiling too uncertain for anyone to be clearly above it.
    catching = {s["name"] for s in results["scenes"] if s["ceiling_auc"] + 3 * s["ceiling_se"] < 1.0}
    assert {leak["scene"] for leak in results["leaks"] if leak["model"] == "the labels"} == catching
    for scene in results["scenes"]:
        assert scene["ceiling_se"] > 0
        assert abs(scene["ceiling_auc_same_pixels"] - scene["ceiling_auc"]) < 0.15


class Bundle:
    """A released model that was trained on a part of the first event."""

    name, version, quantity = "bundle", "1", "score"
    channels, required, ranked, plan, gate_px = ("slope",), frozenset({"slope"}), (), None, 0
    gate_px = 0

    def bound_to(self, statistics: object) -> Bundle:
        return self

    def predict(self, stack: Raster) -> Raster:
        return np.asarray(stack[0] / 90)


def test_a_released_model_is_not_judged_on_what_it_has_seen(folders: list[Path], scratch: Path) -> None:
    seen = folders[0].name
    model = Contender(Released(Bundle(), "abc"), trained_on=(f"{seen}-north",))  # type: ignore[arg-type]
    options = EvaluateOptions(split="released", judge=JUDGE, profiles=("honest",))
    results = evaluate([model, contender("slope", slope, "score")], folders, options, scratch=scratch)
    assert {row["scene"] for row in results["scores"] if row["model"] == "bundle"} == {folders[1].name}
    assert {row["scene"] for row in results["scores"] if row["model"] == "slope"} > {"mean"}
    assert {"model": "bundle", "scene": seen, "ground": "all", "reason": "the model was trained on this event"} in (
        results["skipped"]
    )
    assert {row["scene"] for row in results["differences"]} == {folders[1].name}
    assert {row["profile"] for row in results["scores"]} == {"honest"}


def test_released_maps_are_tiled_as_the_predictor_says(folders: list[Path], scratch: Path) -> None:
    from headscarp.core.tiling import CropPlan

    tiled = Bundle()
    tiled.plan = CropPlan(size=48, overlap=16)  # type: ignore[assignment]
    scene = Fake("whole", slope)
    whole, parts = Contender(scene), released(tiled)  # type: ignore[arg-type]
    options = EvaluateOptions(split="released", judge=JUDGE, profiles=("honest",))
    evaluate([whole, parts], folders[:1], options, scratch=scratch)
    first, second = (np.load(next((scratch / "released" / c.folder).rglob("*.npy"))) for c in (whole, parts))
    np.testing.assert_array_equal(first, second)


def test_nothing_to_evaluate_on_and_one_folder_twice_are_refused(folders: list[Path], scratch: Path) -> None:
    options = EvaluateOptions(split="released")
    with pytest.raises(InvalidInput, match="found neither"):
        evaluate([contender("slope", slope)], [], options, scratch=scratch)
    with pytest.raises(InvalidInput, match="each event folder once"):
        evaluate([contender("slope", slope)], [folders[0], folders[0]], options, scratch=scratch)
