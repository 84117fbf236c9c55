"""Baselines: each finds a rule that is there and none where there is none, and says probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression

from headscarp.core.learning.statistics import auc
from headscarp.errors import InvalidInput, NotFound
from headscarp.ml import pixels
from headscarp.ml.baselines import BASELINES, Boosting, Forest, Logistic, Perceptron, PixelLearner, baseline
from headscarp.ml.pixels import balanced_pixels
from headscarp.ml.windows import Scene
from tests.ml.hillsides import CHANNELS, hillside, labelled, shuffled, smooth, without

LEARNED: Mapping[str, PixelLearner] = {
    learner.name: learner
    for learner in (
        Logistic(channels=CHANNELS),
        Forest(channels=CHANNELS, trees=40),
        Perceptron(channels=CHANNELS),
        Boosting(channels=CHANNELS, rounds=60),
        Boosting(name="boosting_monotone", channels=CHANNELS, rounds=60, increasing=("slope", "relief", "pga")),
        Boosting(name="boosting_context", channels=CHANNELS, rounds=60, context_px=9),
    )
}
BY_EACH = pytest.mark.parametrize("learner", LEARNED.values(), ids=LEARNED)


@pytest.fixture(scope="module")
def training() -> list[Scene]:
    """Two events of one rule."""
    return [hillside(1)[0], hillside(2)[0]]


@pytest.fixture(scope="module")
def unseen() -> tuple[Scene, np.ndarray]:
    """A third one, twice as steep, and its true chances."""
    return hillside(3, steepness=2.0)


@BY_EACH
def test_the_rule_is_found(learner: PixelLearner, training: list[Scene], unseen: tuple[Scene, np.ndarray]) -> None:
    scene, chance = unseen
    found = learner.fit(training).score(scene)
    assert found.shape == chance.shape
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    assert auc(found, scene.slides, scene.known) > auc(chance, scene.slides, scene.known) - 0.06
    assert spearmanr(found.ravel(), chance.ravel()).statistic > 0.75
    assert found[scene.known].mean() == pytest.approx(scene.slides[scene.known].mean(), rel=0.25)


SHUFFLES = {"logistic": 60, "forest": 12, "ann": 12, "boosting": 12, "boosting_context": 12}


@pytest.mark.parametrize(("learner", "times"), SHUFFLES.items(), ids=SHUFFLES)
def test_shuffled_labels_teach_nothing(learner: str, times: int, unseen: tuple[Scene, np.ndarray]) -> None:
    # A direction found by chance is right or wrong by chance, so only the mean is 0.5. Monotone trees are
    # left out: what they are told beforehand is right, whatever the labels say.
    scene, found = unseen[0], []
    for seed in range(times):
        noise = shuffled(hillside(10 + seed, side=64)[0], seed)
        scorer = replace(LEARNED[learner], most=300, seed=seed).fit([noise])
        found.append(auc(scorer.score(scene), scene.slides, scene.known))
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)


def test_logistic_is_logistic_regression(unseen: tuple[Scene, np.ndarray]) -> None:
    gaps = hillside(1)[0]
    gaps.stack[CHANNELS.index("ndvi"), 20:40] = np.nan
    training, scene = [gaps, hillside(2, side=64)[0]], unseen[0]
    drawn = [balanced_pixels(s, seed=0) for s in training]
    x = np.concatenate([_by_hand(s)[p] for s, p in zip(training, drawn, strict=True)])
    y = np.concatenate([s.slides.ravel()[p] for s, p in zip(training, drawn, strict=True)])
    w = np.concatenate([np.full(p.size, y.size / (2 * p.size)) for p in drawn])
    mean = np.average(x, axis=0, weights=w)
    scale = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=w))
    model = LogisticRegression(C=1e-3, max_iter=2_000).fit((x - mean) / scale, y, sample_weight=w)
    balanced = model.predict_proba((_by_hand(scene) - mean) / scale)[:, 1]
    rate = np.mean([s.slides[s.known].mean() for s in training])
    expected = balanced * rate / (balanced * rate + (1 - balanced) * (1 - rate))
    found = Logistic(channels=CHANNELS, inverse_penalty=1e-3).fit(training).score(scene)
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-3)


def _by_hand(scene: Scene) -> np.ndarray:
    """(pixel, column) of ranks, one gap marker, components and rock classes."""
    flat = dict(zip(CHANNELS, scene.stack.reshape(len(CHANNELS), -1), strict=True))
    ranks = [scene.statistics.scored(c, flat[c]) for c in ("slope", "relief", "roughness", "ndvi", "pga")]
    classes = [flat["lithology"] == code for code in (1, 2, 3, 4)]
    columns = [*np.nan_to_num(ranks), np.isnan(flat["ndvi"]), flat["aspect_east"], flat["aspect_north"], *classes]
    return np.stack(columns, axis=1).astype(np.float64)


@pytest.mark.parametrize("normalisation", ["event", "training"])
def test_monotone_trees_never_fall_with_slope_and_shaking(training: list[Scene], normalisation: str) -> None:
    noise = [shuffled(scene, 5) for scene in training]
    falls = {}
    for name in ("boosting", "boosting_monotone"):
        learner = replace(LEARNED[name], normalisation=normalisation, absolute=("pga",), least_leaf=10)
        scorer, before = learner.fit(noise), training[0].stack
        for channel in ("slope", "pga"):
            more = before.copy()
            more[CHANNELS.index(channel)] *= 1.3
            rise = scorer.score(replace(training[0], stack=more)) - scorer.score(training[0])
            falls[name, channel] = rise.min()
    assert falls["boosting_monotone", "slope"] >= 0
    assert falls["boosting_monotone", "pga"] >= 0
    assert falls["boosting", "slope"] < -0.001
    assert falls["boosting", "pga"] < -0.001


def test_context_sees_what_a_pixel_does_not_show() -> None:
    def speckled(seed: int) -> Scene:
        """Slides where the greenness around is low; a pixel's own says little."""
        scene, rng = hillside(seed)[0], np.random.default_rng([seed, 1])
        green = rng.normal(size=scene.label.shape) + 0.5 * smooth(rng, 128, 6.0)
        scene.stack[CHANNELS.index("ndvi")] = green
        low = pixels.window_moments(green.astype(np.float32), 9)[0] < -0.5
        return labelled(scene.stack, low & (rng.random(low.shape) < 0.3), scene.name)

    scenes, unseen = [speckled(1), speckled(2)], speckled(3)
    alone, around = (
        auc(LEARNED[name].fit(scenes).score(unseen), unseen.slides, unseen.known)
        for name in ("boosting", "boosting_context")
    )
    assert around > alone + 0.1


