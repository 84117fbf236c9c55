"""Pixels as examples: which are drawn from a scene, and what is known of each.

Every learner that looks at single pixels draws the same ones: they depend on the scene's name, where
it is known, its slides and the seed. `paper_sample` and `selection_sample` leave out weak shaking,
where maps must be right too, so they do not serve here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from headscarp.core.normalisation import Normalisation
from headscarp.core.types import Raster, Stack
from headscarp.errors import InvalidInput
from headscarp.ml.windows import Scene
from headscarp.tables.coseismic import COSEISMIC

MOST_SLIDE_PIXELS = 20_000
"""Of a scene, and as many others."""
STRIP_PIXELS = 65_536
"""About so many pixels are looked at at once: memory does not grow with the scene."""

Indices: TypeAlias = NDArray[np.intp]
Examples: TypeAlias = NDArray[np.float32]
"""(pixel, feature), NaN where missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFeatures:
    """What a learner sees of a pixel.

    Columns: ranks within the event, then values in physical units, then the mean and standard deviation
    of each of these in the window, then class codes.

    Raises:
        InvalidInput: a channel that the table does not have, or a window without a middle.
    """

    channels: tuple[str, ...]
    normalisation: Normalisation = "event"
    """Continuous channels as ranks within the event, or all in physical units. Components of vectors are always as
    they are."""
    absolute: tuple[str, ...] = ()
    """Channels that are there in physical units beside their rank."""
    context_px: int = 0
    """Side of the window, odd; 0 for the pixel alone."""

    def __post_init__(self) -> None:
        """Refuse what cannot be read."""
        if unknown := [name for name in (*self.channels, *self.absolute) if name not in COSEISMIC.channels]:
            raise InvalidInput(f"expected channels of the table {COSEISMIC.name}, found {', '.join(unknown)}")
        if self.context_px and self.context_px % 2 == 0:
            raise InvalidInput(f"expected an odd side of the context window, found {self.context_px}")

    @property
    def codes(self) -> tuple[str, ...]:
        """Categorical channels."""
        return tuple(name for name in self.channels if COSEISMIC[name].kind == "categorical")

    @property
    def ranked(self) -> tuple[str, ...]:
        """Channels seen as ranks."""
        if self.normalisation == "training":
            return ()
        return tuple(name for name in self._continuous if len(COSEISMIC[name].outputs) == 1)

    @property
    def valued(self) -> tuple[str, ...]:
        """Channels seen in physical units."""
        if self.normalisation == "training":
            return self._continuous
        return (*(name for name in self._continuous if name not in self.ranked), *self.absolute)

    @property
    def _continuous(self) -> tuple[str, ...]:
        return tuple(name for name in self.channels if COSEISMIC[name].kind == "continuous")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns; a rank and a value have the name of their channel."""
        own = (*self.ranked, *self.valued)
        around = tuple(f"{name}_{what}" for name in own for what in ("mean", "std")) if self.context_px else ()
        return (*own, *around, *self.codes)

    def planes(self, scene: Scene, rows: slice) -> Stack:
        """(feature, row, x) of some rows of a scene; NaN where missing, and for codes outside the legend.

        Raises:
            InvalidInput: the scene lacks a channel, or its statistics do.
        """
        reach = self.context_px // 2
        start, stop = max(rows.start - reach, 0), min(rows.stop + reach, scene.label.shape[0])
        seen = {name: _values(scene, name, slice(start, stop)) for name in (*self.ranked, *self.valued)}
        statistics = scene.statistics.only(self.ranked)
        own = [statistics.scored(n, seen[n]) for n in self.ranked] + [seen[n] for n in self.valued]
        around = [plane for values in own for plane in window_moments(values, self.context_px)] if reach else []
        wanted = slice(rows.start - start, rows.stop - start)
        return np.stack([*(p[wanted] for p in (*own, *around)), *(_codes(scene, n, rows) for n in self.codes)])

    def at(self, scene: Scene, pixels: Indices) -> Examples:
        """Features of pixels given by ascending flat indices. Raises InvalidInput as `planes` does."""
        width = scene.label.shape[1]
        parts = [np.empty((0, len(self.names)), np.float32)]
        for rows in row_strips(scene):
            first, last = np.searchsorted(pixels, [rows.start * width, rows.stop * width])
            if first < last:
                planes = self.planes(scene, rows)
                parts.append(planes.reshape(len(planes), -1)[:, pixels[first:last] - rows.start * width].T)
        return np.concatenate(parts)


def _values(scene: Scene, name: str, rows: slice) -> Raster:
    if name not in scene.channels:
        raise InvalidInput(f"scene {scene.name}: expected channel {name} among {', '.join(scene.channels)}")
    return np.asarray(scene.stack[scene.channels.index(name), rows])


def _codes(scene: Scene, name: str, rows: slice) -> Raster:
    """Class codes, NaN where there is none."""
    codes, valid = _values(scene, name, rows), COSEISMIC[name].valid or (1.0, 254.0)
    return np.where((codes >= valid[0]) & (codes <= valid[1]), codes, np.float32(np.nan))


def window_moments(values: Raster, side: int) -> tuple[Raster, Raster]:
    """Mean and standard deviation (y, x) of the known values in the square around each pixel; NaN without any."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0).astype(np.float64)
    share, first, second = (
        ndimage.uniform_filter(plane, side, mode="constant") for plane in (known.astype(np.float64), filled, filled**2)
    )
    share[share < 0.5 / side**2] = np.nan
    mean = first / share
    # The difference of two near numbers may fall below 0.
    return mean.astype(np.float32), np.sqrt(np.maximum(second / share - mean**2, 0.0)).astype(np.float32)


