"""Training: it learns what can be learned and nothing else, and a killed run continues to the bit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import safe_open

from headscarp.core.learning.labels import soft_label
from headscarp.core.learning.statistics import auc
from headscarp.core.manifest import Architecture, InputChannel, Manifest
from headscarp.core.normalisation import EventStatistics
from headscarp.core.tiling import CropPlan
from headscarp.errors import InvalidInput
from headscarp.ml.network import Network, build_network, score
from headscarp.ml.train import (
    CHECKPOINT_FILE,
    GATE_DECAY,
    Training,
    TrainOptions,
    fit_statistics,
    soft_loss,
    train,
)
from headscarp.ml.windows import Scene, WindowOptions, draw_batch

MANIFEST = Manifest(
    name="tiny",
    version="1",
    inputs=(
        InputChannel("slope", "dem"),
        InputChannel("aspect_east", "dem"),
        InputChannel("aspect_north", "dem"),
        InputChannel("ndvi", "ndvi"),
        InputChannel("pga", "shaking", "ln"),
        InputChannel("lithology", "lithology", "code", 3),
    ),
    required=frozenset({"slope", "pga"}),
    architecture=Architecture("C", 2),
    table_digest="00",
    plan=CropPlan(128, 88),
)
BY_EVENT = replace(MANIFEST, normalisation="event", absolute=frozenset({"pga"}))
BY_EITHER = pytest.mark.parametrize("model", [MANIFEST, BY_EVENT], ids=["training", "event"])
GATED = replace(BY_EVENT, gate_px=48)
WINDOWS = WindowOptions(size=48, batch=4)


def scene(seed: int, *, shuffled: bool = False, side: int = 96) -> Scene:
    """Slides where slope and shaking are high together; `shuffled` breaks that tie."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(side // 8, side // 8))
    slope = 25.0 + 12.0 * np.kron(coarse, np.ones((8, 8))) + rng.normal(0, 2, (side, side))
    pga = np.full((side, side), 0.3) * np.exp(np.linspace(-1, 1, side))
    chance = 1.0 / (1.0 + np.exp(-(0.25 * (slope - 38.0) + 2.0 * np.log(pga / 0.3))))
    slides = rng.random((side, side)) < chance
    if shuffled:
        slides = rng.permutation(slides.ravel()).reshape(slides.shape)
    angle = rng.uniform(0, 2 * np.pi, (side, side))
    rock, ndvi = rng.integers(0, 4, (side, side)), rng.random((side, side))
    stack = np.stack([slope, np.sin(angle), np.cos(angle), ndvi, pga, rock]).astype(np.float32)
    known = np.ones((side, side), bool)
    known[:, :3] = False
    label = soft_label(slides, known, length_px=0.5)
    return Scene(
        f"s{seed}",
        MANIFEST.channels,
        stack,
        label,
        slides,
        np.full((side, side), 0.2, np.float32),
        _usual(stack),
        synthetic=True,
    )


def _usual(stack: np.ndarray) -> EventStatistics:
    """Statistics of the continuous channels of a stack."""
    return EventStatistics.of(dict(zip(BY_EVENT.ranked, stack, strict=False)))


def scored(network: Network, model: Manifest, of: Scene) -> np.ndarray:
    return score(network, model, of.stack, statistics=of.statistics)


def unseen_auc(network: Network, model: Manifest) -> float:
    """AUC on a scene that is not trained on."""
    unseen = scene(99)
    return auc(scored(network, model, unseen), unseen.slides, unseen.known)


def options(steps: int, **changes: object) -> TrainOptions:
    """Few steps, a checkpoint now and then."""
    plain: dict[str, object] = {"steps": steps, "learning_rate": 5e-3, "checkpoint_every": 15, "windows": WINDOWS}
    return TrainOptions(**(plain | changes))  # type: ignore[arg-type]


@BY_EITHER
def test_learns_and_says_so_on_unseen_ground(model: Manifest) -> None:
    network, curve = train(model, [scene(1), scene(2)], options=options(90, learning_rate=1e-2, checkpoint_every=30))
    assert np.mean(curve[-20:]) < 0.85 * np.mean(curve[:10])
    assert len(curve) == 90
    assert unseen_auc(network, model) > 0.8


@BY_EITHER
def test_shuffled_labels_teach_nothing(model: Manifest) -> None:
    network, _ = train(model, [scene(1, shuffled=True), scene(2, shuffled=True)], options=options(60))
    held_out = [scene(seed, shuffled=True, side=192) for seed in range(10, 14)]
    found = [auc(scored(network, model, s), s.slides, s.known) for s in held_out]
    # 4 scenes of 37,000 pixels with some 6,000 positives each: standard error below 0.003.
    assert np.mean(found) == pytest.approx(0.5, abs=0.02)


