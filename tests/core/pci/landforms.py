"""Landforms with known answers, and the grids they lie on."""

from __future__ import annotations

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo import wh_
from odc.geo.geobox import GeoBox

from headscarp.core.pci.pixels import PixelSize
from headscarp.core.types import Raster

SQUARE = PixelSize(30.0, 30.0)


def grid_of(shape: tuple[int, int], *, pixel_m: float = 30.0) -> GeoBox:
    return GeoBox(wh_(shape[1], shape[0]), Affine(pixel_m, 0, 300_000, 0, -pixel_m, 4_000_000), "EPSG:32648")


def axes(shape: tuple[int, int], *, pixel: PixelSize = SQUARE) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """East and north of pixel centres in metres from the middle of the array."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    return (x - (shape[1] - 1) / 2) * pixel.x, ((shape[0] - 1) / 2 - y) * pixel.y


def plane(shape: tuple[int, int], *, slope: float, azimuth: float, pixel: PixelSize = SQUARE) -> Raster:
    """A plane that falls by `slope` degrees towards `azimuth` degrees clockwise from north."""
    east, north = axes(shape, pixel=pixel)
    towards = east * np.sin(np.radians(azimuth)) + north * np.cos(np.radians(azimuth))
    return (500.0 - np.tan(np.radians(slope)) * towards).astype(np.float32)


def fractal(shape: tuple[int, int], *, seed: int, relief_m: float = 1500.0, exponent: float = 1.6) -> Raster:
    """A random surface of a power-law spectrum; larger exponents are smoother."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
    frequency[0, 0] = np.inf
    surface = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * frequency**-exponent, s=shape)
    return ((surface - surface.min()) / np.ptp(surface) * relief_m).astype(np.float32)
