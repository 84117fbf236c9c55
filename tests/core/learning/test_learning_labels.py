"""The soft label against a direct solve, and the properties the equation promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

from headscarp.core.learning import labels, relaxation
from headscarp.core.learning.labels import soft_label

seeds = st.integers(0, 2**32 - 1)
LOCAL = ("poisson_screened", "laplace_collar", "gaussian", "hard")


def scene(seed: int, size: int = 48, share: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """Landslides of a few pixels, and a mapped extent with holes."""
    rng = np.random.default_rng(seed)
    slides = ndimage.binary_dilation(rng.random((size, size)) < share, iterations=1)
    unknown = ndimage.binary_dilation(rng.random((size, size)) < 0.002, iterations=3)
    return slides, ~unknown


def direct(
    slides: np.ndarray, known: np.ndarray, sink: float, *, zero: np.ndarray | None = None, edge: bool = False
) -> np.ndarray:
    """Assemble the equation row by row and solve it by elimination; `edge`: u = 0 just outside the raster."""
    number = np.full(slides.shape, -1)
    number[known] = np.arange(known.sum())
    unknowns = int(known.sum())
    diagonal = np.full(slides.shape, sink)
    if edge:
        for line in (np.s_[0, :], np.s_[-1, :], np.s_[:, 0], np.s_[:, -1]):
            diagonal[line] += 1.0
    rows, cols, values = [np.arange(unknowns)], [np.arange(unknowns)], [diagonal[known]]
    for axis in (0, 1):
        here, there = (number[:-1], number[1:]) if axis == 0 else (number[:, :-1], number[:, 1:])
        both = (here >= 0) & (there >= 0)
        a, b = here[both], there[both]
        ones = np.ones(a.size)
        rows += [a, b, a, b]
        cols += [a, b, b, a]
        values += [ones, ones, -ones, -ones]
    matrix = sparse.csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(cols))), shape=(unknowns, unknowns)
    )
    on = (slides & known)[known]
    free = ~on if zero is None else ~on & ~zero[known]
    u = on.astype(float)
    u[free] = spsolve(matrix[free][:, free].tocsc(), -(matrix[free][:, on] @ np.ones(on.sum())))
    out = np.full(slides.shape, np.nan)
    out[known] = u
    return out


@pytest.mark.parametrize(("length", "size"), [(1.0, 160), (2.0, 502), (5.0, 200)])
def test_equals_a_direct_solve(length: float, size: int) -> None:
    slides, known = scene(3, size=size, share=0.004)
    error = np.nanmax(np.abs(soft_label(slides, known, length_px=length) - direct(slides, known, length**-2.0)))
    assert error <= labels.TOLERANCE


def test_a_finer_tolerance_is_kept_too() -> None:
    slides, known = scene(4, size=200)
    fine = soft_label(slides, known, tolerance=1e-7)
    np.testing.assert_allclose(fine, direct(slides, known, 0.25), atol=2e-7)


def test_a_large_length_on_few_slides_is_solved_across_tiles() -> None:
    slides, known = np.zeros((280, 270), bool), np.ones((280, 270), bool)
    slides[250:253, 250:259] = True
    error = np.nanmax(np.abs(soft_label(slides, known, length_px=10.0) - direct(slides, known, 0.01)))
    assert error <= labels.TOLERANCE


def test_the_collar_is_harmonic_and_zero_beyond_its_width() -> None:
    slides, known = scene(7, size=200, share=0.002)
    beyond = ndimage.distance_transform_edt(~(slides & known)) >= 5.0
    # pockets behind walls of unknown ground touch neither slide nor rim; any sink decides them as 0
    expected = direct(slides, known, 1e-12, zero=beyond)
    found = soft_label(slides, known, kind="laplace_collar")
    np.testing.assert_allclose(found, expected, atol=labels.TOLERANCE, equal_nan=True)
    assert (found[beyond & known] == 0).all()


def test_the_window_label_is_the_literal_one() -> None:
    slides, known = scene(8, size=150, share=0.001)
    found = soft_label(slides, known, kind="laplace_window")
    np.testing.assert_allclose(found, direct(slides, known, 1e-9, edge=True), atol=labels.TOLERANCE, equal_nan=True)


def test_the_window_label_is_degenerate_as_the_specification_measured() -> None:
    slides = ndimage.binary_dilation(np.random.default_rng(0).random((200, 200)) < 0.002, iterations=1)
    known = np.ones_like(slides)
    window = soft_label(slides, known, kind="laplace_window")
    screened = soft_label(slides, known, kind="poisson_screened")
    assert np.median(window[~slides]) > 0.7
    assert np.median(screened[~slides]) < 0.05


def test_the_gaussian_falls_with_the_distance_to_the_nearest_slide() -> None:
    slides = np.zeros((31, 31), bool)
    slides[15, 15] = True
    found = soft_label(slides, np.ones_like(slides), kind="gaussian", length_px=2.0)
    assert found[15, 17] == pytest.approx(np.exp(-0.5))
    assert found[18, 19] == pytest.approx(np.exp(-25.0 / 8.0))


def test_hard_is_the_mask() -> None:
    slides, known = scene(9)
    assert (soft_label(slides, known, kind="hard")[known] == slides[known]).all()


def test_profile_beside_a_straight_edge_is_the_closed_form() -> None:
    # In one dimension u falls by the smaller root of q + 1/q = 2 + 1/length^2.
    slides = np.zeros((8, 80), dtype=bool)
    slides[:, 0] = True
    u = soft_label(slides, np.ones_like(slides), length_px=3.0, tolerance=1e-6)
    b = 2.0 + 1.0 / 9.0
    q = (b - np.sqrt(b * b - 4.0)) / 2.0
    np.testing.assert_allclose(u[4, :30], q ** np.arange(30), atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, length=st.sampled_from([0.7, 2.0, 4.0]), kind=st.sampled_from([*LOCAL, "laplace_window"]))
def test_lies_between_zero_and_one_and_is_one_on_slides(seed: int, length: float, kind: labels.LabelKind) -> None:
    slides, known = scene(seed)
    u = soft_label(slides, known, length_px=length, kind=kind)
    assert np.isnan(u[~known]).all()
    assert (u[slides & known] == 1.0).all()
    assert ((u[known] >= 0) & (u[known] <= 1.0)).all()
    if kind == "poisson_screened":
        assert (u[known & ~slides] < 1.0).all()


@settings(max_examples=25, deadline=None)
@given(seed=seeds, y=st.integers(0, 47), x=st.integers(0, 47), kind=st.sampled_from([*LOCAL, "laplace_window"]))
def test_another_slide_never_lowers_the_label(seed: int, y: int, x: int, kind: labels.LabelKind) -> None:
    slides, known = scene(seed)
    more = slides.copy()
    more[y, x] = True
    raised, before = soft_label(more, known, kind=kind), soft_label(slides, known, kind=kind)
    assert (raised[known] >= before[known] - 2 * labels.TOLERANCE).all()


@settings(max_examples=15, deadline=None)
@given(seed=seeds, turns=st.integers(0, 3), mirrored=st.booleans(), kind=st.sampled_from(LOCAL))
def test_turns_and_mirrors_with_the_map(seed: int, turns: int, mirrored: bool, kind: labels.LabelKind) -> None:
    slides, known = scene(seed)

    def move(a: np.ndarray) -> np.ndarray:
        return np.rot90(a[:, ::-1] if mirrored else a, turns)

    moved = soft_label(move(slides), move(known), kind=kind)
    np.testing.assert_allclose(moved, move(soft_label(slides, known, kind=kind)), atol=2 * labels.TOLERANCE)


@settings(max_examples=10, deadline=None)
@given(seed=seeds, down=st.integers(0, 20), right=st.integers(0, 20))
def test_moves_with_the_map(seed: int, down: int, right: int) -> None:
    slides, known = scene(seed, size=80)
    slides[:30], slides[-30:], slides[:, :30], slides[:, -30:] = (False,) * 4
    known[:] = True
    still, moved = soft_label(slides, known), soft_label(np.roll(slides, (down, right), (0, 1)), known)
    np.testing.assert_allclose(moved[20:60, 20:60], np.roll(still, (down, right), (0, 1))[20:60, 20:60], atol=2e-3)


def test_a_tile_agrees_with_the_mosaic_away_from_its_edge() -> None:
    slides, known = scene(11, size=200)
    whole, tile = soft_label(slides, known), soft_label(slides[50:150, 50:150], known[50:150, 50:150])
    inner = np.abs(whole[50:150, 50:150] - tile)[16:-16, 16:-16]
    assert np.nanmax(inner) < 1e-3


@pytest.mark.parametrize("kind", LOCAL)
def test_tiles_and_threads_change_nothing(kind: labels.LabelKind, monkeypatch: pytest.MonkeyPatch) -> None:
    slides, known = scene(12, size=330, share=0.004)
    one = soft_label(slides, known, kind=kind, threads=1)
    np.testing.assert_array_equal(one, soft_label(slides, known, kind=kind, threads=3))
    monkeypatch.setattr(labels, "TILE_PX", 4000)
    whole = soft_label(slides, known, kind=kind)
    np.testing.assert_allclose(one, whole, atol=2 * labels.TOLERANCE, equal_nan=True)


def test_a_reach_that_is_too_short_shows_at_the_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    # fault injection: this is what the test above guards against
    slides, known = scene(12, size=330, share=0.004)
    whole = soft_label(slides, known)
    monkeypatch.setattr(labels, "SAFETY", 1e-3)
    assert np.nanmax(np.abs(soft_label(slides, known) - whole)) > 2 * labels.TOLERANCE


def test_unknown_ground_neither_gives_nor_takes() -> None:
    # A slide behind a wall of unknown ground is not seen; the wall itself is no background.
    slides = np.zeros((20, 41), dtype=bool)
    slides[:, :3] = True
    known = np.ones_like(slides)
    known[:, 20] = False
    behind = soft_label(slides, known)[:, 21:]
    assert (behind == 0).all()
    mirrored = soft_label(slides[:, :20], known[:, :20])
    np.testing.assert_allclose(soft_label(slides, known)[:, :20], mirrored, atol=labels.TOLERANCE)


def test_a_vanishing_length_gives_the_mask_back() -> None:
    slides, known = scene(5)
    np.testing.assert_allclose(soft_label(slides, known, length_px=0.01)[known], slides[known], atol=1e-3)


def test_says_when_it_did_not_get_there(monkeypatch: pytest.MonkeyPatch) -> None:
    slides, known = scene(6)
    monkeypatch.setattr(relaxation, "MAX_SWEEPS", 8)
    with pytest.raises(ArithmeticError, match="residual above"):
        soft_label(slides, known, length_px=20.0)


@pytest.mark.parametrize("length", [0.0, -1.0, float("nan")])
def test_refuses_a_length_that_is_not_positive(length: float) -> None:
    with pytest.raises(ValueError, match="positive length"):
        soft_label(np.zeros((2, 2), bool), np.ones((2, 2), bool), length_px=length)


def test_refuses_rasters_of_two_shapes() -> None:
    with pytest.raises(ValueError, match="one shape"):
        soft_label(np.zeros((2, 2), bool), np.ones((2, 3), bool))


def test_refuses_a_label_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="laplace_collar"):
        soft_label(np.zeros((2, 2), bool), np.ones((2, 2), bool), kind="soft")  # type: ignore[arg-type]
