"""The small picture of an item: title, map, scale bar and legend in words, within 600 x 600 pixels."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rasterio.windows import Window as RasterWindow

from headscarp.core.palette import GROUND, ColourScheme, Palette
from headscarp.core.status import Status
from headscarp.core.types import Codes
from headscarp.io.outputs.cog import CACHE_MB

SIZE = 560
MAP_HEIGHT = 380
MARGIN = 12
INK = (40, 40, 44)
PAPER = (255, 255, 255)
STAMP = (190, 20, 30)


def write_thumbnail(
    values: Path, status: Path, target: Path, *, palette: Palette, title: str, subtitle: str, synthetic: bool
) -> None:
    """Draw the map as a PNG; each pixel shows the highest class beneath it.

    Args:
        values: Float32 raster, NaN nodata.
        status: Uint8 status codes on the same grid.
        target: The PNG.
        palette: Colours and words.
        title: First line.
        subtitle: Second line.
        synthetic: Whether to stamp the map SYNTHETIC.
    """
    picture, metres = _map(values, status, palette)
    left, top = (SIZE - picture.width) // 2, 54
    sheet = Image.new("RGB", (SIZE, top + picture.height + 118), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, 8), _fitted(draw, title, 18), fill=INK, font=_font(18))
    draw.text((MARGIN, 32), _fitted(draw, subtitle, 13), fill=INK, font=_font(13))
    sheet.paste(picture, (left, top))
    draw.rectangle((left - 1, top - 1, left + picture.width, top + picture.height), outline=INK)
    _scale_bar(draw, left + 10, top + picture.height - 14, metres, picture.width)
    if synthetic:
        _stamp(draw, left + picture.width // 2, top + picture.height // 2, picture.width)
    _legend(draw, palette, top + picture.height + 8)
    sheet.save(target, "PNG", compress_level=6)


def peaks(raster: Path, palette: ColourScheme, factor: int) -> Codes:
    """Highest class in each square of `factor` pixels, read in strips."""
    strips: list[Codes] = []
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB), rasterio.open(raster) as source:
        step = factor * max(1, 1024 // factor)
        for top in range(0, source.height, step):
            window = RasterWindow(0, top, source.width, min(step, source.height - top))
            codes = palette.classes(source.read(1, window=window))
            padded = np.pad(codes, [(0, -size % factor) for size in codes.shape])
            shape = (padded.shape[0] // factor, factor, padded.shape[1] // factor, factor)
            strips.append(padded.reshape(shape).max(axis=(1, 3)))
    return np.concatenate(strips)


def _map(values: Path, status: Path, palette: Palette) -> tuple[Image.Image, float]:
    """The map alone, and the ground size of one of its pixels in metres."""
    with rasterio.open(status) as source:
        factor = max(1, math.ceil(source.height / MAP_HEIGHT), math.ceil(source.width / (SIZE - 2 * MARGIN)))
        metres = abs(source.transform.a) * factor
    ground = GROUND.table[peaks(status, GROUND, factor), :3]
    return _enlarged(_over(palette.table[peaks(values, palette, factor)], ground), metres)


def _over(colours: NDArray[np.uint8], ground: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(..., 4) RGBA laid over (..., 3) RGB."""
    opacity = colours[..., 3:] / 255.0
    mixed = colours[..., :3] * opacity + ground * (1.0 - opacity)
    return mixed.round().astype(np.uint8)


def _enlarged(pixels: NDArray[np.uint8], metres: float) -> tuple[Image.Image, float]:
    """Small maps grow by a whole factor, so that they can be seen."""
    height, width = pixels.shape[:2]
    grow = max(1, min(MAP_HEIGHT // height, (SIZE - 2 * MARGIN) // width))
    image = Image.fromarray(pixels)
    return image.resize((width * grow, height * grow), Image.Resampling.NEAREST), metres / grow


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _fitted(draw: ImageDraw.ImageDraw, text: str, size: int) -> str:
    """The text, shortened to the sheet's width."""
    limit, font = SIZE - 2 * MARGIN, _font(size)
    if draw.textlength(text, font=font) <= limit:
        return text
    while draw.textlength(text + "...", font=font) > limit:
        text = text[:-1]
    return text.rstrip() + "..."


def _scale_bar(draw: ImageDraw.ImageDraw, x: int, y: int, metres: float, width: int) -> None:
    """A bar of 1, 2 or 5 times a power of ten, at most a third of the map."""
    room = metres * width / 3.0
    power = 10.0 ** math.floor(math.log10(room))
    length = max(step * power for step in (1, 2, 5) if step * power <= room)
    draw.rectangle((x, y, x + round(length / metres), y + 4), fill=INK)
    words = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    draw.text((x, y - 16), words, fill=INK, font=_font(12))


def _stamp(draw: ImageDraw.ImageDraw, x: int, y: int, width: int) -> None:
    font = _font(max(10, min(56, width // 8)))
    draw.text((x, y), "SYNTHETIC", fill=STAMP, font=font, anchor="mm", stroke_width=2, stroke_fill=PAPER)


def _legend(draw: ImageDraw.ImageDraw, palette: Palette, top: int) -> None:
    draw.text((MARGIN, top), palette.title + " - model, not observed", fill=INK, font=_font(13))
    rows = math.ceil(len(palette.bins) / 2)
    colours = _over(palette.table[1:], np.array(GROUND.rgb(Status.VALID), np.uint8)).tolist()
    for index, entry in enumerate(palette.bins):
        x = MARGIN + (index // rows) * (SIZE // 2)
        y = top + 24 + (index % rows) * 24
        draw.rectangle((x, y, x + 22, y + 14), fill=tuple(colours[index]), outline=INK)
        draw.text((x + 30, y - 1), entry.words, fill=INK, font=_font(13))
