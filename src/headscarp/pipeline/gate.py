"""The event's channel gate, from a fixed sample of windows of its cube."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np

from headscarp.core.grid import PGA_FLOOR_G
from headscarp.core.predictor import Predictor
from headscarp.core.sample import gate_windows
from headscarp.core.tiling import YX, Window
from headscarp.core.types import Stack
from headscarp.io.cubes.cube import Cube

Model = TypeVar("Model", bound=Predictor)


def gated_by(cube: Cube, predictor: Model) -> Model:
    """The predictor, bound to the event before, with the event's channel gate; itself if it takes none.

    A function of the cube and the model alone. Windows count that hold land with PGA of 0.02 g or more and with
    every required channel; only the sample is read whole, a window at a time.
    """
    return predictor.gated(_sample(cube, predictor)) if predictor.gate_px else predictor


def _sample(cube: Cube, predictor: Predictor) -> Iterator[Stack]:
    required = sorted(predictor.required)

    def holds(window: Window) -> bool:
        land, pga = cube.read(("land", "pga"), window)
        felt = (land == 1) & (pga >= PGA_FLOOR_G)
        return bool(felt.any() and (felt & np.isfinite(cube.read(required, window)).all(axis=0)).any())

    for window in gate_windows(YX(*cube.grid.shape), predictor.gate_px, holds):
        yield cube.read(predictor.channels, window)
