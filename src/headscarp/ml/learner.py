"""What every way of making a model from scenes looks like: networks, baselines, formulas that learn nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from headscarp.core.types import Raster
from headscarp.ml.windows import Scene


class Scorer(Protocol):
    """A model that is made."""

    def score(self, scene: Scene) -> Raster:
        """(y, x) over the whole scene, higher where landslides are likelier; NaN where it has no answer."""


class Learner(Protocol):
    """A model that can be made; equal scenes and seed give an equal scorer."""

    @property
    def name(self) -> str:
        """Short name, safe in file names."""

    @property
    def channels(self) -> tuple[str, ...]:
        """What it reads of a scene."""

    @property
    def identity(self) -> str:
        """Digest of its settings: changes whenever equal scenes would give another scorer."""

    def fit(self, scenes: Sequence[Scene]) -> Scorer:
        """Learn from where the scenes' labels are known; a scorer that learns nothing ignores them."""
