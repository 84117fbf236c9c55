"""What needs no training: slope, slope and shaking, and the formulas that are in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from headscarp.core.grid import PGA_FLOOR_G
from headscarp.core.hazard.jessee import NowickiJessee
from headscarp.core.hazard.newmark import NewmarkPredictor
from headscarp.core.predictor import Predictor, Quantity
from headscarp.core.types import Raster
from headscarp.ml.identity import settings_digest
from headscarp.ml.pixels import row_strips
from headscarp.ml.windows import Scene

USGS_STRENGTH: Final = (1.0, 26.0)
"""Cohesion (kPa) and friction (degrees) where the lithology is unknown, as USGS runs Godt et al. 2008."""
STEEPEST: Final = 90.0
STRONGEST_G: Final = 10.0
"""With the steepest slope, what a score of 1 stands for."""


@dataclass(frozen=True, slots=True)
class Slope:
    """Slope over 90 degrees."""

    name: ClassVar[str] = "slope"
    channels: ClassVar[tuple[str, ...]] = ("slope",)
    quantity: ClassVar[Quantity] = "score"

    @property
    def identity(self) -> str:
        return settings_digest(self)

    def fit(self, scenes: Sequence[Scene]) -> Slope:
        return self

    def score(self, scene: Scene) -> Raster:
        """(y, x) between 0 and 1; NaN where the slope is."""
        return np.asarray(scene.read(self.channels)[0] / np.float32(STEEPEST))


@dataclass(frozen=True, slots=True)
class SlopePga:
    """Slope times ln(PGA / 0.02 g), over what 90 degrees and 10 g have; 0 where it shook less than 0.02 g."""

    name: ClassVar[str] = "slope_pga"
    channels: ClassVar[tuple[str, ...]] = ("slope", "pga")
    quantity: ClassVar[Quantity] = "score"

    @property
    def identity(self) -> str:
        return settings_digest(self)

    def fit(self, scenes: Sequence[Scene]) -> SlopePga:
        return self

    def score(self, scene: Scene) -> Raster:
        """(y, x) between 0 and 1; NaN where slope or PGA is."""
        slope, pga = scene.read(self.channels)
        shaking = np.log(np.maximum(pga, np.float32(PGA_FLOOR_G)) / np.float32(PGA_FLOOR_G))
        return np.asarray(slope * shaking / np.float32(STEEPEST * np.log(STRONGEST_G / PGA_FLOOR_G)))


@dataclass(frozen=True, slots=True)
class Jessee:
    """Nowicki Jessee et al. 2018 as the USGS runs it, DOI 10.1029/2017JF004494."""

    name: ClassVar[str] = NowickiJessee.name
    channels: ClassVar[tuple[str, ...]] = NowickiJessee.channels
    quantity: ClassVar[Quantity] = NowickiJessee.quantity

    @property
    def identity(self) -> str:
        return settings_digest(self, version=NowickiJessee.version)

    def fit(self, scenes: Sequence[Scene]) -> PredictorScorer:
        return PredictorScorer(NowickiJessee())


@dataclass(frozen=True, slots=True)
class Newmark:
    """Share that slides by dry Newmark blocks, Jibson 2007, DOI 10.1016/j.enggeo.2007.01.013."""

    unknown_strength: tuple[float, float] = USGS_STRENGTH
    """Cohesion (kPa) and friction (degrees) where there is no lithology."""

    name: ClassVar[str] = NewmarkPredictor.name
    channels: ClassVar[tuple[str, ...]] = NewmarkPredictor.channels
    quantity: ClassVar[Quantity] = NewmarkPredictor.quantity

    @property
    def identity(self) -> str:
        return settings_digest(self, version=NewmarkPredictor.version)

    def fit(self, scenes: Sequence[Scene]) -> PredictorScorer:
        return PredictorScorer(NewmarkPredictor(self.unknown_strength))


@dataclass(frozen=True, slots=True)
class PredictorScorer:
    """A predictor whose every pixel stands alone, on scenes; missing layers are what it makes of them."""

    predictor: Predictor

    def score(self, scene: Scene) -> Raster:
        """(y, x) of the predictor's quantity. Raises ValueError if the scene lacks a channel."""
        predictor, stack = self.predictor.bound_to(scene.statistics), scene.read(self.predictor.channels)
        return np.concatenate([predictor.predict(stack[:, rows]) for rows in row_strips(scene)])
