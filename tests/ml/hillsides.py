"""Small scenes whose rule is known: what slides depends on slope, shaking and rock, and on nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from headscarp.core.normalisation import EventStatistics
from headscarp.ml.windows import Scene

CHANNELS = ("slope", "aspect_east", "aspect_north", "relief", "roughness", "ndvi", "lithology", "pga")
CONTINUOUS = ("slope", "relief", "roughness", "ndvi", "pga")
WEAK_ROCK = 3


def hillside(
    seed: int, *, side: int = 128, steepness: float = 1.0, name: str | None = None
) -> tuple[Scene, np.ndarray]:
    """A scene and the chance (y, x) with which each pixel slid."""
    rng = np.random.default_rng(seed)
    steep, shaken, rough = (smooth(rng, side, reach) for reach in (2.0, 12.0, 4.0))
    slope = steepness * 22.0 * np.exp(0.4 * steep)
    pga = 0.3 * np.exp(0.5 * shaken)
    rock = 1.0 + np.digitize(smooth(rng, side, 8.0), [-0.6, 0.2, 0.9])
    chance = 1.0 / (1.0 + np.exp(4.4 - 1.5 * steep - 1.2 * shaken - 1.2 * (rock == WEAK_ROCK)))
    angle = rng.uniform(0.0, 2.0 * np.pi, (side, side))
    relief, ndvi = 300.0 * np.exp(0.5 * rough), rng.random((side, side))
    stack = np.stack([slope, np.sin(angle), np.cos(angle), relief, 1e-3 * np.exp(rough), ndvi, rock, pga])
    return labelled(stack, rng.random((side, side)) < chance, name or f"hillside-{seed}"), chance


def labelled(stack: np.ndarray, slides: np.ndarray, name: str) -> Scene:
    """A scene that is known everywhere but in three columns."""
    known = np.ones(slides.shape, bool)
    known[:, :3] = False
    statistics = EventStatistics.of({c: stack[CHANNELS.index(c)] for c in CONTINUOUS})
    return Scene(
        name,
        CHANNELS,
        stack.astype(np.float32),
        np.where(known, slides, np.nan).astype(np.float32),
        slides & known,
        np.zeros(slides.shape, np.float32),
        statistics,
        synthetic=True,
    )


def without(scene: Scene, *channels: str) -> Scene:
    """The same scene as if these layers were missing throughout."""
    stack = scene.stack.copy()
    for channel in channels:
        stack[CHANNELS.index(channel)] = np.nan
    lost = {channel: () for channel in channels if channel in CONTINUOUS}
    return replace(scene, stack=stack, statistics=EventStatistics({**scene.statistics.quantiles, **lost}))


def shuffled(scene: Scene, seed: int) -> Scene:
    """The same scene with its slides anywhere."""
    slides = scene.slides.copy()
    slides[scene.known] = np.random.default_rng(seed).permutation(scene.slides[scene.known])
    return replace(scene, slides=slides)


def smooth(rng: np.random.Generator, side: int, reach: float) -> np.ndarray:
    """Standard normal everywhere, alike within some pixels."""
    field = ndimage.gaussian_filter(rng.normal(size=(side, side)), reach, mode="wrap")
    return (field - field.mean()) / field.std()