def row_strips(scene: Scene) -> Iterator[slice]:
    """Whole rows from north to south, each strip of about `STRIP_PIXELS` pixels."""
    height, width = scene.label.shape
    step = max(1, STRIP_PIXELS // width)
    return (slice(start, min(start + step, height)) for start in range(0, height, step))


@dataclass(frozen=True, slots=True)
class Sample:
    """Examples to learn from, as many slides as others."""

    examples: Examples
    slides: NDArray[np.bool_]
    """(pixel,)"""
    weight: NDArray[np.float64]
    """(pixel,) with which every scene counts the same; mean 1."""
    prevalence: float
    """Mean over the scenes of the share of known pixels that are slides: what the balance hides."""


def draw_sample(
    scenes: Sequence[Scene], features: PixelFeatures, *, seed: int, most: int = MOST_SLIDE_PIXELS
) -> Sample:
    """Up to `most` slide pixels of every scene and as many others; scenes with one class only give none.

    Raises:
        InvalidInput: no scene has pixels of both classes.
    """
    drawn = [(scene, balanced_pixels(scene, seed=seed, most=most)) for scene in scenes]
    used = [(scene, pixels) for scene, pixels in drawn if pixels.size]
    if not used:
        found = ", ".join(f"{s.name}: {(s.slides & s.known).sum()} slide of {s.known.sum()} known" for s in scenes)
        raise InvalidInput(f"expected a scene with slide and other pixels to learn from, found {found or 'no scene'}")
    sizes = np.array([pixels.size for _, pixels in used])
    return Sample(
        np.concatenate([features.at(scene, pixels) for scene, pixels in used]),
        np.concatenate([scene.slides.ravel()[pixels] for scene, pixels in used]),
        np.repeat(sizes.sum() / (sizes.size * sizes), sizes),
        float(np.mean([scene.slides[scene.known].mean() for scene in scenes])),
    )


def balanced_pixels(scene: Scene, *, seed: int, most: int = MOST_SLIDE_PIXELS) -> Indices:
    """Ascending flat indices of known pixels, half of them slides; none where one class is absent."""
    slides, others = np.flatnonzero(scene.known & scene.slides), np.flatnonzero(scene.known & ~scene.slides)
    size = min(slides.size, others.size, most)
    of_name = int.from_bytes(hashlib.sha256(scene.name.encode()).digest()[:8], "big")
    rng = np.random.default_rng([seed, of_name])
    return np.sort(np.concatenate([rng.choice(pixels, size, replace=False) for pixels in (slides, others)]))