def test_an_event_scaled_as_a_whole_scores_as_before() -> None:
    """What the event's own statistics are for: everything half as steep and half as strong, equal ranks."""
    by_rank = replace(BY_EVENT, absolute=frozenset())
    network, _ = train(by_rank, [scene(1)], options=options(15))
    whole = scene(7)
    halved = whole.stack * np.array([0.5, 1, 1, 0.5, 0.5, 1], np.float32)[:, None, None]
    expected = scored(network, by_rank, whole)
    np.testing.assert_allclose(score(network, by_rank, halved, statistics=_usual(halved)), expected, atol=2e-3)
    found = score(network, by_rank, halved, statistics=whole.statistics)
    assert np.abs(found - expected).max() > 0.02


class KilledError(Exception):
    """Stands for the power cut."""


@pytest.mark.parametrize("model", [MANIFEST, GATED], ids=["training", "event"])
def test_killed_and_resumed_equals_uninterrupted(model: Manifest, tmp_path: Path) -> None:
    scenes = [scene(1), scene(2)]
    through, curve = train(model, scenes, options=options(40))

    def kill(step: int, _steps: int, _loss: float) -> None:
        if step == 23:
            raise KilledError

    with pytest.raises(KilledError):
        train(model, scenes, options=options(40), checkpoint=tmp_path, progress=kill)
    resumed, again = train(model, scenes, options=options(40), checkpoint=tmp_path)
    assert again == curve
    for (name, a), b in zip(through.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_a_finished_run_is_not_trained_further(tmp_path: Path) -> None:
    steps: list[int] = []
    train(MANIFEST, [scene(1)], options=options(15), checkpoint=tmp_path)
    train(
        MANIFEST,
        [scene(1)],
        options=options(15),
        checkpoint=tmp_path,
        progress=lambda s, *_: steps.append(s),
    )
    assert steps == []


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    train(MANIFEST, [scene(1)], options=options(15), checkpoint=tmp_path)
    for scenes, other in (([scene(2)], options(15)), ([scene(1)], options(15, seed=5))):
        with pytest.raises(InvalidInput, match="other options or data"):
            train(MANIFEST, scenes, options=other, checkpoint=tmp_path)


def test_a_finished_run_serves_a_table_that_changed_in_words_only(tmp_path: Path) -> None:
    network, _ = train(MANIFEST, [scene(1)], options=options(15), checkpoint=tmp_path)
    reworded = replace(MANIFEST, table_digest="11", version="2")
    again, _ = train(reworded, [scene(1)], options=options(15), checkpoint=tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    for other in (replace(MANIFEST, architecture=Architecture("A", 2)), BY_EVENT):
        with pytest.raises(InvalidInput, match="other options or data"):
            train(other, [scene(1)], options=options(15), checkpoint=tmp_path)


def test_a_checkpoint_holds_tensors_and_text_only(tmp_path: Path) -> None:
    train(MANIFEST, [scene(1)], options=options(15), checkpoint=tmp_path)
    with safe_open(tmp_path / CHECKPOINT_FILE, framework="pt") as file:
        assert json.loads(file.metadata()["progress"])["step"] == 15
    assert [p.name for p in tmp_path.iterdir()] == [CHECKPOINT_FILE]


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_loss_is_the_masked_mean_by_hand(weight: float) -> None:
    logits = torch.tensor([[[[0.0, 2.0], [5.0, -1.0]]]])
    label = torch.tensor([[[1.0, 0.25], [float("nan"), 0.0]]])
    p = 1.0 / (1.0 + np.exp(-np.array([0.0, 2.0, -1.0])))
    u = np.array([1.0, 0.25, 0.0])
    expected = -np.mean(weight * u * np.log(p) + (1 - u) * np.log(1 - p))
    assert float(soft_loss(logits, label, weight)) == pytest.approx(expected, rel=1e-5)


def test_unknown_ground_gives_no_gradient() -> None:
    logits = torch.zeros(1, 1, 2, 2, requires_grad=True)
    soft_loss(logits, torch.tensor([[[1.0, float("nan")], [0.0, 0.5]]])).backward()
    assert logits.grad is not None
    assert logits.grad[0, 0, 0, 1] == 0.0
    assert logits.grad[0, 0, 0, 0] < 0.0


def test_statistics_are_robust_and_weigh_events_alike() -> None:
    small, large = scene(1, side=48), scene(2, side=192)
    large.stack[0] += 40.0
    large.stack[3] = np.nan
    network = build_network(MANIFEST)
    fit_statistics(network, [small, large], seed=0)
    halves = [np.median(s.stack[0][s.known]) for s in (small, large)]
    assert halves[0] + 10 < float(network.standardise.median[0]) < halves[1] - 10
    assert network.standardise.median[1:3].tolist() == [0.0, 0.0]
    assert network.standardise.scale[1:3].tolist() == [1.0, 1.0]
    assert float(network.standardise.median[3]) == pytest.approx(0.5, abs=0.05)
    assert float(network.standardise.scale[3]) == pytest.approx(1.4826 * 0.25, abs=0.05)
    assert float(network.standardise.median[4]) == pytest.approx(np.log(0.3), abs=0.1)


def test_only_what_is_seen_by_value_is_standardised_by_the_training() -> None:
    network = build_network(BY_EVENT)
    fit_statistics(network, [scene(1)], seed=0)
    layer = network.standardise
    assert [layer.inputs[i].name for i in layer.by_value] == ["aspect_east", "aspect_north", "pga"]
    assert layer.median.tolist() == pytest.approx([0.0, 0.0, np.log(0.3)], abs=0.1)


def test_windows_bring_the_statistics_of_their_own_event() -> None:
    first, second = scene(1), scene(2)
    second.stack[:] = second.stack + np.float32(100.0)
    own = replace(WINDOWS, other_extent=0.0)
    batch = draw_batch([first, second], MANIFEST.inputs, options=own, required=MANIFEST.required, seed=0, step=0)
    of = [first if np.nanmedian(x[0]) < 60 else second for x in batch.inputs]
    assert list(batch.statistics) == [s.statistics for s in of]
    assert {s.name for s in of} == {"s1", "s2"}


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    scenes = [scene(1), scene(2)]

    def draw(seed: int, step: int) -> bytes:
        batch = draw_batch(scenes, MANIFEST.inputs, options=WINDOWS, required=MANIFEST.required, seed=seed, step=step)
        return batch.inputs.tobytes() + batch.label.tobytes()

    assert draw(3, 7) == draw(3, 7)
    assert draw(3, 7) != draw(3, 8)
    assert draw(3, 7) != draw(4, 7)


def test_the_share_of_real_windows_does_not_depend_on_how_many_events_are_real() -> None:
    real = replace(scene(1), synthetic=False, label=np.full((96, 96), 0.25, np.float32))
    scenes = [real, *(scene(seed) for seed in range(2, 7))]
    drawn = [
        draw_batch(
            scenes, MANIFEST.inputs, options=replace(WINDOWS, real=0.3), required=MANIFEST.required, seed=0, step=step
        )
        for step in range(60)
    ]
    share = np.mean([(batch.label == 0.25).all(axis=(1, 2)) for batch in drawn])
    # 240 draws: standard error 0.03.
    assert share == pytest.approx(0.3, abs=0.1)


def test_windows_of_a_small_scene_are_padded_with_nothing() -> None:
    tiny = scene(1, side=32)
    batch = draw_batch([tiny], MANIFEST.inputs, options=WINDOWS, required=MANIFEST.required, seed=0, step=0)
    assert batch.inputs.shape == (4, 6, 48, 48)
    assert np.isfinite(batch.label).sum() == 4 * tiny.known.sum()


def test_a_scene_on_two_grids_is_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        Scene(
            "x",
            ("slope",),
            np.zeros((1, 4, 4), np.float32),
            np.zeros((4, 5), np.float32),
            np.zeros((4, 4), bool),
            np.zeros((4, 4), np.float32),
            EventStatistics({}),
            synthetic=False,
        )


def test_some_windows_are_ranked_as_in_another_extent() -> None:
    whole, model = scene(1, side=192), BY_EVENT

    def drawn(share: float) -> list[EventStatistics]:
        changed = replace(WINDOWS, batch=60, other_extent=share)
        batch = draw_batch([whole], model.inputs, options=changed, required=model.required, seed=0, step=0)
        return list(batch.statistics)

    assert all(found == whole.statistics for found in drawn(0.0))
    others = drawn(1.0)
    medians = np.array([found.quantiles["slope"][6] for found in others])
    at = whole.statistics.scored("slope", medians.astype(np.float32))
    # A weight of exp(tilt z) shifts a normal distribution by tilt: up to 1.2, either way.
    assert at.min() < -0.5
    assert at.max() > 0.5
    assert np.abs(at).max() < 1.6
    assert abs(at.mean()) < 0.3
    assert {tuple(found.quantiles) for found in others} == {model.ranked}
    # Nothing is known of what is missing, and what does not hang together with slope or PGA stays as it was.
    ndvi = np.array([found.quantiles["ndvi"][6] for found in others])
    np.testing.assert_allclose(ndvi, whole.statistics.quantiles["ndvi"][6], atol=0.06)


def test_the_gate_learns_from_the_events_running_mean() -> None:
    run = Training(GATED, [scene(1), scene(2)], options(1))
    first = torch.arange(2 * 2 * 32, dtype=torch.float32).reshape(2, 2, 32)
    own = (first + 1.0).requires_grad_()
    assert torch.equal(run._of_events([0, 1], first), first), "an event's first window is all that is known of it"
    found = run._of_events([0, 0], own)
    expected = first[0].lerp(own[0], 1.0 - GATE_DECAY)
    torch.testing.assert_close(found[0], expected)
    torch.testing.assert_close(found[1], expected.lerp(own[1], 1.0 - GATE_DECAY))
    torch.testing.assert_close(run.features[1], first[1])
    found.sum().backward()
    assert torch.equal(own.grad, torch.ones_like(own))
    run.advance()
    assert torch.isfinite(run.features).all()
