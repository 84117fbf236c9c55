"""How often landslides lie on each value of a control indicator, beside how common that value is.

Pixels are counted: an event with few mapped landslides says little, and a large landslide counts more than a small one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Counts = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Frequency:
    """Pixels by class of an indicator; classes are intervals of its values, or codes."""

    ground: Counts
    """(class,) all mapped pixels."""
    slides: Counts
    """(class,) landslide pixels among them."""

    @property
    def ground_share(self) -> Values:
        """(class,) share of the mapped pixels; NaN where there are none at all."""
        return _shares(self.ground)

    @property
    def slide_share(self) -> Values:
        """(class,) share of the landslide pixels; NaN where there are none at all."""
        return _shares(self.slides)

    def ratio(self, *, at_least: int = 1) -> Values:
        """(class,) frequency ratio: share of landslides over share of ground; above 1, landslides prefer the class.

        NaN in classes with fewer than `at_least` mapped pixels. Lee and Pradhan (2007),
        https://doi.org/10.1007/s10346-006-0047-y.
        """
        counted = self.ground >= max(at_least, 1)
        out = np.full(self.ground.shape, np.nan)
        np.divide(self.slide_share, self.ground_share, out=out, where=counted)
        return out

    @property
    def mode(self) -> int:
        """Number of the class with most landslide pixels, the first of several.

        Raises:
            ValueError: no landslide pixel has a value.
        """
        if not self.slides.any():
            raise ValueError("expected landslide pixels, found none with a value")
        return int(self.slides.argmax())

    def around_mode(self, share: float = 0.5) -> tuple[int, int]:
        """First and last class of the run around the mode that holds at least `share` of the mode's pixels each.

        Raises:
            ValueError: no landslide pixel has a value.
        """
        first = last = self.mode
        tall = self.slides >= share * self.slides[first]
        while first > 0 and tall[first - 1]:
            first -= 1
        while last < tall.size - 1 and tall[last + 1]:
            last += 1
        return first, last


def by_interval(values: ArrayLike, slides: ArrayLike, mapped: ArrayLike, edges: Sequence[float]) -> Frequency:
    """Count an indicator of continuous values.

    Args:
        values: of any shape, NaN where there is none.
        slides: whether a landslide is mapped there; same shape.
        mapped: whether anyone would have mapped one: nothing else is counted; same shape.
        edges: ascending borders of intervals that hold their lower edge; values beyond are not counted.

    Raises:
        ValueError: shapes differ, or the edges do not ascend.
    """
    if len(edges) < 2 or np.any(np.diff(edges) <= 0):
        raise ValueError(f"expected at least two ascending edges, got {list(edges)}")
    known, labels = _counted(values, slides, mapped)
    place = np.searchsorted(np.asarray(edges, dtype=np.float64), known, side="right") - 1
    return _frequency(place, labels, len(edges) - 1)


def by_class(codes: ArrayLike, slides: ArrayLike, mapped: ArrayLike, classes: Sequence[int]) -> Frequency:
    """Count an indicator of class codes; codes that are not among `classes` are not counted, NaN neither.

    Raises:
        ValueError: shapes differ, or a class is named twice.
    """
    if len(set(classes)) != len(classes):
        raise ValueError(f"expected each class once, got {list(classes)}")
    known, labels = _counted(codes, slides, mapped)
    place = np.full(known.shape, -1)
    for number, code in enumerate(classes):
        place[known == code] = number
    return _frequency(place, labels, len(classes))


def _counted(values: ArrayLike, slides: ArrayLike, mapped: ArrayLike) -> tuple[Values, NDArray[np.bool_]]:
    """Values and landslides of the pixels that are mapped and have a value, flat."""
    found, labels = np.asarray(values, dtype=np.float64), np.asarray(slides, dtype=bool)
    mask = np.asarray(mapped, dtype=bool)
    if not found.shape == labels.shape == mask.shape:
        raise ValueError(f"expected one shape, got values {found.shape}, slides {labels.shape}, mapped {mask.shape}")
    mask = mask & np.isfinite(found)
    return found[mask], labels[mask]


def _frequency(place: NDArray[np.integer], labels: NDArray[np.bool_], classes: int) -> Frequency:
    inside = (place >= 0) & (place < classes)
    ground = np.bincount(place[inside], minlength=classes)
    slides = np.bincount(place[inside & labels], minlength=classes)
    return Frequency(ground.astype(np.int64), slides.astype(np.int64))


def _shares(counts: Counts) -> Values:
    total = counts.sum()
    return counts / total if total else np.full(counts.shape, np.nan)
