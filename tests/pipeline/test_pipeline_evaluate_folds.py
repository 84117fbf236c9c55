"""No fold shows what it judges by: blocks keep their distance, near events stay together, labels are cut away."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from headscarp.core.learning.split import BlockFolds
from headscarp.errors import InvalidInput
from headscarp.pipeline.folds import BUFFER_PX, Subject, block_plan, make_folds
from tests.pipeline.contests import event, scene_of, subject_of


@pytest.fixture
def large() -> Subject:
    """Six blocks."""
    return Subject(scene_of("large", shape=(330, 490)), event("large"), "d")


def test_blocks_are_trained_on_beyond_the_buffer_and_judged_once(large: Subject, tmp_path: Path) -> None:
    plan = block_plan(large, folds=3, kept=tmp_path)
    folds = make_folds("blocks", [large], plans={"large": plan})
    assert [fold.name for fold in folds] == ["block-0", "block-1", "block-2"]
    times = np.zeros(large.scene.label.shape, int)
    for fold in folds:
        (training,), (test,) = fold.training, fold.test
        times += test.known
        distance = ndimage.distance_transform_cdt(~plan.test(int(fold.name[-1])), metric="chessboard")
        assert distance[training.known].min() > BUFFER_PX
        assert test.slides.any()
    np.testing.assert_array_equal(times, large.scene.known)


def test_scenes_of_a_fold_hold_no_trace_of_other_labels(large: Subject, tmp_path: Path) -> None:
    covered = replace(large, scene=replace(large.scene, coverage=large.scene.slides.astype(np.float32)))
    for fold in make_folds("blocks", [covered], plans={"large": block_plan(covered, folds=3, kept=tmp_path)}):
        for scene in (*fold.training, *fold.test):
            assert scene.coverage is not None
            assert not scene.slides[~scene.known].any()
            assert not scene.coverage[~scene.known].any()
        assert not (fold.training[0].known & fold.test[0].known).any()


def test_committed_folds_are_used_where_they_fit(large: Subject, tmp_path: Path) -> None:
    made = block_plan(large, folds=3, kept=tmp_path)
    other = BlockFolds(made.shape, BUFFER_PX, tuple(tuple((f + 1) % 3 for f in row) for row in made.fold_of))
    path = tmp_path / "blocks-large.json"
    path.write_text(json.dumps(other.to_json()))
    assert block_plan(large, folds=3, kept=tmp_path) == other
    assert block_plan(large, folds=2, kept=tmp_path).folds == 2
    path.write_text(json.dumps(replace(other, shape=(330, 489)).to_json()))
    assert block_plan(large, folds=3, kept=tmp_path) == made
    path.write_text('{"shape": [330, 490]}')
    with pytest.raises(InvalidInput, match=r"blocks-large\.json: expected the folds"):
        block_plan(large, folds=3, kept=tmp_path)


def test_an_event_smaller_than_a_window_cannot_be_parted(tmp_path: Path) -> None:
    small = Subject(scene_of("small", shape=(100, 100)), event("small"), "d")
    with pytest.raises(InvalidInput, match="small: cannot be parted into 3 spatial folds"):
        block_plan(small, folds=3, kept=tmp_path)


def test_blocks_refuse_two_folders_of_one_event(large: Subject, tmp_path: Path) -> None:
    again = replace(large, scene=replace(large.scene, name="coarse"))
    plans = {s.name: block_plan(s, folds=3, kept=tmp_path) for s in (large, again)}
    with pytest.raises(InvalidInput, match="each event once, found more folders of large"):
        make_folds("blocks", [large, again], plans=plans)


def test_near_events_are_held_out_together_and_worlds_always_train() -> None:
    subjects = [subject_of("a"), subject_of("b", longitude=1.0), subject_of("far", longitude=9.0),
                subject_of("w", longitude=0.1, world=True)]  # fmt: skip
    together, alone = make_folds("events", subjects, plans={})
    assert [s.name for s in together.test] == ["a", "b"]
    assert [s.name for s in together.training] == ["far", "w"]
    assert [s.name for s in alone.test] == ["far"]
    assert [s.name for s in alone.training] == ["a", "b", "w"]


def test_weak_inventories_train_and_never_judge() -> None:
    subjects = [subject_of("a"), subject_of("weak", longitude=5.0, weak=True), subject_of("c", longitude=9.0)]
    folds = make_folds("events", subjects, plans={})
    assert [s.name for fold in folds for s in fold.test] == ["a", "c"]
    assert [s.name for s in folds[0].training] == ["weak", "c"]
    assert [fold.name for fold in make_folds("released", subjects, plans={})] == ["a", "c"]


@pytest.mark.parametrize("subjects", [[], [subject_of("a")], [subject_of("a"), subject_of("b", longitude=1.0)]])
def test_one_place_only_cannot_be_left_out(subjects: list[Subject]) -> None:
    with pytest.raises(InvalidInput, match="events of two places or more"):
        make_folds("events", subjects, plans={})


def test_the_split_of_the_paper_names_the_events_that_are_absent() -> None:
    with pytest.raises(InvalidInput) as caught:
        make_folds("paper33", [subject_of("us20002926"), subject_of("other")], plans={})
    words = str(caught.value)
    assert all(name in words for name in ("Nippes", "Kaik", "Denali", "Luding"))
    assert "Gorkha" not in words


def test_the_split_of_the_paper_knows_events_by_id_or_by_day_and_magnitude() -> None:
    ids = ["us6000f65h", "us1000778i", "ak002e435qpj", "us20002926", "other"]
    luding = replace(event("luding"), time=datetime(2022, 9, 5, 4, 52, tzinfo=UTC), magnitude=6.6)
    subjects = [*(subject_of(name) for name in ids), Subject(scene_of("luding"), luding, "d")]
    (fold,) = make_folds("paper33", subjects, plans={})
    assert {s.name for s in fold.test} == {*ids[:4], "luding"}
    assert [s.name for s in fold.training] == ["other"]


def test_every_world_is_left_out_once_and_few_together() -> None:
    many = [subject_of(f"w{k}", world=True, seed=k) for k in range(7)]
    tests = [[s.name for s in fold.test] for fold in make_folds("worlds", many, plans={})]
    assert sorted(name for names in tests for name in names) == [w.name for w in many]
    assert [len(names) for names in tests] == [2, 1, 2, 1, 1]


def test_few_worlds_are_left_out_one_by_one() -> None:
    worlds = [subject_of(f"w{k}", world=True, seed=k) for k in range(3)]
    folds = make_folds("worlds", [subject_of("real"), *worlds], plans={})
    assert [[s.name for s in fold.test] for fold in folds] == [["w0"], ["w1"], ["w2"]]
    assert [s.name for s in folds[0].training] == ["real", "w1", "w2"]
    with pytest.raises(InvalidInput, match="two worlds or more, found 1"):
        make_folds("worlds", worlds[:1], plans={})


def test_other_data_never_share_a_folder() -> None:
    far = subject_of("far", longitude=9.0)
    first = make_folds("events", [subject_of("a"), far], plans={})[0]
    assert make_folds("events", [subject_of("a"), far], plans={})[0].folder == first.folder
    relabelled = replace(
        subject_of("a"), scene=replace(subject_of("a").scene, slides=subject_of("b", seed=1).scene.slides)
    )
    more = [subject_of("a"), far, subject_of("w", world=True)]
    changed = [
        make_folds("events", [relabelled, far], plans={}),
        make_folds("events", more, plans={}),
        make_folds("events", [subject_of("a"), replace(far, digest="other layers")], plans={}),
    ]
    assert len({first.folder, *(folds[0].folder for folds in changed)}) == 4


def test_committed_folds_of_real_events_are_balanced(root: Path) -> None:
    files = sorted((root / "docs/results/folds").glob("blocks-*.json"))
    assert [path.stem for path in files] == ["blocks-us20002926", "blocks-usp000e12e", "blocks-wenchuan2008"]
    for path in files:
        plan = BlockFolds.from_json(json.loads(path.read_text()))
        assert (plan.folds, plan.buffer_px) == (3, BUFFER_PX)
        assert plan.block_px >= 160
