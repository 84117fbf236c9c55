"""What the synthetic world is for: answers that are known beforehand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from headscarp.world.ceiling import Ceiling, expected_auc, observable_ceiling
from headscarp.world.generate import World, make_world
from headscarp.world.settings import ORREST, REGIONS

Record = Callable[[str, object], None]
SHAPE = (256, 256)
PAIRS = st.integers(2, 25).flatmap(
    lambda n: st.tuples(
        hnp.arrays(float, n, elements=st.integers(-3, 3).map(float)),
        hnp.arrays(float, n, elements=st.floats(0.01, 0.99)),
    )
)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(2, shape=SHAPE)


@pytest.fixture(scope="module")
def ceiling(world: World) -> Ceiling:
    return observable_ceiling(world, draws=40)


@given(PAIRS)
def test_expected_auc_equals_all_pairs(pair: tuple[np.ndarray, np.ndarray]) -> None:
    score, p = pair
    above = (score[:, None] > score[None, :]) + 0.5 * (score[:, None] == score[None, :])
    weight = p[:, None] * (1 - p[None, :])
    # A pixel is never paired with itself in a drawn map, but it is in the ratio of expectations.
    expected = (weight * above).sum() / (p.sum() * (1 - p).sum())
    assert expected_auc(score, p) == pytest.approx(expected)


@settings(max_examples=50)
@given(hnp.arrays(float, 40, elements=st.integers(0, 9).map(float)), st.integers(0, 2**31))
def test_expected_auc_of_a_drawn_map_is_the_auc(score: np.ndarray, seed: int) -> None:
    labels = np.random.default_rng(seed).random(40) < 0.3
    labels[:2] = [True, False]
    assert expected_auc(score, labels.astype(float)) == pytest.approx(roc_auc_score(labels, score))


def test_expected_auc_is_the_mean_over_drawn_maps() -> None:
    rng = np.random.default_rng(0)
    p = rng.beta(0.4, 4.0, 3_000)
    score = p + 0.1 * rng.standard_normal(p.size)
    drawn = [roc_auc_score(rng.random(p.size) < p, score) for _ in range(200)]
    standard_error = np.std(drawn) / np.sqrt(len(drawn))
    assert expected_auc(score, p) == pytest.approx(np.mean(drawn), abs=4 * standard_error)


@pytest.mark.parametrize(
    ("score", "probability", "message"),
    [
        ([1.0, 2.0], [0.5], "must agree"),
        ([1.0, np.nan], [0.5, 0.5], "no NaN"),
        ([1.0, 2.0], [0.0, 0.0], "both needed"),
    ],
)
def test_expected_auc_refuses(score: list[float], probability: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expected_auc(score, probability)


def test_slides_come_with_the_probability_they_should(world: World) -> None:
    """Slides redrawn with the other unseen fields held: every pixel's frequency is its P."""
    rng = np.random.default_rng(11)
    hillslopes = world.hillslopes
    p = world.probability[world.land].astype(float)
    draws = 200
    count = np.zeros(p.size)
    for _ in range(draws):
        count += stats.norm.cdf(hillslopes._slide_field.draw(rng)[world.land]) < p
    z = (count - draws * p)[p > 0.02] / np.sqrt(draws * p * (1 - p))[p > 0.02]
    assert z.size > 500
    assert abs(z.mean()) < 0.15
    assert z.std() == pytest.approx(1.0, abs=0.1)


def test_integrated_probability_is_the_mean_over_unseen_residuals() -> None:
    """Quadrature against sampling, pixel by pixel."""
    rng = np.random.default_rng(2)
    hillslopes = make_world(3, shape=(64, 64)).hillslopes
    n, draws = hillslopes.slope.size, 2_000
    total, squares = np.zeros(n), np.zeros(n)
    for _ in range(draws):
        strength = hillslopes.strength_std * rng.standard_normal(n)
        p = hillslopes.probability(strength, hillslopes.within_std * rng.standard_normal(n))
        total, squares = total + p, squares + p**2
    mean = total / draws
    error = np.sqrt((squares / draws - mean**2) / draws)
    likely = mean > 5e-3
    z = ((hillslopes.expected_probability() - mean) / error)[likely]
    assert z.size > 300
    assert abs(z.mean()) < 0.15
    assert z.std() == pytest.approx(1.0, abs=0.1)


