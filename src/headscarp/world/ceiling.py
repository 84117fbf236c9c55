"""How well any score could do: exact expected AUC and the ceiling of observable maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headscarp.core.types import Raster
from headscarp.world.generate import World

Floats = NDArray[np.float64]


def expected_auc(score: ArrayLike, probability: ArrayLike) -> float:
    """AUC of `score` if every pixel slid with its own `probability`, without drawing.

    Sum over pairs of P_i (1 - P_j) [s_i > s_j], ties half, over sum P times sum (1 - P); a ratio of
    expectations, by one sort. Equal-shaped inputs; with 0/1 probabilities it is the ordinary AUC.

    Raises:
        ValueError: shapes differ, a value is NaN, or there is nothing to tell apart.
    """
    s, p = np.ravel(np.asarray(score, float)), np.ravel(np.asarray(probability, float))
    if s.shape != p.shape or np.isnan(s).any() or np.isnan(p).any():
        raise ValueError(f"score {s.shape} and probability {p.shape} must agree and hold no NaN")
    return _Ranking.of(s).auc(p)


@dataclass(frozen=True, slots=True)
class _Ranking:
    """A score's order, sorted once and used for many truths."""

    order: NDArray[np.intp]
    group: NDArray[np.intp]
    """Number of each sorted pixel's group of ties, from 0 on."""

    @classmethod
    def of(cls, score: Floats) -> _Ranking:
        order = np.argsort(score, kind="stable")
        new = np.concatenate([[False], np.diff(score[order]) > 0])
        return cls(order, np.cumsum(new))

    def auc(self, probability: Floats) -> float:
        positive = np.bincount(self.group, probability[self.order])
        negative = np.bincount(self.group, 1.0 - probability[self.order])
        pairs = positive.sum() * negative.sum()
        if pairs <= 0.0:
            raise ValueError("slides and stable pixels are both needed for an AUC")
        below = np.cumsum(negative) - 0.5 * negative
        return float((positive * below).sum() / pairs)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What the best use of all observable maps reaches on average over what no map shows."""

    auc: float
    """Mean over redrawn worlds of the expected AUC of `score`."""
    standard_error: float
    """Standard deviation, over redrawn unseen fields and slides, of the AUC measured on one world's slides.

    Redrawn worlds in which nothing slid have no AUC and are left out.
    """
    score: Raster
    """E[P | maps] (y, x), 0 at sea."""


def observable_ceiling(world: World, draws: int = 200, *, seed: int = 0) -> Ceiling:
    """Ceiling of all scores made of maps, by redrawing within-event shaking, strength and slides.

    `world.shaking` is the map assumed. About 0.1 s a draw for 512 x 512. Equal arguments give equal results.

    Raises:
        ValueError: fewer than two draws, or fewer than two of them with any slide.
    """
    if draws < 2:
        raise ValueError(f"a standard error needs at least 2 draws, not {draws}")
    rng = np.random.default_rng([seed, world.seed, *world.settings.code.encode()])
    expected = world.hillslopes.expected_probability()
    ranking = _Ranking.of(expected)
    means, measured = [], []
    for _ in range(draws):
        probability, slides = world.hillslopes.redraw(rng)
        means.append(ranking.auc(probability))
        if slides.any():
            measured.append(ranking.auc(slides.astype(float)))
    if len(measured) < 2:
        raise ValueError(f"{world.event.id}: nothing slid in {draws - len(measured)} of {draws} draws")
    return Ceiling(float(np.mean(means)), float(np.std(measured, ddof=1)), world.hillslopes.on_grid(expected))
