"""Pruning indicators: variance inflation and correlation with known answers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cross_decomposition import CCA

from headscarp.core.learning.collinearity import Indicator, correlations
from headscarp.core.learning.selection import select_indicators

seeds = st.integers(0, 2**32 - 1)


def column(name: str, values: np.ndarray) -> Indicator:
    return Indicator(name, values[:, None])


def mixed(seed: int, size: int = 400, count: int = 5) -> np.ndarray:
    """(size, count) correlated columns."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((size, count)) @ (np.eye(count) + 0.6 * rng.standard_normal((count, count)))


def whitened(size: int, count: int) -> np.ndarray:
    """Columns whose sample correlation is exactly zero."""
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((size, count)) - 0.0)
    q = q - q.mean(axis=0)
    q, _ = np.linalg.qr(q)
    return q


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_inflation_is_one_over_what_regression_leaves(seed: int) -> None:
    x = mixed(seed)
    found = correlations([column(f"c{k}", x[:, k]) for k in range(5)]).inflation()
    for k in range(5):
        others = np.column_stack([np.delete(x, k, axis=1), np.ones(len(x))])
        fitted = others @ np.linalg.lstsq(others, x[:, k], rcond=None)[0]
        unexplained = np.sum((x[:, k] - fitted) ** 2) / np.sum((x[:, k] - x[:, k].mean()) ** 2)
        assert found[f"c{k}"] == pytest.approx(1.0 / unexplained, rel=1e-8)


def test_inflation_of_two_columns_is_known() -> None:
    z = whitened(500, 2)
    r = 0.8
    found = correlations([column("a", z[:, 0]), column("b", r * z[:, 0] + np.sqrt(1 - r * r) * z[:, 1])])
    assert found.inflation() == pytest.approx({"a": 1 / 0.36, "b": 1 / 0.36})
    assert found.between(0, 1) == pytest.approx(0.8)
    assert not found.singular


@settings(max_examples=25, deadline=None)
@given(seed=seeds, turn=st.floats(0, 2 * np.pi))
def test_a_vectors_inflation_is_the_generalised_one_and_does_not_see_north(seed: int, turn: float) -> None:
    x = mixed(seed)
    c, s = np.cos(turn), np.sin(turn)
    for vector in (x[:, :2], x[:, :2] @ np.array([[c, -s], [s, c]])):
        found = correlations([Indicator("aspect", vector), *(column(f"c{k}", x[:, k]) for k in (2, 3, 4))])
        # by its definition, det(R11) det(R22) / det(R), to the power 1 / df
        r = np.corrcoef(x, rowvar=False)
        whole = np.linalg.det(r[:2, :2]) * np.linalg.det(r[2:, 2:]) / np.linalg.det(r)
        assert found.inflation()["aspect"] == pytest.approx(whole**0.5, rel=1e-6)


def test_a_vectors_correlation_is_the_canonical_one() -> None:
    x = mixed(1, size=800)
    found = correlations([Indicator("aspect", x[:, :2]), column("slope", x[:, 2]), Indicator("wind", x[:, 3:])])
    design = np.column_stack([x[:, :2], np.ones(len(x))])
    fitted = design @ np.linalg.lstsq(design, x[:, 2], rcond=None)[0]
    assert found.between(0, 1) == pytest.approx(np.corrcoef(fitted, x[:, 2])[0, 1], rel=1e-9)
    a, b = CCA(n_components=1, max_iter=5000, tol=1e-12).fit_transform(x[:, :2], x[:, 3:])
    assert found.between(0, 2) == pytest.approx(abs(np.corrcoef(a[:, 0], b[:, 0])[0, 1]), rel=1e-5)


def test_columns_that_determine_each_other_are_infinitely_inflated_and_others_are_not() -> None:
    x = mixed(2, count=3)
    given = [column("a", x[:, 0]), column("b", x[:, 1]), column("sum", x[:, 0] + x[:, 1]), column("other", x[:, 2])]
    found = correlations(given)
    factors = found.inflation()
    assert found.singular
    assert factors["a"] == factors["b"] == factors["sum"] == np.inf
    # what it would be without the redundant one
    assert factors["other"] == pytest.approx(
        correlations([given[0], given[1], given[3]]).inflation()["other"], rel=1e-6
    )


def test_weights_count_as_repeated_samples() -> None:
    x = mixed(3, size=60, count=3)
    times = np.random.default_rng(0).integers(1, 5, 60)
    weighted = correlations([column(f"c{k}", x[:, k]) for k in range(3)], times.astype(float))
    repeated = correlations([column(f"c{k}", np.repeat(x[:, k], times)) for k in range(3)])
    np.testing.assert_allclose(weighted.matrix, repeated.matrix, atol=1e-12)


