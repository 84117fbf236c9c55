"""The network as a learner: it meets synthetic worlds first, where labels are plenty and exact, then real events.

A network learns from two or three events within a minute and then forgets how to generalise
(docs/decisions/0012): so it is taught the physics on worlds, stays among them while it sees real
ground, and the mean of several seeds is what is used. Nothing is chosen on any score.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from headscarp.core.manifest import Architecture, InputChannel, Manifest
from headscarp.core.normalisation import Normalisation
from headscarp.core.types import Attributes, Raster
from headscarp.ml.ensemble import Ensemble
from headscarp.ml.local import score_map
from headscarp.ml.network import Network, Scoring
from headscarp.ml.placement import Placement
from headscarp.ml.train import Curve, Training, TrainOptions, train
from headscarp.ml.windows import Scene, WindowOptions

Progress = Callable[[int, int], None]
"""Told steps done and steps in all."""
DRAWN = WindowOptions(real=0.5)
FINE = TrainOptions(steps=150, learning_rate=1e-3, windows=DRAWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All settings of a network that decide what it becomes."""

    inputs: tuple[InputChannel, ...]
    required: frozenset[str] = frozenset({"slope", "pga"})
    architecture: Architecture = field(default_factory=lambda: Architecture("C", 12))
    normalisation: Normalisation = "event"
    absolute: frozenset[str] = frozenset({"slope", "pga"})
    gate_px: int = 160
    """Side of the windows that the event's channel gate is the mean over: that of the training's."""
    pretraining: TrainOptions = field(default_factory=lambda: TrainOptions(steps=250, windows=DRAWN))
    """On worlds alone."""
    fine_tuning: TrainOptions = field(default_factory=lambda: FINE)
    """On all scenes, from where the pre-training ended."""
    seeds: tuple[int, ...] = (0, 1)
    """One member of the ensemble each."""

    def manifest(self, scenes: Sequence[Scene], *, name: str, version: str, table_digest: str) -> Manifest:
        """Of the bundle that these scenes make."""
        return Manifest(
            name=name,
            version=version,
            inputs=self.inputs,
            required=self.required,
            architecture=self.architecture,
            normalisation=self.normalisation,
            absolute=self.absolute if self.normalisation == "event" else frozenset(),
            members=len(self.seeds),
            gate_px=self.gate_px,
            table_digest=table_digest,
            trained_on=tuple(scene.name for scene in scenes),
            synthetic=any(scene.synthetic for scene in scenes),
        )

    def to_json(self) -> Attributes:
        """As plain data."""
        return asdict(self) | {"required": sorted(self.required), "absolute": sorted(self.absolute)}


@dataclass(frozen=True, slots=True)
class Trained:
    """Members, and how each came about."""

    manifest: Manifest
    network: Scoring
    curves: tuple[Curve, ...]
    """Of every phase of every member."""

    def score(self, scene: Scene) -> Raster:
        """(y, x) scores over a whole scene; NaN where a required channel is NaN."""
        stack = scene.read(self.manifest.channels)
        return score_map(self.network, self.manifest, stack, statistics=scene.statistics)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkLearner:
    """The multi-scale network (`ml.network`), trained as its recipe says; satisfies `Learner`."""

    recipe: Recipe
    name: str = "headscarp-network"
    version: str = "0"
    table_digest: str = ""
    placement: Placement = field(default_factory=Placement)
    scratch: Path | None = None
    """Keeps checkpoints, by what they are of: what was trained before is not trained again."""
    progress: Progress | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(channel.name for channel in self.recipe.inputs)

    @property
    def identity(self) -> str:
        """Digest of the recipe."""
        plain = {"class": type(self).__name__, "recipe": self.recipe.to_json()}
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

    def fit(self, scenes: Sequence[Scene]) -> Trained:
        """Train every member: on the worlds among the scenes, then, if there are others, on all of them.

        Raises:
            ValueError: there is no scene, or one lacks a channel.
        """
        if not scenes:
            raise ValueError("expected scenes to learn from, got none")
        own = [scene.selecting(self.channels) for scene in scenes]
        manifest = self.recipe.manifest(own, name=self.name, version=self.version, table_digest=self.table_digest)
        members = [self._member(number, manifest, own) for number in range(len(self.recipe.seeds))]
        networks = [network for network, _ in members]
        whole = networks[0] if len(networks) == 1 else Ensemble(networks)
        return Trained(manifest, whole.eval(), tuple(curve for _, curves in members for curve in curves))

    def _member(self, number: int, manifest: Manifest, scenes: Sequence[Scene]) -> tuple[Network, list[Curve]]:
        """One network, trained to the end."""
        network, curves = None, []
        phases = self._phases(scenes)
        before = number * sum(options.steps for options, _ in phases)
        total = len(self.recipe.seeds) * sum(options.steps for options, _ in phases)
        for phase, (options, ground) in enumerate(phases):
            seeded = replace(options, seed=1000 * phase + self.recipe.seeds[number])
            network, curve = self._trained(manifest, ground, seeded, network, before, total)
            before += options.steps
            curves.append(curve)
        assert network is not None  # noqa: S101 - there is a scene, so there is a phase
        return network, curves

    def _phases(self, scenes: Sequence[Scene]) -> list[tuple[TrainOptions, Sequence[Scene]]]:
        """What is learned in turn, without phases that have nothing to learn from."""
        worlds = [scene for scene in scenes if scene.synthetic]
        phases: list[tuple[TrainOptions, Sequence[Scene]]] = [(self.recipe.pretraining, worlds)] if worlds else []
        return phases if len(worlds) == len(scenes) else [*phases, (self.recipe.fine_tuning, scenes)]

    def _trained(
        self,
        manifest: Manifest,
        scenes: Sequence[Scene],
        options: TrainOptions,
        start: Network | None,
        before: int,
        total: int,
    ) -> tuple[Network, Curve]:
        """One phase, from its checkpoint if it has one."""
        checkpoint = None
        if self.scratch is not None:
            checkpoint = self.scratch / Training(manifest, scenes, options, start=start).identity[:16]

        def told(step: int, _: int, __: float) -> None:
            if self.progress is not None:
                self.progress(before + step, total)

        return train(
            manifest,
            scenes,
            options=options,
            start=start,
            placement=self.placement,
            checkpoint=checkpoint,
            progress=told,
        )
