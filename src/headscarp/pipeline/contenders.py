"""Who is evaluated: baselines, the network trained again, and released bundles as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headscarp.core.pci.table import Table
from headscarp.core.predictor import Predictor, Quantity
from headscarp.core.sample import gate_sample
from headscarp.core.tiling import YX, read_padded
from headscarp.core.types import Raster
from headscarp.errors import InvalidInput, MissingChannel, NotFound
from headscarp.ml.learner import Learner
from headscarp.ml.windows import Scene
from headscarp.pipeline.dataset import model_inputs
from headscarp.pipeline.folds import Split
from headscarp.pipeline.models import open_predictor
from headscarp.tables.coseismic import PAPER_CHANNELS

NETWORK = "headscarp-network"


@dataclass(frozen=True, slots=True)
class Contender:
    """A learner and its place in the comparison."""

    learner: Learner
    quantity: Quantity = "score"
    baseline: bool = False
    """Others may be compared with it."""
    trained_on: tuple[str, ...] = ()
    """Ids of events, or names of parts of them, that a released model has seen."""

    @property
    def name(self) -> str:
        return self.learner.name

    @property
    def folder(self) -> str:
        """Name of the folder that keeps its maps."""
        return f"{self.name}-{self.learner.identity[:12]}"

    def has_seen(self, event: str) -> bool:
        """Whether a released model was trained on this event or on a part of it."""
        return any(seen == event or seen.startswith(f"{event}-") for seen in self.trained_on)


@dataclass(frozen=True, slots=True)
class Released:
    """A model that is made already, as a learner that learns nothing; its own scorer."""

    predictor: Predictor
    identity: str

    @property
    def name(self) -> str:
        return self.predictor.name

    @property
    def channels(self) -> tuple[str, ...]:
        return self.predictor.channels

    def fit(self, scenes: Sequence[Scene]) -> Released:
        return self

    def score(self, scene: Scene) -> Raster:
        """(y, x) of the predictor's quantity, window by window as its plan says.

        Raises:
            MissingChannel: the scene has no value at all of a channel it cannot do without.
        """
        stack = scene.read(self.channels)
        absent = [n for n in sorted(self.predictor.required) if not np.isfinite(stack[self.channels.index(n)]).any()]
        if absent:
            raise MissingChannel(f"scene {scene.name}: {self.name} expected {', '.join(absent)}, found no value")
        predictor, plan = self.predictor.bound_to(scene.statistics.only(self.predictor.ranked)), self.predictor.plan
        if predictor.gate_px:
            predictor = predictor.gated(gate_sample(stack, self.channels, predictor.required, predictor.gate_px))
        if plan is None:
            return predictor.predict(stack)
        shape = YX(*scene.label.shape)
        out = np.full(shape, np.nan, dtype=np.float32)
        for core in plan.cores(shape):
            seen, inside = core.padded(plan.margin), core.clipped(shape)
            out[inside.slices] = predictor.predict(read_padded(stack, seen))[inside.within(seen)]
        return out


def open_contenders(
    names: Sequence[str], split: Split, *, table: Table, model_store: Path, scratch: Path
) -> tuple[Contender, ...]:
    """The models of these names; the network keeps its checkpoints in `scratch`.

    Raises:
        NotFound: neither a baseline nor a released model.
        InvalidInput: a name twice, or a released model where models are trained, which may have seen the test ground.
    """
    if not names or len(set(names)) != len(names):
        raise InvalidInput(f"expected some models, each once, found {', '.join(names) or 'none'}")
    return tuple(_open(name, split, table, model_store, scratch) for name in names)


def _open(name: str, split: Split, table: Table, model_store: Path, scratch: Path) -> Contender:
    from headscarp.ml.baselines import BASELINES, baseline

    if name in BASELINES:
        return _contender(baseline(name), baseline=True)
    if name == NETWORK and split != "released":
        return _contender(_network(table, scratch), baseline=False)
    try:
        predictor = open_predictor(name, table=table, model_store=model_store)
    except NotFound as error:
        raise NotFound(f"{error}, {NETWORK}, or a baseline of {', '.join(BASELINES)}") from error
    if split != "released":
        raise InvalidInput(
            f"model {name}: expected split released for a model that is not trained again, found {split}"
        )
    return released(predictor)


def _network(table: Table, scratch: Path) -> Learner:
    """The network on the paper's channels, trained again in every fold."""
    from headscarp.ml.regressor import NetworkLearner, Recipe

    recipe = Recipe(inputs=model_inputs(table, PAPER_CHANNELS))
    return NetworkLearner(recipe=recipe, table_digest=table.digest, scratch=scratch / "network")


def _contender(learner: Learner, *, baseline: bool) -> Contender:
    return Contender(learner, getattr(learner, "quantity", "score"), baseline)


def released(predictor: Predictor) -> Contender:
    """A predictor as a contender; bundles know what they were trained on."""
    manifest = getattr(predictor, "manifest", None)
    weights, seen = (manifest.weights_sha256, manifest.trained_on) if manifest else ("", ())
    identity = hashlib.sha256(f"{predictor.name} {predictor.version} {weights}".encode()).hexdigest()
    learner = Released(predictor, identity)
    return Contender(learner, predictor.quantity, trained_on=tuple(seen))
