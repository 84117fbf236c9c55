"""The soft label against a direct solve, and the properties the equation promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

from headscarp.core.learning.labels import soft_label

seeds = st.integers(0, 2**32 - 1)


def scene(seed: int, size: int = 48, share: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """Landslides of a few pixels, and a mapped extent with holes."""
    rng = np.random.default_rng(seed)
    slides = ndimage.binary_dilation(rng.random((size, size)) < share, iterations=1)
    unknown = ndimage.binary_dilation(rng.random((size, size)) < 0.002, iterations=3)
    return slides, ~unknown


def direct(slides: np.ndarray, known: np.ndarray, length: float) -> np.ndarray:
    """Assemble the equation row by row and solve it by elimination."""
    number = np.full(slides.shape, -1)
    number[known] = np.arange(known.sum())
    unknowns = int(known.sum())
    rows, cols, values = [np.arange(unknowns)], [np.arange(unknowns)], [np.full(unknowns, 1.0 / length**2)]
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
    u = on.astype(float)
    u[~on] = spsolve(matrix[~on][:, ~on].tocsc(), -(matrix[~on][:, on] @ np.ones(on.sum())))
    out = np.full(slides.shape, np.nan)
    out[known] = u
    return out


@pytest.mark.parametrize("length", [1.0, 2.0, 5.0])
def test_equals_a_direct_solve(length: float) -> None:
    slides, known = scene(3, size=320)
    np.testing.assert_allclose(soft_label(slides, known, length_px=length), direct(slides, known, length), atol=3e-6)


def test_profile_beside_a_straight_edge_is_the_closed_form() -> None:
    # In one dimension u falls by the smaller root of q + 1/q = 2 + 1/length^2.
    slides = np.zeros((8, 80), dtype=bool)
    slides[:, 0] = True
    u = soft_label(slides, np.ones_like(slides), length_px=3.0)
    b = 2.0 + 1.0 / 9.0
    q = (b - np.sqrt(b * b - 4.0)) / 2.0
    np.testing.assert_allclose(u[4, :30], q ** np.arange(30), atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, length=st.sampled_from([0.7, 2.0, 4.0]))
def test_lies_between_zero_and_one_and_is_one_on_slides(seed: int, length: float) -> None:
    slides, known = scene(seed)
    u = soft_label(slides, known, length_px=length)
    assert np.isnan(u[~known]).all()
    assert (u[slides & known] == 1.0).all()
    assert (u[known] >= 0).all()
    assert (u[known & ~slides] < 1.0).all()


@settings(max_examples=25, deadline=None)
@given(seed=seeds, y=st.integers(0, 47), x=st.integers(0, 47))
def test_another_slide_never_lowers_the_label(seed: int, y: int, x: int) -> None:
    slides, known = scene(seed)
    more = slides.copy()
    more[y, x] = True
    assert (soft_label(more, known)[known] >= soft_label(slides, known)[known] - 2e-6).all()


@settings(max_examples=15, deadline=None)
@given(seed=seeds, turns=st.integers(0, 3), mirrored=st.booleans())
def test_turns_and_mirrors_with_the_map(seed: int, turns: int, mirrored: bool) -> None:
    slides, known = scene(seed)

    def move(a: np.ndarray) -> np.ndarray:
        return np.rot90(a[:, ::-1] if mirrored else a, turns)

    np.testing.assert_allclose(soft_label(move(slides), move(known)), move(soft_label(slides, known)), atol=3e-6)


def test_a_tile_agrees_with_the_mosaic_away_from_its_edge() -> None:
    slides, known = scene(11, size=200)
    whole, tile = soft_label(slides, known), soft_label(slides[50:150, 50:150], known[50:150, 50:150])
    inner = np.abs(whole[50:150, 50:150] - tile)[16:-16, 16:-16]
    assert np.nanmax(inner) < 1e-3


def test_unknown_ground_neither_gives_nor_takes() -> None:
    # A slide behind a wall of unknown ground is not seen; the wall itself is no background.
    slides = np.zeros((20, 41), dtype=bool)
    slides[:, :3] = True
    known = np.ones_like(slides)
    known[:, 20] = False
    behind = soft_label(slides, known)[:, 21:]
    assert (behind == 0).all()
    mirrored = soft_label(slides[:, :20], known[:, :20])
    np.testing.assert_allclose(soft_label(slides, known)[:, :20], mirrored, atol=3e-6)


def test_a_vanishing_length_gives_the_mask_back() -> None:
    slides, known = scene(5)
    np.testing.assert_allclose(soft_label(slides, known, length_px=0.01)[known], slides[known], atol=1e-3)


@pytest.mark.parametrize("length", [0.0, -1.0, float("nan")])
def test_refuses_a_length_that_is_not_positive(length: float) -> None:
    with pytest.raises(ValueError, match="positive length"):
        soft_label(np.zeros((2, 2), bool), np.ones((2, 2), bool), length_px=length)


def test_refuses_rasters_of_two_shapes() -> None:
    with pytest.raises(ValueError, match="one shape"):
        soft_label(np.zeros((2, 2), bool), np.ones((2, 3), bool))