def test_redrawn_worlds_average_to_the_integrated_area() -> None:
    rng = np.random.default_rng(2)
    hillslopes = make_world(3, shape=(64, 64)).hillslopes
    areas = np.array([[p.sum(), slides.sum()] for p, slides in (hillslopes.redraw(rng) for _ in range(225))])
    error = areas.std(axis=0) / 15.0
    np.testing.assert_array_less(np.abs(areas.mean(axis=0) - hillslopes.expected_probability().sum()), 4 * error)


@pytest.mark.parametrize("region", REGIONS, ids=[r.code for r in REGIONS])
def test_medians_under_predict_area_and_integration_does_not(region: object, record_property: Record) -> None:
    """Known answer of the physics: over events, plugged-in medians give far too little landslide area."""
    plugged = integrated = shaken = true = 0.0
    for seed in range(3):
        hillslopes = make_world(seed, settings=region, shape=(112, 112)).hillslopes  # type: ignore[arg-type]
        rng = np.random.default_rng([seed, 77])
        true += float(np.mean([hillslopes.redraw(rng)[0].sum() for _ in range(20)]))
        plugged += hillslopes.probability().sum()
        shaken += hillslopes.expected_probability(strength=False).sum()
        integrated += hillslopes.expected_probability().sum()
    record_property("area over truth: medians, shaking, all", [a / true for a in (plugged, shaken, integrated)])
    assert plugged / true < 0.7
    assert plugged < shaken < integrated
    assert 0.8 <= integrated / true <= 1.4


def observables(world: World) -> np.ndarray:
    """What a model may see, per land pixel."""
    h = world.hillslopes
    rocks = world.lithology[world.land][:, None] == np.unique(world.lithology)[None, :]
    return np.column_stack([h.slope, h.ln_pga, h.slope * h.ln_pga, h.slope**2, rocks])


def test_no_observable_score_beats_the_ceiling(world: World, ceiling: Ceiling, record_property: Record) -> None:
    slides = world.landslides[world.land]
    x = StandardScaler().fit_transform(observables(world))
    fitted = LogisticRegression(C=1.0, max_iter=500).fit(x, slides).predict_proba(x)[:, 1]
    scores = {"slope": world.hillslopes.slope, "PGA": world.hillslopes.ln_pga, "logistic": fitted}
    found = {name: float(roc_auc_score(slides, score)) for name, score in scores.items()}
    record_property("ceiling, standard error, scores", [ceiling.auc, ceiling.standard_error, found])
    for name, auc in found.items():
        assert auc <= ceiling.auc + 3 * ceiling.standard_error, name
    assert found["logistic"] > ceiling.auc - 0.15


def test_a_leak_breaks_the_ceiling(world: World, ceiling: Ceiling) -> None:
    """The true probability holds what no map shows: a model that sees it is caught."""
    slides, truth = world.landslides[world.land], world.probability[world.land]
    assert roc_auc_score(slides, truth) > ceiling.auc + 3 * ceiling.standard_error


def test_ceilings_leave_room_above_slope_and_below_certainty(record_property: Record) -> None:
    worlds = [make_world(seed, settings=region, shape=(128, 128)) for region in REGIONS for seed in (5, 6)]
    values = [observable_ceiling(world, draws=8).auc for world in worlds]
    record_property("ceilings", values)
    assert 0.80 < np.median(values) < 0.95
    assert all(0.70 < value < 0.98 for value in values)


def test_shuffled_slides_have_no_auc(world: World) -> None:
    shuffled = np.random.default_rng(1).permutation(world.landslides[world.land])
    assert roc_auc_score(shuffled, world.hillslopes.slope) == pytest.approx(0.5, abs=0.05)


def test_ceiling_repeats_and_needs_draws() -> None:
    small = make_world(2, settings=ORREST, shape=(64, 64))
    one, other = observable_ceiling(small, draws=3), observable_ceiling(small, draws=3)
    assert (one.auc, one.standard_error) == (other.auc, other.standard_error)
    with pytest.raises(ValueError, match="at least 2 draws"):
        observable_ceiling(small, draws=1)