@BY_EACH
def test_lost_layers_cost_skill_and_nothing_else(learner: PixelLearner, training: list[Scene]) -> None:
    scene, _ = hillside(4)
    poor = without(scene, "ndvi", "lithology", "relief")
    found = learner.fit([training[0], without(training[1], "ndvi", "lithology")]).score(poor)
    assert np.isfinite(found).all()
    assert auc(found, scene.slides, scene.known) > 0.75


@BY_EACH
@pytest.mark.parametrize("normalisation", ["event", "training"])
def test_layers_never_trained_on_change_nothing(learner: PixelLearner, normalisation: str) -> None:
    scene, _ = hillside(4, side=64)
    unfamiliar = replace(learner, normalisation=normalisation, most=200)
    scorer = unfamiliar.fit([without(hillside(1, side=96)[0], "ndvi", "lithology")])
    np.testing.assert_array_equal(scorer.score(scene), scorer.score(without(scene, "ndvi", "lithology")))


@BY_EACH
def test_equal_seeds_give_equal_maps(learner: PixelLearner, training: list[Scene]) -> None:
    scene, _ = hillside(4, side=64)
    few = replace(learner, most=150)
    first, second, other = (x.fit(training).score(scene) for x in (few, few, replace(few, seed=1)))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@BY_EACH
def test_no_slope_or_shaking_no_answer_in_any_strip(
    learner: PixelLearner, training: list[Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, _ = hillside(4, side=64)
    scene.stack[CHANNELS.index("slope"), :5, 7] = np.nan
    scene.stack[CHANNELS.index("pga"), 30:40] = np.nan
    scorer = replace(learner, most=150).fit(training)
    whole = scorer.score(scene)
    expected = np.zeros((64, 64), bool)
    expected[:5, 7] = expected[30:40] = True
    np.testing.assert_array_equal(np.isnan(whole), expected)
    monkeypatch.setattr(pixels, "STRIP_PIXELS", 64 * 7)
    np.testing.assert_allclose(scorer.score(scene), whole, rtol=1e-5)


def test_one_class_is_no_lesson(training: list[Scene]) -> None:
    calm = replace(training[0], slides=np.zeros_like(training[0].slides))
    with pytest.raises(InvalidInput, match=r"hillside-1: 0 slide of 16000 known"):
        LEARNED["logistic"].fit([calm])
    with pytest.raises(InvalidInput, match="no scene"):
        LEARNED["boosting"].fit([])


def test_a_channel_that_is_not_there(training: list[Scene]) -> None:
    with pytest.raises(InvalidInput, match=r"hillside-1: expected channel relief among slope, pga"):
        Logistic().fit([training[0].selecting(("slope", "pga"))])
    with pytest.raises(InvalidInput, match="colour"):
        baseline("logistic", channels=("slope", "colour"))


def test_names() -> None:
    assert tuple(BASELINES) == (
        "slope", "slope_pga", "nowicki_jessee_2018", "newmark",
        "logistic", "forest", "ann", "boosting", "boosting_monotone", "boosting_context",
    )  # fmt: skip
    assert all(baseline(name).name == name for name in BASELINES)
    with pytest.raises(NotFound, match=r"baseline 'oracle': expected one of slope, .*boosting_context"):
        baseline("oracle")


def test_identity_follows_every_setting() -> None:
    learner = Boosting()
    changes = [{"seed": 1}, {"rounds": 9}, {"channels": ("slope", "pga")}, {"normalisation": "training"}, {"most": 7}]
    found = [replace(learner, **change).identity for change in changes]
    found += [baseline(name).identity for name in BASELINES]
    assert len(set(found)) == len(found)
    assert baseline("boosting").identity == learner.identity
    assert baseline("boosting", channels=["slope", "pga"], seed=3) == Boosting(channels=("slope", "pga"), seed=3)
