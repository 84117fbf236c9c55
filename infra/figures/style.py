"""How figures look: sizes in pixels, colours that colour-blind readers can tell apart, small files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from scipy.spatial import cKDTree

DPI = 100
LIMIT_BYTES = 300_000
"""Largest file that is committed."""
INK, FAINT, SEA, NO_VALUE = "#222222", "#8a8a8a", "#cfe0ee", "#d9d9d9"
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#aa4499"
"""Of the palette of Okabe and Ito (2008) and of Paul Tol's muted scheme."""
QUALITATIVE = ("#ddcc77", "#cc6677", "#117733", "#44aa99", "#332288", "#aa4499", "#999933", "#882255", "#88ccee")
"""Paul Tol's muted scheme, the blue of the sea last."""

mpl.use("Agg")
mpl.rcParams.update(
    {
        "font.family": "DejaVu Sans",
        "font.size": 9.0,
        "axes.edgecolor": FAINT,
        "axes.labelcolor": INK,
        "axes.titlesize": 9.5,
        "axes.titlelocation": "left",
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.labelsize": 8.0,
        "ytick.labelsize": 8.0,
        "text.color": INK,
        "svg.hashsalt": "headscarp",
    }
)


class Sheet:
    """A figure laid out in pixels, (0, 0) in the upper left corner."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")

    def axes(self, x: float, y: float, width: float, height: float, **options: Any) -> Axes:
        """Axes whose box is exactly these pixels."""
        box = (x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box, **options)

    def text(self, x: float, y: float, words: str, **options: Any) -> None:
        """Words whose upper left corner is here."""
        self.figure.text(x / self.width, 1 - y / self.height, words, va="top", **options)

    def save(self, path: Path) -> int:
        """Write a PNG of at most 256 colours without date or version; returns its size in bytes.

        Raises:
            RuntimeError: the file is larger than what may be committed.
        """
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
        path.parent.mkdir(parents=True, exist_ok=True)
        _indexed(np.asarray(Image.open(buffer).convert("RGB"))).save(path, optimize=True)
        size = path.stat().st_size
        if size > LIMIT_BYTES:
            raise RuntimeError(f"{path}: expected at most {LIMIT_BYTES} bytes, made {size}")
        print(f"{path.name}: {self.width} x {self.height} px, {size / 1000:.0f} kB")
        return size


def _indexed(pixels: np.ndarray) -> Image.Image:
    """(y, x, 3) bytes as a picture of 256 colours: the most frequent ones exactly, so that maps fit their legends."""
    packed = pixels.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    colours, place, counts = np.unique(packed, return_inverse=True, return_counts=True)
    bytes_of = np.column_stack([colours >> 16, colours >> 8 & 255, colours & 255]).astype(np.uint8)
    kept = bytes_of[np.argsort(-counts, kind="stable")[:256]]
    nearest = cKDTree(kept.astype(float)).query(bytes_of.astype(float))[1].astype(np.uint8)
    picture = Image.fromarray(nearest[place.reshape(packed.shape)], "P")
    picture.putpalette(kept.tobytes())
    return picture


def bare(axes: Axes) -> None:
    """A map's frame without ticks."""
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_linewidth(0.6)


def shown(values: np.ndarray, where: np.ndarray) -> np.ma.MaskedArray:
    """Values where something is to be drawn."""
    return np.ma.masked_where(~where, values)
