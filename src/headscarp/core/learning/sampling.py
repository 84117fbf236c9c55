"""Which pixels are looked at: the paper's test sample, matched negatives, and the sample for choosing indicators.

Every draw is a function of its seed; indices are flat, ascending and of row-major order.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

STRONG_SHAKING_G = 0.12
"""Negatives are drawn from ground shaken harder than this (Tanyas et al. 2019, as the paper cites it)."""
WHOLLY = 1.0 - 1e-6
"""Share of a pixel from which it counts as covered entirely."""
SELECTION_SIZE = 20_000
SELECTION_GAP_PX = 2
"""Non-slide pixels lie at least this far from any slide: 60 m, the positional error of inventories."""
MATCHING_BINS = 20

Indices: TypeAlias = NDArray[np.intp]


def paper_sample(coverage: ArrayLike, pga: ArrayLike, known: ArrayLike, *, seed: int) -> tuple[Indices, Indices]:
    """Pixels covered entirely by landslides, and as many random ones without any where PGA exceeds 0.12 g.

    Pixels that landslides cover in part are neither. Where there are fewer negatives than
    positives, as many positives are drawn, so that the sample stays balanced.

    Args:
        coverage: (y, x) share of each pixel that landslides cover.
        pga: (y, x), g, NaN where unknown.
        known: (y, x) where landslides were mapped and a score exists.
        seed: Of the draw.

    Returns:
        Positives and negatives.

    Raises:
        ValueError: shapes differ, or one class has no pixel.
    """
    covered, shaking, mask = np.asarray(coverage), np.asarray(pga), np.asarray(known, dtype=bool)
    if not covered.shape == shaking.shape == mask.shape:
        raise ValueError(f"expected one shape, got {covered.shape}, {shaking.shape} and {mask.shape}")
    positives = np.flatnonzero(mask & (covered >= WHOLLY))
    negatives = np.flatnonzero(mask & (covered == 0) & (shaking > STRONG_SHAKING_G))
    return _balanced(positives, negatives, seed)


def matched_sample(
    values: ArrayLike, slides: ArrayLike, known: ArrayLike, *, seed: int, bins: int = MATCHING_BINS
) -> tuple[Indices, Indices]:
    """Slide pixels, and as many others whose values (of slope, say) are distributed as theirs.

    Valley floors are easy negatives. A score that ranks these pairs knows more than the slope.

    Args:
        values: (y, x) what is matched, NaN where unknown.
        slides: (y, x) hard labels.
        known: (y, x) where landslides were mapped and a score exists.
        seed: Of the draw.
        bins: Intervals, each with as many slide pixels, in which as many of each class are drawn.

    Raises:
        ValueError: shapes differ, or no interval has pixels of both classes.
    """
    matched, labels, mask = np.asarray(values), np.asarray(slides, dtype=bool), np.asarray(known, dtype=bool)
    if not matched.shape == labels.shape == mask.shape:
        raise ValueError(f"expected one shape, got {matched.shape}, {labels.shape} and {mask.shape}")
    mask = mask & np.isfinite(matched)
    positives, negatives = np.flatnonzero(mask & labels), np.flatnonzero(mask & ~labels)
    if not positives.size:
        raise ValueError("expected pixels of both classes, got no landslide pixel")
    flat = matched.ravel()
    edges = np.quantile(flat[positives], np.linspace(0, 1, bins + 1)[1:-1])
    of_slides, of_others = np.searchsorted(edges, flat[positives]), np.searchsorted(edges, flat[negatives])
    pairs = [
        _balanced(positives[of_slides == b], negatives[of_others == b], seed + b)
        for b in range(bins)
        if (of_slides == b).any() and (of_others == b).any()
    ]
    if not pairs:
        raise ValueError("expected pixels of both classes in some interval, got none")
    return np.sort(np.concatenate([p for p, _ in pairs])), np.sort(np.concatenate([n for _, n in pairs]))


def selection_sample(
    slides: ArrayLike,
    known: ArrayLike,
    pga: ArrayLike,
    *,
    seed: int,
    size: int = SELECTION_SIZE,
    gap_px: int = SELECTION_GAP_PX,
) -> tuple[Indices, Indices]:
    """Up to `size` slide pixels and as many others, all shaken beyond 0.12 g, the others `gap_px` from any slide.

    Raises:
        ValueError: shapes differ, or one class has no pixel.
    """
    labels, mask, shaking = np.asarray(slides, dtype=bool), np.asarray(known, dtype=bool), np.asarray(pga)
    if not labels.shape == mask.shape == shaking.shape:
        raise ValueError(f"expected one shape, got {labels.shape}, {mask.shape} and {shaking.shape}")
    far = ndimage.distance_transform_edt(~labels) >= gap_px if labels.any() else np.ones_like(labels)
    strong = mask & (shaking > STRONG_SHAKING_G)
    return _balanced(np.flatnonzero(strong & labels), np.flatnonzero(strong & ~labels & far), seed, at_most=size)


def _balanced(
    positives: Indices, negatives: Indices, seed: int, *, at_most: int | None = None
) -> tuple[Indices, Indices]:
    """As many of each, at random."""
    size = min(positives.size, negatives.size, *([at_most] if at_most else []))
    if not size:
        raise ValueError(f"expected pixels of both classes, got {positives.size} slide and {negatives.size} other ones")
    rng = np.random.default_rng([seed, 0xBA1A])
    return _drawn(positives, size, rng), _drawn(negatives, size, rng)


def _drawn(candidates: Indices, size: int, rng: np.random.Generator) -> Indices:
    if size == candidates.size:
        return candidates
    return np.sort(rng.choice(candidates, size, replace=False))
