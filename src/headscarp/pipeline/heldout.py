"""Maps of ground that a model has not seen, kept one by one, so that a run that was killed goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from headscarp.core.learning.calibration import Calibration
from headscarp.core.predictor import Quantity
from headscarp.core.types import Raster
from headscarp.errors import HeadscarpError, InvalidInput
from headscarp.ml.calibrate import fit_calibration
from headscarp.ml.learner import Scorer
from headscarp.ml.windows import Scene
from headscarp.pipeline.contenders import Contender
from headscarp.pipeline.folds import Fold

CALIBRATED = "+calibrated"

Progress = Callable[[int, int], None]
Read = Callable[[str], Raster]
"""Name of a scene to its map (y, x), NaN where no fold judges and where there is no answer."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A model with the maps it is judged by."""

    name: str
    quantity: Quantity
    contender: Contender
    """Whose maps they are, or were before calibration."""
    read: Read

    @property
    def baseline(self) -> bool:
        """Whether others may be compared with it."""
        return self.contender.baseline and self.name == self.contender.name


def held_out(
    contenders: Sequence[Contender], folds: Sequence[Fold], root: Path, *, progress: Progress
) -> tuple[Judged, ...]:
    """Fit every model in every fold and keep what it says of the test ground; what is kept already stays.

    Raises:
        HeadscarpError: of the kind that a model raised, with fold and model named.
    """
    for number, (contender, fold) in enumerate((c, f) for c in contenders for f in folds):
        _compute(contender, fold, root)
        progress(number + 1, len(contenders) * len(folds))
    return tuple(_judged(contender, folds, root) for contender in contenders)


def _path(contender: Contender, fold: Fold, root: Path, scene: str) -> Path:
    return root / contender.folder / fold.folder / f"{scene}.npy"


def _compute(contender: Contender, fold: Fold, root: Path) -> None:
    """One model in one fold; where all of its maps exist nothing is fitted."""
    wanted = {_path(contender, fold, root, scene.name): scene for scene in fold.test}
    absent = {path: scene for path, scene in wanted.items() if not path.is_file()}
    if not absent:
        return
    try:
        scorer = contender.learner.fit(fold.training)
        for path, scene in absent.items():
            _keep(path, _test_map(scorer, scene, contender.quantity))
    except HeadscarpError as error:
        raise type(error)(f"fold {fold.name}, model {contender.name}: {error}") from error


def _test_map(scorer: Scorer, scene: Scene, quantity: Quantity) -> Raster:
    """What a model says of ground whose labels it is not shown."""
    scores = np.asarray(scorer.score(unlabelled(scene)), dtype=np.float32)
    if scores.shape != scene.label.shape:
        raise InvalidInput(f"scene {scene.name}: expected scores {scene.label.shape}, found {scores.shape}")
    judged = scene.known & np.isfinite(scores)
    if quantity == "coverage" and judged.any() and not 0 <= scores[judged].min() <= scores[judged].max() <= 1:
        raise InvalidInput(
            f"scene {scene.name}: expected coverages between 0 and 1, "
            f"found {scores[judged].min():g} to {scores[judged].max():g}"
        )
    return np.where(judged, scores, np.float32(np.nan))


def unlabelled(scene: Scene) -> Scene:
    """The scene as it was before anyone mapped it: known in the same places, and without landslides."""
    return replace(
        scene,
        label=np.where(scene.known, np.float32(0), np.float32(np.nan)),
        slides=np.zeros_like(scene.slides),
        coverage=None,
    )


def _keep(path: Path, values: Raster) -> None:
    """Write whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")  # processes that train together write the same map
    with part.open("wb") as file:
        np.save(file, values)
    part.replace(path)


def _judged(contender: Contender, folds: Sequence[Fold], root: Path) -> Judged:
    def read(scene: str) -> Raster:
        """The maps of all folds that judge a part of the scene, as one."""
        paths = [_path(contender, f, root, scene) for f in folds if scene in {s.name for s in f.test}]
        first, *others = (np.load(path) for path in paths)
        for other in others:
            np.copyto(first, other, where=np.isfinite(other))
        return np.asarray(first, dtype=np.float32)

    return Judged(contender.name, contender.quantity, contender, read)


@dataclass(frozen=True, slots=True)
class _Part:
    """Ground of one scene that one fold judges."""

    fold: str
    scene: Scene
    """With labels there and nowhere else."""


def calibrated(model: Judged, folds: Sequence[Fold], groups: Mapping[str, str]) -> Judged:
    """The model's twin whose maps are coverages, by curves fitted on held-out maps of other folds.

    Ground of which other folds hold more of the same event is calibrated on that; else on events of other
    groups and of the same kind (real or SYNTHETIC), at the level of the typical one (`ml.calibrate`). Where the
    model has no answer on any of these, its twin has none.

    Args:
        model: The model.
        folds: All that judge.
        groups: Name of the group of each scene: scenes of one place belong together.

    Raises:
        InvalidInput: a scene has nothing to be calibrated by.
    """
    parts = [_Part(fold.name, scene) for fold in folds for scene in fold.test]
    if alone := [p.scene.name for p in parts if not _calibrators(p, parts, groups)]:
        raise InvalidInput(f"--calibrate: expected scenes of two places or more, found none to calibrate {alone[0]} by")

    def read(name: str) -> Raster:
        scores = model.read(name)
        out = np.full_like(scores, np.nan)
        for part in (p for p in parts if p.scene.name == name):
            if curve := _curve(model, _calibrators(part, parts, groups)):
                ground = part.scene.known
                out[ground] = curve(scores[ground])
        return out

    return replace(model, name=f"{model.name}{CALIBRATED}", quantity="coverage", read=cache(read))


def _calibrators(part: _Part, parts: Sequence[_Part], groups: Mapping[str, str]) -> list[Scene]:
    """Ground that may calibrate another."""
    others = [p.scene for p in parts if p.fold != part.fold]
    same = [scene for scene in others if scene.name == part.scene.name]
    group, kind = groups[part.scene.name], part.scene.synthetic
    return same or [scene for scene in others if groups[scene.name] != group and scene.synthetic == kind]


def _curve(model: Judged, scenes: Sequence[Scene]) -> Calibration | None:
    """From score to coverage; None where the model has no answer on any of the scenes."""
    maps = [(model.read(scene.name), scene) for scene in scenes]
    answered = [(scores, scene) for scores, scene in maps if np.isfinite(scores[scene.known]).any()]
    if not answered:
        return None
    return fit_calibration(answered, events=[scene.name for _, scene in answered], level="typical")
