"""What became of an inventory, as a picture: accepted, ignored and refused landslides on the mapped ground."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rasterio.features import rasterize
from rasterio.transform import from_origin

from headscarp.io.inputs.inventory import LandslideInventory

WIDTH: Final = 900
MAX_HEIGHT: Final = 900
MARGIN: Final = 16
HEADER: Final = 62
FOOTER: Final = 118
LEAST_WIDTH: Final = 720
"""Of the sheet: room for the words beneath a tall map."""
FRAME: Final = 0.04
"""Empty share of the map around what is drawn."""

INK = (40, 40, 44)
PAPER = (255, 255, 255)
STAMP = (190, 20, 30)
COLOURS: Final = {
    "outside the mapped extent": (214, 214, 214),
    "mapped": (240, 236, 224),
    "ignored": (110, 140, 190),
    "refused": (30, 30, 30),
    "accepted": (200, 60, 30),
}
"""Of the codes 0 to 4, later ones drawn over earlier ones; they differ in lightness as well as in hue."""


def draw_inventory(inventory: LandslideInventory, target: Path, *, title: str, synthetic: bool = False) -> None:
    """Write a PNG; every polygon colours at least the pixels it touches, so that small ones are seen.

    Args:
        inventory: What was read.
        target: The PNG.
        title: First line, as `M 7.6 Kashmir, Pakistan 2005`.
        synthetic: Whether to stamp the map SYNTHETIC.
    """
    codes, metres = _codes(inventory)
    height, width = codes.shape
    sheet = Image.new("RGB", (max(width + 2 * MARGIN, LEAST_WIDTH), height + HEADER + FOOTER), PAPER)
    draw, left = ImageDraw.Draw(sheet), (sheet.width - width) // 2
    palette = np.array(list(COLOURS.values()), dtype=np.uint8)
    sheet.paste(Image.fromarray(palette[codes]), (left, HEADER))
    draw.rectangle((left - 1, HEADER - 1, left + width, HEADER + height), outline=INK)
    _head(draw, inventory, title)
    _scale_bar(draw, left + 12, HEADER + height - 16, metres, width)
    if synthetic:
        size = max(12, min(56, width // 8))
        centre = (left + width // 2, HEADER + height // 2)
        draw.text(centre, "SYNTHETIC", STAMP, _font(size), anchor="mm", stroke_width=2, stroke_fill=PAPER)
    _legend(draw, inventory, HEADER + height + 10)
    sheet.save(target, "PNG", compress_level=6)


def _codes(inventory: LandslideInventory) -> tuple[NDArray[np.uint8], float]:
    """(y, x) indices into `COLOURS`, row 0 in the north, and metres per pixel."""
    drawn = np.concatenate([[inventory.extent.geometry], inventory.coseismic, inventory.ignore])
    west, south, east, north = shapely.total_bounds(drawn)
    room_x, room_y = (east - west) * (1 + 2 * FRAME), (north - south) * (1 + 2 * FRAME)
    metres = max(room_x / (WIDTH - 2 * MARGIN), room_y / MAX_HEIGHT, 1e-3)
    shape = (max(1, math.ceil(room_y / metres)), max(1, math.ceil(room_x / metres)))
    transform = from_origin(west - (east - west) * FRAME, north + (north - south) * FRAME, metres, metres)
    codes = np.zeros(shape, dtype=np.uint8)
    layers = (np.array([inventory.extent.geometry]), inventory.ignore, inventory.refused, inventory.coseismic)
    for code, shapes in enumerate(layers, start=1):
        visible = [s for s in shapes if not shapely.is_empty(s) and np.isfinite(shapely.bounds(s)).all()]
        if visible:
            burnt = rasterize(visible, out_shape=shape, transform=transform, all_touched=code > 1, dtype=np.uint8)
            codes[burnt == 1] = code
    return codes, float(metres)


def _head(draw: Any, inventory: LandslideInventory, title: str) -> None:
    draw.text((MARGIN, 8), title, INK, _font(18))
    words = f"{inventory.source}: {len(inventory.coseismic)} landslides, {inventory.area_km2:.2f} km2"
    draw.text((MARGIN, 34), f"{words}; dates {inventory.dating}"[:120], INK, _font(13))


def _legend(draw: Any, inventory: LandslideInventory, top: int) -> None:
    counts = {"accepted": len(inventory.coseismic), "ignored": len(inventory.ignore), "refused": len(inventory.refused)}
    for index, (name, colour) in enumerate(reversed(list(COLOURS.items()))):
        x, y = MARGIN + (index % 3) * 230, top + (index // 3) * 26
        draw.rectangle((x, y, x + 22, y + 14), fill=colour, outline=INK)
        words = f"{name} ({counts[name]})" if name in counts else name
        draw.text((x + 30, y), words, INK, _font(13))
    extent = f"mapped extent {inventory.extent.area_km2:.1f} km2, {inventory.extent.rule}"
    draw.text((MARGIN, top + 60), extent[:130], INK, _font(13))
    draw.text((MARGIN, top + 80), "ignored and outside: neither landslide nor background", INK, _font(13))


def _scale_bar(draw: Any, x: int, y: int, metres: float, width: int) -> None:
    """A bar of 1, 2 or 5 times a power of ten, at most a third of the map."""
    room = metres * width / 3.0
    power = 10.0 ** math.floor(math.log10(room))
    length = max(step * power for step in (1, 2, 5) if step * power <= room)
    draw.rectangle((x, y, x + round(length / metres), y + 4), fill=INK)
    draw.text((x, y - 17), f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m", INK, _font(12))


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
