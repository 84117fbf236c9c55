"""Learners that judge every pixel by itself, from the same pixels and the same channels as each other.

Examples are balanced, so what a classifier says is shifted back to the base rate of the training
events: the maps are probabilities that a pixel slides, and their mean is an area.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import ClassVar, Final

import numpy as np

from headscarp.core.learning.calibration import shift_base_rate
from headscarp.core.normalisation import Normalisation
from headscarp.core.predictor import Quantity
from headscarp.core.types import Raster
from headscarp.errors import NotFound
from headscarp.ml.columns import Classifier, InSteps, Steps, fitted_on_columns
from headscarp.ml.formulas import Jessee, Newmark, Slope, SlopePga
from headscarp.ml.identity import settings_digest
from headscarp.ml.learner import Learner
from headscarp.ml.pixels import MOST_SLIDE_PIXELS, PixelFeatures, Sample, draw_sample, row_strips
from headscarp.ml.windows import Scene
from headscarp.tables.coseismic import PAPER_CHANNELS

REQUIRED: Final = ("slope", "pga")
"""Without these there is no answer, whatever the learner could make of the rest."""
PHYSICAL: Final = ("slope", "relief", "roughness", "pga")
"""More of these never makes a landslide less likely."""
BALANCED: Final = 0.5
THREADS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelLearner(ABC):
    """What all of them share: features, examples and the base rate."""

    name: str
    channels: tuple[str, ...] = PAPER_CHANNELS
    normalisation: Normalisation = "event"
    absolute: tuple[str, ...] = ()
    """Channels that are there in physical units beside their rank."""
    context_px: int = 0
    """Side of the window whose means and standard deviations are features too; 0 for none."""
    most: int = MOST_SLIDE_PIXELS
    """Slide pixels drawn from one scene."""
    seed: int = 0

    quantity: ClassVar[Quantity] = "coverage"
    threads: ClassVar[int] = 1
    """That score strips side by side."""

    @property
    def identity(self) -> str:
        return settings_digest(self)

    @property
    def features(self) -> PixelFeatures:
        """What it sees of a pixel."""
        return PixelFeatures(
            channels=self.channels,
            normalisation=self.normalisation,
            absolute=self.absolute,
            context_px=self.context_px,
        )

    def fit(self, scenes: Sequence[Scene]) -> PixelScorer:
        """Learn from balanced pixels of known ground; every scene counts the same.

        Raises:
            InvalidInput: no scene has pixels of both classes, or one lacks a channel.
        """
        sample = draw_sample(scenes, self.features, seed=self.seed, most=self.most)
        return PixelScorer(self.features, self.classifier(sample), sample.prevalence, self.threads)

    @abstractmethod
    def classifier(self, sample: Sample) -> Classifier:
        """Fit to the sample."""


@dataclass(frozen=True, slots=True)
class PixelScorer:
    """A fitted classifier on scenes."""

    features: PixelFeatures
    classifier: Classifier
    prevalence: float
    threads: int = 1

    def score(self, scene: Scene) -> Raster:
        """(y, x) probability that a pixel slides, at the training events' base rate; NaN where slope or PGA is.

        Raises:
            InvalidInput: the scene lacks a channel.
        """
        with ThreadPoolExecutor(self.threads) as pool:
            return np.concatenate(list(pool.map(partial(self._strip, scene), row_strips(scene))))

    def _strip(self, scene: Scene, rows: slice) -> Raster:
        planes = self.features.planes(scene, rows)
        needed = [self.features.names.index(name) for name in REQUIRED if name in self.features.names]
        answered = np.isfinite(planes[needed]).all(axis=0)
        out = np.full(answered.shape, np.nan, np.float32)
        if answered.any():
            balanced = self.classifier.predict_proba(planes[:, answered].T)[:, 1]
            out[answered] = shift_base_rate(balanced, trained_at=BALANCED, true_rate=self.prevalence)
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Logistic(PixelLearner):
    """Logistic regression with an L2 penalty on standardised features and one-hot classes."""

    name: str = "logistic"
    inverse_penalty: float = 1.0

    def classifier(self, sample: Sample) -> Classifier:
        from sklearn.linear_model import LogisticRegression

        return fitted_on_columns(self.features, LogisticRegression(C=self.inverse_penalty, max_iter=2_000), sample)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest(PixelLearner):
    """Random forest."""

    name: str = "forest"
    trees: int = 500
    least_leaf: int = 10
    threads: ClassVar[int] = THREADS

    def classifier(self, sample: Sample) -> Classifier:
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(
            self.trees, min_samples_leaf=self.least_leaf, n_jobs=THREADS, random_state=self.seed
        )
        fitted = fitted_on_columns(self.features, forest, sample)
        # Threads add up trees in any order, and sums of floats remember it: strips go side by side instead.
        forest.n_jobs = 1
        return fitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Perceptron(PixelLearner):
    """Two hidden layers; an L2 penalty and early stopping stand in for dropout, which scikit-learn has not.

    It stops by a tenth of the sampled pixels of the training events, drawn at random.
    """

    name: str = "ann"
    hidden: tuple[int, ...] = (64, 64)
    penalty: float = 1e-3
    epochs: int = 60
    patience: int = 5

    def classifier(self, sample: Sample) -> Classifier:
        from sklearn.neural_network import MLPClassifier

        network = MLPClassifier(
            self.hidden,
            alpha=self.penalty,
            batch_size=min(256, sample.slides.size),
            max_iter=self.epochs,
            early_stopping=True,
            n_iter_no_change=self.patience,
            random_state=self.seed,
        )
        return fitted_on_columns(self.features, network, sample)


@dataclass(frozen=True, slots=True, kw_only=True)
class Boosting(PixelLearner):
    """Boosted trees on histograms, which take missing values and classes as they are."""

    name: str = "boosting"
    increasing: tuple[str, ...] = ()
    """Channels in which the score never falls."""
    rounds: int = 200
    learning_rate: float = 0.05
    leaves: int = 15
    least_leaf: int = 100
    penalty: float = 1.0

    def classifier(self, sample: Sample) -> Classifier:
        from sklearn.ensemble import HistGradientBoostingClassifier

        names = np.array(self.features.names)
        is_code, rising = np.isin(names, self.features.codes), np.isin(names, self.increasing)
        steps = Steps.of(sample.examples, is_code)
        trees = HistGradientBoostingClassifier(
            max_iter=self.rounds,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=self.least_leaf,
            l2_regularization=self.penalty,
            monotonic_cst=rising[steps.kept].astype(int),
            categorical_features=is_code[steps.kept],
            early_stopping=False,
            random_state=self.seed,
        )
        return InSteps(steps, trees.fit(steps(sample.examples), sample.slides, sample_weight=sample.weight))


BASELINES: Final[Mapping[str, Learner]] = MappingProxyType(
    {
        learner.name: learner
        for learner in (
            Slope(),
            SlopePga(),
            Jessee(),
            Newmark(),
            Logistic(),
            Forest(),
            Perceptron(),
            Boosting(),
            Boosting(name="boosting_monotone", increasing=PHYSICAL),
            Boosting(name="boosting_context", context_px=9),
        )
    }
)
"""By name, in the order in which tables show them."""


def baseline(name: str, *, channels: Sequence[str] | None = None, seed: int | None = None) -> Learner:
    """The baseline called `name`; formulas read their own channels and have no seed.

    Args:
        name: Key of `BASELINES`.
        channels: What it shall read instead of the paper's channels.
        seed: Of the draw of pixels and of the fit.

    Raises:
        NotFound: there is no such baseline.
        InvalidInput: a channel is not in the table.
    """
    if name not in BASELINES:
        raise NotFound(f"baseline {name!r}: expected one of {', '.join(BASELINES)}")
    learner = BASELINES[name]
    if not isinstance(learner, PixelLearner):
        return learner
    wanted = learner.channels if channels is None else tuple(channels)
    chosen = replace(learner, channels=wanted, seed=learner.seed if seed is None else seed)
    PixelFeatures(channels=chosen.channels)
    return chosen
