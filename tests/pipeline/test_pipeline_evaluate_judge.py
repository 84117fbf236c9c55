"""Judging is a function of maps: its metrics are scikit-learn's, gaps are said, leaks are caught."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as oracle

from headscarp.core.learning.sampling import paper_sample
from headscarp.io.inputs.folder import Inventory
from headscarp.pipeline.compare import Pair, differences, leaks, mean_rows, references, value_of
from headscarp.pipeline.dataset import landslide_coverage
from headscarp.pipeline.judge import ALL, Case, JudgeOptions, curves, honest_row, paper_row, scene_facts, unjudgeable
from headscarp.world.ceiling import observable_ceiling
from headscarp.world.generate import World, make_world
from tests.pipeline.contests import chance, scene_of
from tests.pipeline.test_pipeline_dataset import GRID, blobs, exact_share, write_polygons

OPTIONS = JudgeOptions(draws=200)


@pytest.fixture(scope="module")
def case() -> Case:
    """One scene of six blocks."""
    return Case.of(scene_of("a"), OPTIONS)


@pytest.fixture(scope="module")
def scores(case: Case) -> np.ndarray:
    """A map that is right but for a part where it has no answer."""
    found = chance(case.scene)
    found[50:90, 20:60] = np.nan
    return found


GROUNDS = {"all": ("pga", 0.0), "pga>=0.05": ("pga", 0.05), "pga>=0.12": ("pga", 0.12), "slope>=5": ("slope", 5.0)}


@pytest.mark.parametrize("ground", GROUNDS)
def test_metrics_are_those_of_scikit_learn_on_the_same_pixels(case: Case, scores: np.ndarray, ground: str) -> None:
    scene = case.scene
    channel, least = GROUNDS[ground]
    known = np.isfinite(scene.label) & (scene.read((channel,))[0] >= least)
    pixels = known & np.isfinite(scores)
    truth, said = scene.slides[pixels], scores[pixels].astype(float)
    row = honest_row(scores, case, ground, "coverage")
    rate = truth.mean()
    expected = {
        "pixels": pixels.sum(),
        "not_judged": known.sum() - pixels.sum(),
        "slide_pixels": truth.sum(),
        "prevalence": scene.slides[known].mean(),
        "auc": oracle.roc_auc_score(truth, said),
        "average_precision": oracle.average_precision_score(truth, said),
        "ap_skill": (oracle.average_precision_score(truth, said) - rate) / (1 - rate),
        "brier": oracle.brier_score_loss(truth, said),
        "brier_skill": 1 - oracle.brier_score_loss(truth, said) / (rate * (1 - rate)),
        "log_loss": oracle.log_loss(truth, said),
        "area_ratio": said.sum() / truth.sum(),
    }
    for name, value in expected.items():
        assert value_of(row[name]) == pytest.approx(value, abs=2e-6), name
    for name in ("auc", "average_precision", "brier", "area_ratio"):
        assert row[name]["low"] < row[name]["value"] < row[name]["high"], name
    order = truth[np.argsort(-said, kind="stable")]
    assert row["success_10"] == pytest.approx(order[: truth.size // 10].sum() / truth.sum(), abs=1e-3)


def test_coarse_cells_count_in_the_area_by_what_is_landslide_of_them(case: Case, scores: np.ndarray) -> None:
    whole, part = (
        honest_row(scores, replace(case, scene=replace(case.scene, filled=filled)), ALL, "coverage")
        for filled in (1.0, 0.25)
    )
    assert value_of(part["area_ratio"]) == pytest.approx(4 * value_of(whole["area_ratio"]), rel=1e-4)
    assert part["auc"] == whole["auc"], "the order of pixels is another matter"


def test_matched_ground_takes_what_slope_knows_away(case: Case) -> None:
    slope, pga = case.scene.stack
    row = honest_row(slope / 90, case, "slope-matched", "score")
    assert row["pixels"] == 2 * row["slide_pixels"]
    assert row["auc"]["value"] == pytest.approx(0.5, abs=0.02)
    assert row["prevalence"] == pytest.approx(case.scene.slides[case.scene.known].mean(), abs=1e-6)
    assert honest_row(pga, case, "slope-matched", "score")["auc"]["value"] > 0.57
    assert "brier" not in honest_row(chance(case.scene), case, "slope-matched", "coverage")


def test_the_paper_profile_leaves_partly_covered_pixels_out(scores: np.ndarray) -> None:
    scene = scene_of("a")
    rng = np.random.default_rng(5)
    partly = scene.slides & (rng.random(scene.slides.shape) < 0.5)
    edge = ~scene.slides & (rng.random(scene.slides.shape) < 0.2)
    coverage = np.where(partly, 0.75, np.where(edge, 0.25, scene.slides)).astype(np.float32)
    case = Case.of(replace(scene, coverage=coverage), OPTIONS)
    row = paper_row(scores, case)
    pixels = scene.known & np.isfinite(scores)
    assert row["positives"] == row["negatives"] == (pixels & (coverage == 1)).sum()
    drawn = paper_sample(coverage, scene.stack[1], pixels, seed=0)
    assert not (edge | scene.slides).flat[drawn[1]].any()
    truth, said = np.repeat([True, False], drawn[0].size), scores.flat[np.concatenate(drawn)]
    expected = {
        "auc": oracle.roc_auc_score(truth, said),
        "f1": oracle.f1_score(truth, said >= 0.5),
        "precision": oracle.precision_score(truth, said >= 0.5),
        "recall": oracle.recall_score(truth, said >= 0.5),
        "accuracy": oracle.accuracy_score(truth, said >= 0.5),
        "kappa": oracle.cohen_kappa_score(truth, said >= 0.5),
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-5)
    assert row["kappa"] == pytest.approx(2 * row["accuracy"] - 1, abs=1e-5)
    assert row["not_judged"] == 1600
    assert row["prevalence"] < 0.5


def test_curves_are_of_the_same_pixels(case: Case, scores: np.ndarray) -> None:
    found = curves(scores, case, "coverage")
    pixels = case.scene.known & np.isfinite(scores)
    fpr, tpr, _ = oracle.roc_curve(case.scene.slides[pixels], scores[pixels])
    shares = np.array(found["roc"])
    np.testing.assert_allclose(shares[:, 1], np.interp(shares[:, 0], fpr, tpr), atol=2e-3)
    assert found["success_rate"][0] == [0.0, 0.0]
    assert found["success_rate"][-1] == [1.0, 1.0]
    # 25 x 30 whole cells, of which 5 x 5 lie in the gap or have less than half outside it.
    gap = np.zeros(case.scene.slides.shape, bool)
    gap[50:90, 20:60] = True
    shares = (case.scene.known & ~gap).reshape(25, 8, 30, 8).mean(axis=(1, 3))
    assert sum(part["cells"] for part in found["reliability"]) == (shares >= 0.5).sum()
    for part in found["reliability"]:
        assert part["observed"] == pytest.approx(part["predicted"], rel=0.15)
    assert [size["from_m2"] for size in found["hit_rate"]] == [900, 1800, 3600, 9000, 27000, 90000]
    assert found["hit_rate"][-1]["to_m2"] is None
    assert curves(scores, case, "score")["reliability"] == []


def test_what_cannot_be_judged_says_why(case: Case, scores: np.ndarray) -> None:
    assert unjudgeable(scores, case, ALL) is None
    assert "no score" in str(unjudgeable(np.full_like(scores, np.nan), case, ALL))
    only = np.where(case.scene.slides, scores, np.nan)
    assert "what the map scores" in str(unjudgeable(only, case, ALL))
    calm = scene_of("calm")
    calm = replace(calm, stack=calm.stack * np.array([1, 0.05], np.float32)[:, None, None])
    assert "the ground has not both" in str(unjudgeable(scores, Case.of(calm, OPTIONS), "pga>=0.12"))


def test_shuffled_labels_leave_nothing_to_know() -> None:
    scene = scene_of("a", shape=(400, 400))
    shuffled = scene.slides.copy()
    shuffled[scene.known] = np.random.default_rng(1).permutation(scene.slides[scene.known])
    row = honest_row(chance(scene), Case.of(replace(scene, slides=shuffled), OPTIONS), ALL, "coverage")
    assert row["auc"]["value"] == pytest.approx(0.5, abs=0.01)
    assert row["auc"]["low"] < 0.5 < row["auc"]["high"]


def test_differences_are_paired(case: Case, scores: np.ndarray) -> None:
    other = case.scene.stack[0] / 90
    there, back = (Pair.of(a, b, case) for a, b in ((scores, other), (other, scores)))
    assert there is not None
    assert back is not None
    first, second = differences("m", "r", [there], OPTIONS), differences("r", "m", [back], OPTIONS)
    both = case.scene.known & np.isfinite(scores)
    truth = case.scene.slides[both]
    assert first[0]["value"] == pytest.approx(
        oracle.roc_auc_score(truth, scores[both]) - oracle.roc_auc_score(truth, other[both]), abs=2e-6
    )
    assert [row["metric"] for row in first] == ["auc", "average_precision"]
    for one, two in zip(first, second, strict=True):
        assert (one["value"], one["low"], one["high"]) == pytest.approx((-two["value"], -two["high"], -two["low"]))
        assert one["low"] > 0
    same = Pair.of(scores, scores, case)
    assert same is not None
    assert [row[k] for row in differences("m", "m", [same], OPTIONS) for k in ("value", "low", "high")] == [0.0] * 6
    assert Pair.of(np.where(case.scene.slides, scores, np.nan), scores, case) is None


def test_means_are_over_real_events_alone_where_there_are_any() -> None:
    def row(scene: str, auc: float, ratio: float) -> dict[str, Any]:
        return {"model": "m", "scene": scene, "profile": "honest", "ground": ALL, "pixels": 9,
                "auc": {"value": auc, "low": 0.0, "high": 1.0}, "area_ratio": ratio, "brier_skill": None}  # fmt: skip

    rows = [row("a", 0.6, 0.25), row("b", 0.8, 4.0), row("world", 0.9, 1.0)]
    (mean,) = mean_rows(rows, {"a": False, "b": False, "world": True}, OPTIONS)
    assert mean["scenes"] == 2
    assert mean["auc"] == {"value": 0.7, "low": None, "high": None}
    assert mean["area_ratio"]["value"] == 1.0
    assert not {"pixels", "brier_skill"} & set(mean)
    partly = [*rows, row("a", 0.9, 1.0) | {"model": "half"}]
    assert [r["model"] for r in mean_rows(partly, {"a": False, "b": False, "world": True}, OPTIONS)] == ["m"]
    (mean,) = mean_rows(rows, dict.fromkeys(("a", "b", "world"), True), OPTIONS)
    assert mean["scenes"] == 3
    assert 0.6 <= mean["auc"]["low"] < mean["auc"]["value"] < mean["auc"]["high"] <= 0.9


def test_mean_differences_are_over_real_events_alone_where_there_are_any(case: Case, scores: np.ndarray) -> None:
    other = case.scene.stack[0] / 90
    world = Case.of(replace(case.scene, name="world", synthetic=True), OPTIONS)
    pairs = [Pair.of(scores, other, case), Pair.of(other, scores, case), Pair.of(scores, other, world)]
    rows = differences("m", "r", [pair for pair in pairs if pair], OPTIONS)
    means = [row["value"] for row in rows if row["scene"] == "mean"]
    assert means == pytest.approx([0.0, 0.0], abs=1e-9)
    assert sum(row["scene"] == "world" for row in rows) == 2


def test_polygons_cover_pixels_in_part(tmp_path: Path) -> None:
    polygons = blobs(4)
    path = write_polygons(tmp_path / "slides.gpkg", polygons, [2005] * len(polygons))
    share, ignored = landslide_coverage(Inventory(path, "human"), GRID)
    exact = exact_share(polygons, GRID)
    assert (share[exact > 1 - 1e-9] == 1).all()
    assert (share[exact == 0] == 0).all()
    assert np.abs(share - exact).max() < 0.25
    assert ((share > 0) & (share < 1)).sum() > 20
    assert not ignored.any()


def test_everyone_is_compared_with_boosting_or_the_strongest_baseline_and_with_slope() -> None:
    strength = {"boosting": 0.1, "forest": 0.3, "slope": 0.2, "net": 0.9}
    assert references(["net", "slope", "forest", "boosting"], ["slope", "forest", "boosting"], strength) == (
        "boosting", "slope",
    )  # fmt: skip
    assert references(["net", "slope", "forest"], ["slope", "forest"], strength) == ("forest", "slope")
    assert references(["net", "slope"], ["slope"], strength) == ("slope",)
    assert references(["net"], [], strength) == ()


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(300, shape=(160, 160))


def judged(world: World, maps: dict[str, np.ndarray]) -> dict[str, Any]:
    """Results of maps of one world."""
    land = world.land & np.isfinite(world.elevation)
    scene = scene_of(world.event.id, shape=(160, 160), synthetic=True)
    label = np.where(land, world.landslides, np.nan).astype(np.float32)
    case = Case.of(replace(scene, label=label, slides=world.landslides & land), OPTIONS)
    ceiling = observable_ceiling(world, draws=20)
    facts = scene_facts(case.scene) | {"ceiling_auc": ceiling.auc, "ceiling_se": ceiling.standard_error}
    head = {"scene": world.event.id, "profile": "honest", "ground": ALL}
    maps = {"all that maps show": ceiling.score, **maps}
    rows = [head | {"model": name} | honest_row(found, case, ALL, "score") for name, found in maps.items()]
    return {"scenes": [facts], "scores": rows}


def test_who_knows_more_than_maps_show_is_caught_and_nobody_else(world: World) -> None:
    noise = np.random.default_rng(0).random(world.landslides.shape)
    results = judged(
        world,
        {
            "the labels": world.landslides.astype(np.float32),
            "the truth": world.probability,
            "noise": noise.astype(np.float32),
        },
    )
    assert {leak["model"] for leak in leaks(results)} == {"the labels", "the truth"}
    (leak,) = (leak for leak in leaks(results) if leak["model"] == "the labels")
    assert leak["auc"] == 1.0
    results["scores"][1]["profile"] = "paper"
    assert {leak["model"] for leak in leaks(results)} == {"the truth"}
