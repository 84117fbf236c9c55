"""Pixel sizes, and windows given in metres."""

from __future__ import annotations

from typing import NamedTuple

from odc.geo.geobox import GeoBox


class PixelSize(NamedTuple):
    """Height and width of a pixel in metres, both positive."""

    y: float
    x: float

    @property
    def mean(self) -> float:
        """Side of the square pixel this one is taken for where a window is round or square."""
        return (self.y + self.x) / 2.0

    @property
    def area_m2(self) -> float:
        """Area in square metres."""
        return self.y * self.x


def pixel_size(grid: GeoBox) -> PixelSize:
    """Pixel size of a north-up grid in metres.

    Raises:
        ValueError: the grid is rotated, south-up or not in metres.
    """
    transform = grid.transform
    if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise ValueError(f"expected a north-up grid, found the transform {tuple(transform)[:6]}")
    if grid.crs is None or grid.crs.units != ("metre", "metre"):
        raise ValueError(f"expected a grid in metres, found the CRS {grid.crs}")
    return PixelSize(-transform.e, transform.a)


def radius_px(radius_m: float, pixel: PixelSize) -> int:
    """The radius of a window in whole pixels, at least one."""
    return max(1, round(radius_m / pixel.mean))


def half_side_px(side_m: float, pixel: PixelSize) -> int:
    """Half of a square window of odd side: the side is 2 n + 1 pixels, n at least one."""
    return max(1, round((side_m / pixel.mean - 1.0) / 2.0))