def scene(size: int = 2000) -> list[Indicator]:
    """Slope; relief that repeats it at r = 0.7; a roughness that slope and TPI make up; two that stand alone."""
    z = whitened(size, 6)
    slope, tpi, alone, other = z[:, 0], z[:, 1], z[:, 2], z[:, 3]
    relief = 0.7 * slope + np.sqrt(1 - 0.49) * z[:, 4]
    roughness = slope + tpi + 0.02 * z[:, 5]
    names = ("slope", "tpi", "pga", "ndvi", "relief", "roughness")
    columns = (slope, tpi, alone, other, relief, roughness)
    return [column(n, c) for n, c in zip(names, columns, strict=True)]


def test_the_loops_remove_what_is_repeated_and_say_why() -> None:
    found = select_indicators(scene())
    # roughness is 1 / (1 - R2) = 1 + 2 / 0.0004 inflated, the others less; then relief repeats slope
    assert found.removed[0] == "roughness"
    assert found.steps[0].rule == "inflation"
    assert found.steps[0].inflation["roughness"] == pytest.approx(5001, rel=1e-6)
    assert found.steps[1].rule == "correlation"
    assert found.steps[1].because == {"pair": ["slope", "relief"], "r": pytest.approx(0.7)}
    # both are inflated by 1 / 0.51: the tie is decided by name
    assert found.removed == ("roughness", "relief")
    assert found.kept == ("slope", "tpi", "pga", "ndvi")
    assert found.steps[-1].rule == "none"
    assert list(found.steps[-1].inflation.values()) == pytest.approx([1.0] * 4)


def test_the_more_inflated_of_a_correlated_pair_goes() -> None:
    z = whitened(1000, 4)
    a = z[:, 0]
    b = 0.75 * a + 0.5 * z[:, 1] + np.sqrt(1 - 0.75**2 - 0.25) * z[:, 2]
    found = select_indicators([column("a", a), column("b", b), column("c", z[:, 1])])
    # b is explained by a and by c, a by b alone
    assert found.removed == ("b",)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, order=st.permutations(range(6)))
def test_the_order_in_which_indicators_come_decides_nothing(seed: int, order: list[int]) -> None:
    x = mixed(seed, count=6)
    given = [column(f"c{k}", x[:, k]) for k in range(6)]
    plain, shuffled = select_indicators(given), select_indicators([given[k] for k in order])
    assert set(plain.kept) == set(shuffled.kept)
    assert plain.removed == shuffled.removed


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_what_is_kept_obeys_both_limits(seed: int) -> None:
    x = mixed(seed, count=6)
    given = [column(f"c{k}", x[:, k]) for k in range(6)]
    kept = select_indicators(given).kept
    left = correlations([i for i in given if i.name in kept])
    assert max(left.inflation().values()) <= 10
    strongest = left.strongest()
    assert strongest is None or abs(strongest[2]) <= 0.6


def test_a_correlation_of_exactly_the_limit_is_kept() -> None:
    z = whitened(500, 2)
    found = select_indicators([column("a", z[:, 0]), column("b", 0.6 * z[:, 0] + 0.8 * z[:, 1])])
    assert found.kept == ("a", "b")


def test_duplicates_and_constants_go_first() -> None:
    x = mixed(4, count=2)
    given = [column("z", x[:, 0]), column("a", x[:, 0]), column("b", x[:, 1] * 3), column("flat", np.ones(len(x)))]
    found = select_indicators(given)
    assert found.removed[:2] == ("flat", "a")
    assert found.steps[1].singular
    trace = json.loads(json.dumps(found.to_json()))
    assert trace["steps"][1]["inflation"]["a"] is None
    assert trace["steps"][1]["tolerance"]["a"] == 0.0
    assert trace["limits"] == {"inflation": 10.0, "correlation": 0.6}


def test_what_cannot_be_selected_from() -> None:
    x = mixed(5, count=2)
    with pytest.raises(ValueError, match="each indicator once"):
        select_indicators([column("a", x[:, 0]), column("a", x[:, 1])])
    with pytest.raises(ValueError, match="one sample"):
        select_indicators([column("a", x[:, 0]), column("b", x[:10, 1])])
    with pytest.raises(ValueError, match="one sample"):
        select_indicators([column("flat", np.ones(5))])
    with pytest.raises(ValueError, match="that vary"):
        correlations([column("flat", np.ones(5))])
    with pytest.raises(ValueError, match="finite"):
        column("a", np.array([1.0, np.nan]))
