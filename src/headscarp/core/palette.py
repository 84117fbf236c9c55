"""Colours of the published maps: one object feeds the RGBA image, the tiles, the legend and the STAC render.

Two palettes exist because two quantities exist. Areal coverage is drawn with the bins and colours that the
USGS ground-failure product has made familiar. The uncalibrated score has its own bins, words and colours,
so that nobody reads one as the other. Beneath both lies the ground, which says why a place has no colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from headscarp.core.predictor import Quantity
from headscarp.core.status import Status
from headscarp.core.types import Attributes, Codes, Raster

ALPHA = 179
"""Opacity of every coloured bin, 0.7 of 255, as USGS draws them."""

RGB = tuple[int, int, int]


def hex_of(rgb: RGB) -> str:
    """A colour as `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*rgb)


class ColourScheme(Protocol):
    """What tiles are drawn with. Of several pixels merged into one, the highest class is shown."""

    @property
    def table(self) -> NDArray[np.uint8]:
        """(class, 4) RGBA; class 0 is fully transparent."""

    @property
    def downsampling(self) -> str:
        """The rule of merging, for readers of the archive."""

    def classes(self, raster: NDArray[Any]) -> Codes:
        """Class of each pixel; same shape."""

    def legend(self) -> Attributes:
        """Name, title, note and entries with colour and label, as JSON."""


@dataclass(frozen=True, slots=True)
class Bin:
    """A half-open interval of values [lower, next lower) that shares one colour and one phrase."""

    lower: float
    rgb: RGB
    words: str

    @property
    def hex(self) -> str:
        """The colour as `#rrggbb`, without opacity."""
        return hex_of(self.rgb)


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

    @property
    def downsampling(self) -> str:
        """The highest value, so that a single hot pixel stays."""
        return "max"

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


@dataclass(frozen=True, slots=True)
class Shade:
    """The opaque colour of one status code."""

    status: Status
    rgb: RGB


@dataclass(frozen=True, slots=True)
class StatusPalette:
    """Colours of the status raster; where pixels are merged, the later of two shades is kept."""

    name: str
    title: str
    note: str
    shades: tuple[Shade, ...]

    def __post_init__(self) -> None:
        """Refuse codes without a colour or with two."""
        if sorted(shade.status for shade in self.shades) != sorted(Status):
            raise ValueError(f"palette {self.name}: expected one shade per status, got {self.shades}")

    def rgb(self, status: Status) -> RGB:
        """Colour of a code."""
        return next(shade.rgb for shade in self.shades if shade.status is status)

    def classes(self, raster: Codes) -> Codes:
        """Rank of each status code, from 1; 0 for a number that is no status code; same shape."""
        ranks = np.zeros(256, np.uint8)
        ranks[[shade.status for shade in self.shades]] = np.arange(1, len(self.shades) + 1)
        return np.asarray(ranks[raster])

    @property
    def table(self) -> NDArray[np.uint8]:
        """(rank, 4) RGBA; rank 0, outside the raster, is fully transparent black."""
        return np.array([(0, 0, 0, 0), *((*shade.rgb, 255) for shade in self.shades)], np.uint8)

    @property
    def downsampling(self) -> str:
        """Ranks, the first of which is kept."""
        return "first found of " + ", ".join(shade.status.slug for shade in reversed(self.shades))

    def legend(self) -> Attributes:
        """The legend as JSON, in the order of the codes."""
        entries = [
            {
                "value": status.value,
                "name": status.slug,
                "color": hex_of(self.rgb(status)),
                "opacity": 1.0,
                "label": status.words,
            }
            for status in Status
        ]
        return {"name": self.name, "title": self.title, "note": self.note, "entries": entries}


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


GROUND = StatusPalette(
    name="status",
    title="Why a pixel has no value",
    note="Beneath the map. Where scales merge pixels, land is kept before sea.",
    shades=(
        Shade(Status.SEA, (194, 218, 237)),
        Shade(Status.NODATA, (166, 166, 168)),
        Shade(Status.WEAK_SHAKING, (222, 219, 213)),
        Shade(Status.VALID, (245, 243, 238)),
        Shade(Status.OUT_OF_DOMAIN, (226, 200, 220)),
    ),
)
"""Pale, so that the maps above keep their colours. Sea gives way to all else, or islets would vanish from afar."""


def palette_for(quantity: Quantity) -> Palette:
    """The palette that draws a predictor's quantity."""
    return COVERAGE if quantity == "coverage" else SCORE
