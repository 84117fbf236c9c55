"""Held-out maps: nothing is shown that judges, nothing is done twice, and twins are calibrated by others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headscarp.core.types import Raster
from headscarp.errors import InvalidInput, Unavailable
from headscarp.ml.windows import Scene
from headscarp.pipeline.contenders import Contender
from headscarp.pipeline.folds import Fold, Subject, block_plan, make_folds
from headscarp.pipeline.heldout import Judged, calibrated, held_out
from tests.pipeline.contests import Fake, chance, contender, event, scene_of, subject_of


class PowerCutError(Exception):
    """Stands for the power cut."""


def silent(done: int, total: int) -> None:
    """No progress to show."""


@pytest.fixture(scope="module")
def folds() -> tuple[Fold, ...]:
    """Three events, one left out in turns."""
    return make_folds("events", [subject_of(n, longitude=9.0 * k, seed=k) for k, n in enumerate("abc")], plans={})


def test_a_killed_run_goes_on_without_fitting_again(folds: tuple[Fold, ...], tmp_path: Path) -> None:
    learner = Fake("fake")

    def cut(done: int, total: int) -> None:
        if done == 2:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        held_out([Contender(learner)], folds, tmp_path, progress=cut)
    assert len(learner.fitted) == 2
    (model,) = held_out([Contender(learner)], folds, tmp_path, progress=silent)
    assert [[s.name for s in scenes] for scenes in learner.fitted] == [["b", "c"], ["a", "c"], ["a", "b"]]
    held_out([Contender(learner)], folds, tmp_path, progress=silent)
    assert len(learner.fitted) == 3
    scene = folds[1].test[0]
    np.testing.assert_array_equal(model.read("b"), np.where(scene.known, chance(scene), np.nan))


def test_a_map_cut_off_in_the_middle_is_made_again(folds: tuple[Fold, ...], tmp_path: Path) -> None:
    held_out([contender("fake")], folds, tmp_path, progress=silent)
    path = next(tmp_path.rglob("b.npy"))
    path.rename(path.with_name("b.npy.4711.part"))
    again = contender("fake")
    held_out([again], folds, tmp_path, progress=silent)
    assert len(again.learner.fitted) == 1  # type: ignore[attr-defined]
    assert path.is_file()


def test_another_identity_is_another_model(folds: tuple[Fold, ...], tmp_path: Path) -> None:
    held_out([Contender(Fake("fake"))], folds, tmp_path, progress=silent)
    other = Fake("fake", identity="other settings")
    held_out([Contender(other)], folds, tmp_path, progress=silent)
    assert len(other.fitted) == 3


def test_models_are_not_shown_the_labels_they_are_judged_by(folds: tuple[Fold, ...], tmp_path: Path) -> None:
    learner = Fake("fake")
    held_out([Contender(learner)], folds, tmp_path, progress=silent)
    for shown, fold in zip(learner.shown, folds, strict=True):
        assert not shown.slides.any()
        assert not np.nan_to_num(shown.label).any()
        assert shown.coverage is None
        np.testing.assert_array_equal(shown.known, fold.test[0].known)


def test_a_failing_model_is_named_with_its_fold(folds: tuple[Fold, ...], tmp_path: Path) -> None:
    def away(scene: Scene) -> Raster:
        raise Unavailable(f"no answer about {scene.name}")

    with pytest.raises(Unavailable, match=r"^fold a, model fake: no answer about a$"):
        held_out([contender("fake", away)], folds, tmp_path, progress=silent)
    assert not list(tmp_path.rglob("*.npy"))


@pytest.mark.parametrize(
    ("says", "words"),
    [(lambda s: chance(s)[1:], "expected scores"), (lambda s: 2 * chance(s) + 1, "expected coverages between 0 and 1")],
)
def test_maps_that_cannot_be_are_refused(says: object, words: str, folds: tuple[Fold, ...], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=words):
        held_out([contender("fake", says)], folds, tmp_path, progress=silent)  # type: ignore[arg-type]


def test_folds_of_one_scene_join_to_one_map(tmp_path: Path) -> None:
    large = Subject(scene_of("large", shape=(330, 490)), event("large"), "d")
    folds = make_folds("blocks", [large], plans={"large": block_plan(large, folds=3, kept=tmp_path)})
    (model,) = held_out([contender("fake")], folds, tmp_path, progress=silent)
    np.testing.assert_array_equal(model.read("large"), np.where(large.scene.known, chance(large.scene), np.nan))


def twin_of(scenes: list[Scene], groups: dict[str, str], scale: float = 3.0) -> Judged:
    """The calibrated twin of a model that says a multiple of the truth."""
    maps = {s.name: np.where(s.known, np.minimum(scale * chance(s), 1), np.nan).astype(np.float32) for s in scenes}
    return calibrated(Judged("fake", "score", contender("fake"), maps.__getitem__), one_fold_each(scenes), groups)


def one_fold_each(scenes: list[Scene]) -> list[Fold]:
    return [Fold(scene.name, (), (scene,), "d") for scene in scenes]


def test_a_twin_is_calibrated_by_others_alone() -> None:
    scenes = [scene_of(name, seed=k) for k, name in enumerate("abc")]
    groups = {name: name for name in "abc"}
    twin = twin_of(scenes, groups)
    assert (twin.name, twin.quantity, twin.baseline) == ("fake+calibrated", "coverage", False)
    for scene in scenes:
        predicted = np.nansum(twin.read(scene.name))
        assert predicted == pytest.approx(scene.slides.sum(), rel=0.05)
    # Own labels change nothing; another's do.
    turned = replace(scenes[0], slides=~scenes[0].slides & scenes[0].known)
    changed = twin_of([turned, *scenes[1:]], groups)
    np.testing.assert_array_equal(changed.read("a"), twin.read("a"))
    assert np.nanmean(np.abs(changed.read("b") - twin.read("b"))) > 0.05


def test_other_blocks_of_an_event_calibrate_it_rather_than_other_events() -> None:
    """Event b has five times the landslides of a for equal scores: each is calibrated on its own other half."""
    a, b = (scene_of(name, seed=k) for k, name in enumerate("ab"))
    rare = replace(a, slides=a.slides & (np.random.default_rng(0).random(a.slides.shape) < 0.2))
    north = np.arange(a.label.shape[0])[:, None] < a.label.shape[0] // 2
    folds = [
        Fold(name, (), (rare.only(half), b.only(half)), "d") for name, half in (("north", north), ("south", ~north))
    ]
    maps = {s.name: np.where(s.known, chance(s), np.nan).astype(np.float32) for s in (rare, b)}
    twin = calibrated(Judged("fake", "score", contender("fake"), maps.__getitem__), folds, {"a": "a", "b": "b"})
    for scene in (rare, b):
        assert np.nansum(twin.read(scene.name)) == pytest.approx((scene.slides & scene.known).sum(), rel=0.15)


def test_neither_neighbours_nor_the_other_kind_calibrate() -> None:
    scenes = [scene_of("a", seed=0), scene_of("b", seed=1), scene_of("w", seed=2, synthetic=True)]
    with pytest.raises(InvalidInput, match="found none to calibrate w by"):
        twin_of(scenes, {"a": "a", "b": "b", "w": "w"})
    with pytest.raises(InvalidInput, match="found none to calibrate a by"):
        twin_of(scenes[:2], {"a": "cluster", "b": "cluster"})


def test_a_twin_of_a_map_without_answers_elsewhere_has_none() -> None:
    scenes = [scene_of("a", seed=0), scene_of("b", seed=1)]
    maps = {"a": chance(scenes[0]), "b": np.full_like(chance(scenes[1]), np.nan)}
    fake = Judged("fake", "score", contender("fake"), maps.__getitem__)
    twin = calibrated(fake, one_fold_each(scenes), {"a": "a", "b": "b"})
    assert np.isnan(twin.read("a")).all()
