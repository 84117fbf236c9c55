"""The network as a learner: worlds first, then real ground; several members; several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from headscarp.core.manifest import Architecture
from headscarp.core.normalisation import EventStatistics
from headscarp.errors import InvalidInput
from headscarp.ml.ensemble import Ensemble
from headscarp.ml.placement import Placement
from headscarp.ml.regressor import NetworkLearner, Recipe
from headscarp.ml.train import TrainOptions, train
from tests.ml.test_ml_train import MANIFEST, options, scene

TORCHRUN = (sys.executable, "-m", "torch.distributed.run")
RECIPE = Recipe(
    inputs=MANIFEST.inputs,
    architecture=Architecture("C", 2),
    absolute=frozenset({"pga"}),
    gate_px=48,
    pretraining=options(6),
    fine_tuning=options(4),
    seeds=(0, 1),
)


class Steps:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.seen.append((done, total))


def test_worlds_first_then_all_for_every_member(tmp_path: Path) -> None:
    steps = Steps()
    real = replace(scene(2), name="real", synthetic=False)
    trained = NetworkLearner(recipe=RECIPE, scratch=tmp_path, progress=steps).fit([real, scene(1)])
    assert [len(curve) for curve in trained.curves] == [6, 4, 6, 4]
    assert steps.seen == [(n, 20) for n in range(1, 21)]
    assert isinstance(trained.network, Ensemble)
    assert trained.manifest.members == 2
    assert trained.manifest.trained_on == ("real", "s1")
    assert trained.manifest.synthetic


def test_pretraining_is_shared_between_folds_and_nothing_is_done_twice(tmp_path: Path) -> None:
    one, other = (replace(scene(seed), name=f"real-{seed}", synthetic=False) for seed in (2, 3))
    first, second, again = Steps(), Steps(), Steps()
    maps = []
    for steps, event in ((first, one), (second, other), (again, one)):
        trained = NetworkLearner(recipe=RECIPE, scratch=tmp_path, progress=steps).fit([event, scene(1)])
        maps.append(trained.score(scene(7)))
    assert [len(s.seen) for s in (first, second, again)] == [20, 8, 0]
    np.testing.assert_array_equal(maps[0], maps[2])
    assert not np.array_equal(maps[0], maps[1], equal_nan=True)


def test_real_events_alone_and_worlds_alone() -> None:
    real = replace(scene(2), synthetic=False)
    alone = replace(RECIPE, seeds=(0,))
    assert [len(c) for c in NetworkLearner(recipe=alone).fit([real]).curves] == [4]
    assert [len(c) for c in NetworkLearner(recipe=alone).fit([scene(1)]).curves] == [6]
    with pytest.raises(ValueError, match="got none"):
        NetworkLearner(recipe=alone).fit([])


def test_it_reads_its_channels_by_name() -> None:
    trained = NetworkLearner(recipe=replace(RECIPE, seeds=(0,))).fit([scene(1)])
    unseen = scene(99)
    turned = unseen.selecting(tuple(reversed(unseen.channels)))
    np.testing.assert_array_equal(trained.score(turned), trained.score(unseen))


def test_channels_that_it_does_not_read_change_nothing() -> None:
    """An evaluation reads scenes with the channels of all its models."""
    learner, own = NetworkLearner(recipe=replace(RECIPE, seeds=(0,))), scene(1)
    extended = replace(
        own,
        channels=("pgv", *own.channels),
        stack=np.concatenate([own.stack[:1] * 3, own.stack]),
        statistics=EventStatistics({"pgv": own.statistics.quantiles["pga"], **own.statistics.quantiles}),
    )
    np.testing.assert_array_equal(learner.fit([extended]).score(extended), learner.fit([own]).score(own))


def test_every_setting_of_the_recipe_changes_its_identity() -> None:
    found = {
        NetworkLearner(recipe=recipe).identity
        for recipe in (
            RECIPE,
            replace(RECIPE, seeds=(0,)),
            replace(RECIPE, absolute=frozenset()),
            replace(RECIPE, fine_tuning=options(7)),
            replace(RECIPE, architecture=Architecture("A", 2)),
        )
    }
    assert len(found) == 5


def test_bfloat16_learns_too_and_keeps_its_weights_in_single_precision() -> None:
    exact, _ = train(MANIFEST, [scene(1)], options=options(15))
    coarse, curve = train(MANIFEST, [scene(1)], options=options(15, precision="bfloat16"))
    assert {p.dtype for p in coarse.parameters()} == {torch.float32}
    assert np.isfinite(curve).all()
    assert not torch.equal(next(exact.encoder.parameters()), next(coarse.encoder.parameters()))


def test_no_such_gpu() -> None:
    with pytest.raises(InvalidInput, match="found 0 GPUs" if not torch.cuda.is_available() else "expected GPU"):
        Placement.here("cuda" if not torch.cuda.is_available() else f"cuda:{torch.cuda.device_count()}")


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path: Path) -> None:
    """Each draws half of every batch; gradients are averaged, so both hold the same weights."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
    subprocess.run(
        [*TORCHRUN, "--standalone", "--nproc-per-node=2", "--module", "tests.ml.test_ml_regressor", str(tmp_path)],
        env=environment,
        cwd=Path(__file__).parents[2],
        check=True,
        timeout=120,
    )
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in (0, 1))
    alone = train(MANIFEST, [scene(1)], options=_shared_options())[0].state_dict()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
    # Batch normalisation sees half a batch at a time: close to one process, not equal.
    weights = [name for name in first if name.endswith("weight")]
    apart = max(float((first[n] - alone[n]).abs().max()) for n in weights)
    assert 0.0 < apart < 0.1
    assert [p.name for p in (tmp_path / "checkpoint").iterdir()] == ["checkpoint.safetensors"]


def _shared_options() -> TrainOptions:
    return options(5)


def _one_of_two(folder: Path) -> None:
    placement = Placement.here()
    network, _ = train(
        MANIFEST, [scene(1)], options=_shared_options(), placement=placement, checkpoint=folder / "checkpoint"
    )
    save_file({n: t.contiguous() for n, t in network.state_dict().items()}, folder / f"{placement.rank}.safetensors")


if __name__ == "__main__":
    _one_of_two(Path(sys.argv[1]))
