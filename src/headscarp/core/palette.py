"""Colours of the published maps: one object feeds the RGBA image, the tiles, the legend and the STAC render.

Two palettes exist because two quantities exist. Areal coverage is drawn with the bins and colours that the
USGS ground-failure product has made familiar. The uncalibrated score has its own bins, words and colours,
so that nobody reads one as the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from headscarp.core.predictor import Quantity
from headscarp.core.types import Attributes, Codes, Raster

ALPHA = 179
"""Opacity of every coloured bin, 0.7 of 255, as USGS draws them."""

RGB = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Bin:
    """A half-open interval of values [lower, next lower) that shares one colour and one phrase."""

    lower: float
    rgb: RGB
    words: str

    @property
    def hex(self) -> str:
        """The colour as `#rrggbb`, without opacity."""
        return "#{:02x}{:02x}{:02x}".format(*self.rgb)


@dataclass(frozen=True, slots=True)
class Palette:
    """Bins from low to high; values below the first, and NaN, are transparent. The last bin is open above."""

    name: str
    title: str
    note: str
    """What the numbers mean and do not mean, for readers of the map."""
    bins: tuple[Bin, ...]

    def __post_init__(self) -> None:
        """Refuse bins that are empty or out of order."""
        if not self.bins or any(b.lower <= a.lower for a, b in pairwise(self.bins)):
            raise ValueError(f"palette {self.name}: lower edges must increase, got {[b.lower for b in self.bins]}")

    @property
    def edges(self) -> tuple[float, ...]:
        """Lower edges, ascending."""
        return tuple(b.lower for b in self.bins)

    def classes(self, raster: Raster) -> Codes:
        """Bin number of each value: 0 below the first edge or NaN, else 1 to the number of bins; same shape."""
        codes = np.zeros(raster.shape, np.uint8)
        for edge in self.edges:
            codes += raster >= np.float32(edge)
        return codes

    @property
    def table(self) -> NDArray[np.uint8]:
        """(class, 4) RGBA; class 0 is fully transparent black."""
        return np.array([(0, 0, 0, 0), *((*b.rgb, ALPHA) for b in self.bins)], np.uint8)

    def rgba(self, raster: Raster) -> NDArray[np.uint8]:
        """(y, x) values to (y, x, 4) RGBA bytes."""
        return self.table[self.classes(raster)]

    def legend(self) -> Attributes:
        """The legend as JSON: what the page prints and the STAC render carries."""
        uppers = [*self.edges[1:], None]
        entries = [
            {"from": b.lower, "to": upper, "color": b.hex, "opacity": round(ALPHA / 255, 3), "label": b.words}
            for b, upper in zip(self.bins, uppers, strict=True)
        ]
        return {"name": self.name, "title": self.title, "note": self.note, "entries": entries}

    def legend_text(self) -> str:
        """The legend as one line of plain words, for readers without colour and for TileJSON."""
        entries = "; ".join(f"{b.words} ({b.hex})" for b in self.bins)
        return f"{self.title}. {entries}. {self.note}"


COVERAGE = Palette(
    name="usgs_areal_coverage",
    title="Area covered by landslides",
    note="Share of each cell's area expected to be under landslides; below 0.2 % not drawn. A model, not observed.",
    bins=(
        Bin(0.002, (240, 240, 179), "0.2 to 1 % of the area"),
        Bin(0.01, (230, 199, 46), "1 to 2 % of the area"),
        Bin(0.02, (235, 115, 8), "2 to 5 % of the area"),
        Bin(0.05, (191, 56, 92), "5 to 10 % of the area"),
        Bin(0.1, (92, 41, 179), "10 to 20 % of the area"),
        Bin(0.2, (31, 31, 99), "20 % of the area and more"),
    ),
)
"""Bins and colours of the USGS ground-failure product (groundfailure, DFBINS and DFCOLORS)."""

SCORE = Palette(
    name="uncalibrated_score",
    title="Landslide score (uncalibrated)",
    note="A higher score means landslides are likelier here than where the score is lower. "
    "It is not calibrated: 0.8 does not mean 80 %. Below 0.1 not drawn. A model, not observed.",
    bins=(
        Bin(0.1, (253, 231, 37), "0.1 to 0.2, lowest score shown"),
        Bin(0.2, (122, 209, 81), "0.2 to 0.35, low score"),
        Bin(0.35, (34, 168, 132), "0.35 to 0.5, middling score"),
        Bin(0.5, (42, 120, 142), "0.5 to 0.65, higher score"),
        Bin(0.65, (65, 68, 135), "0.65 to 0.8, high score"),
        Bin(0.8, (68, 1, 84), "0.8 to 1, highest score"),
    ),
)
"""Six steps of viridis, light to dark: even in lightness and safe for colour-blind readers."""


def palette_for(quantity: Quantity) -> Palette:
    """The palette that draws a predictor's quantity."""
    return COVERAGE if quantity == "coverage" else SCORE
