"""Evaluate models on ground they have not seen; goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from headscarp import __version__
from headscarp.core.learning.split import BlockFolds
from headscarp.core.pci.table import Table
from headscarp.core.types import Attributes, Raster
from headscarp.io.store import open_store
from headscarp.pipeline.compare import MEAN, Pair, differences, leaks, mean_rows, references, value_of
from headscarp.pipeline.contenders import Contender
from headscarp.pipeline.folds import Fold, Split, Subject, block_plan, event_folds, make_folds
from headscarp.pipeline.heldout import Judged, calibrated, held_out
from headscarp.pipeline.judge import (
    ALL,
    Case,
    JudgeOptions,
    Profile,
    curves,
    honest_row,
    paper_row,
    scene_facts,
    unjudgeable,
)
from headscarp.pipeline.stages import Stages, Watcher
from headscarp.pipeline.subjects import JUDGED_BY, Workroom, WorldOptions, read_subjects
from headscarp.tables.coseismic import COSEISMIC

FORMAT = "headscarp-evaluation/1"
KEPT_FOLDS = Path("docs/results/folds")

Progress = Callable[[int, int], None]


LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch")
"""On which the figures may depend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """What to evaluate on, and how."""

    split: Split
    profiles: tuple[Profile, ...] = ("paper", "honest")
    folds: int = 3
    """Spatial folds of each event, for split `blocks`."""
    worlds: WorldOptions = field(default_factory=WorldOptions)
    calibrate: bool = False
    """Judge the cross-fitted calibrated twin of every model too."""
    judge: JudgeOptions = field(default_factory=JudgeOptions)
    kept_folds: Path = KEPT_FOLDS
    """Where committed fold files lie."""


def evaluate(
    contenders: Sequence[Contender],
    folders: Sequence[Path],
    options: EvaluateOptions,
    *,
    scratch: Path,
    table: Table = COSEISMIC,
    watcher: Watcher | None = None,
) -> Attributes:
    """Results as they lie in a file a split.

    `scratch` keeps worlds, cubes and every held-out map; a second run with it computes what is absent only.

    Raises:
        InvalidInput: the events do not suffice for the split, or cannot be read.
        HeadscarpError: a model failed; fold and model are named.
    """
    stages = Stages(watcher)
    channels = tuple(dict.fromkeys((*JUDGED_BY, *(name for c in contenders for name in c.learner.channels))))
    room = Workroom(scratch, open_store(scratch / "store"), table, channels)
    with stages.stage("scenes") as progress:
        subjects, ceilings = read_subjects(folders, options.worlds, room, progress=progress)
    plans = _plans(subjects, options)
    folds = make_folds(options.split, subjects, plans=plans)
    with stages.stage("models") as progress:
        models = held_out(contenders, folds, scratch / options.split, progress=progress)
    judging = {scene.name for fold in folds for scene in fold.test}
    judged = [subject for subject in subjects if subject.name in judging]
    if options.calibrate:
        models = (*models, *_twins(models, folds, judged, options.split))
    with stages.stage("judge") as progress:
        verdict = _judge(models, judged, options, progress)
    return _results(options, plans, folds, judged, ceilings, models, verdict)


def _plans(subjects: Sequence[Subject], options: EvaluateOptions) -> dict[str, BlockFolds]:
    """Spatial folds of every event that judges, where the split has them."""
    if options.split != "blocks":
        return {}
    events = [s for s in subjects if not s.world and not s.weak]
    return {s.name: block_plan(s, folds=options.folds, kept=options.kept_folds) for s in events}


def _twins(models: Sequence[Judged], folds: Sequence[Fold], judged: Sequence[Subject], split: Split) -> list[Judged]:
    """Calibrated twins; scenes that are held out together do not calibrate each other."""
    groups = {s.name: s.event.id for s in judged}
    if split == "events":
        groups = {name: fold.name for fold in event_folds(split, judged) for name in fold.test}
    return [calibrated(model, folds, groups) for model in models]


@dataclass(slots=True)
class _Verdict:
    """What judging found so far."""

    scores: list[Attributes] = field(default_factory=list)
    curves: list[Attributes] = field(default_factory=list)
    differences: list[Attributes] = field(default_factory=list)
    skipped: list[Attributes] = field(default_factory=list)
    """What was not judged, and why."""


def _judge(
    models: Sequence[Judged], judged: Sequence[Subject], options: EvaluateOptions, progress: Progress
) -> _Verdict:
    """Every model on every scene, then against each other."""
    verdict, steps = _Verdict(), 2 * len(judged)
    cases = [Case.of(subject.scene, options.judge) for subject in judged]
    for number, (subject, case) in enumerate(zip(judged, cases, strict=True)):
        for model in models:
            _judge_one(model, subject, case, options.profiles, verdict)
        progress(number + 1, steps)
    verdict.scores += mean_rows(verdict.scores, {s.name: s.scene.synthetic for s in judged}, options.judge)
    pairs = _pairs(models, verdict.scores)
    for number, (subject, case) in enumerate(zip(judged, cases, strict=True)):
        _pair_up(pairs, [m for m in models if not m.contender.has_seen(subject.event.id)], case)
        progress(len(judged) + number + 1, steps)
    verdict.differences += [row for names, found in pairs.items() for row in differences(*names, found, options.judge)]
    return verdict


def _judge_one(model: Judged, subject: Subject, case: Case, profiles: Sequence[Profile], verdict: _Verdict) -> None:
    """All rows and curves of one map; what cannot be judged is said."""
    where = {"model": model.name, "scene": subject.name}
    if model.contender.has_seen(subject.event.id):
        verdict.skipped.append(where | {"ground": ALL, "reason": "the model was trained on this event"})
        return
    scores = model.read(subject.name)
    reasons = {ground: unjudgeable(scores, case, ground) for ground in case.grounds}
    unjudged = {ALL: reasons[ALL]} if reasons[ALL] else {ground: why for ground, why in reasons.items() if why}
    verdict.skipped += [where | {"ground": ground, "reason": why} for ground, why in unjudged.items()]
    if reasons[ALL]:
        return
    if "honest" in profiles:
        for ground in (ground for ground, why in reasons.items() if not why):
            head = where | {"profile": "honest", "ground": ground}
            verdict.scores.append(head | honest_row(scores, case, ground, model.quantity))
    if "paper" in profiles:
        _judge_as_paper(scores, case, where, verdict)
    verdict.curves.append(where | curves(scores, case, model.quantity))


def _judge_as_paper(scores: Raster, case: Case, where: Attributes, verdict: _Verdict) -> None:
    """The row of the paper's protocol, or why there is none: no strong shaking, say."""
    try:
        verdict.scores.append(where | {"profile": "paper", "ground": ALL} | paper_row(scores, case))
    except ValueError as error:
        verdict.skipped.append(where | {"ground": "paper", "reason": str(error)})


def _pairs(models: Sequence[Judged], rows: Sequence[Attributes]) -> dict[tuple[str, str], list[Pair]]:
    """Every model with each reference, so far without scenes."""
    strength = {
        row["model"]: value
        for row in rows
        if (row["scene"], row["profile"], row["ground"]) == (MEAN, "honest", ALL)
        and (value := value_of(row.get("average_precision"))) is not None
    }
    against = references([m.name for m in models], [m.name for m in models if m.baseline], strength)
    return {(model.name, name): [] for name in against for model in models if model.name != name}


def _pair_up(pairs: Mapping[tuple[str, str], list[Pair]], models: Sequence[Judged], case: Case) -> None:
    """Add a scene to all pairs of these models."""
    by_name = {model.name: model for model in models}
    for (name, reference), found in pairs.items():
        if name in by_name and reference in by_name:
            first, second = (by_name[n].read(case.scene.name) for n in (name, reference))
            if pair := Pair.of(first, second, case):
                found.append(pair)


def _results(
    options: EvaluateOptions,
    plans: Mapping[str, BlockFolds],
    folds: Sequence[Fold],
    judged: Sequence[Subject],
    ceilings: Mapping[str, Attributes],
    models: Sequence[Judged],
    verdict: _Verdict,
) -> Attributes:
    results: Attributes = {
        "format": FORMAT,
        "split": options.split,
        "folds": [fold.to_json() for fold in folds],
        "blocks": {name: plan.to_json() for name, plan in plans.items()},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "headscarp": __version__,
        "versions": {name: version(name) for name in LIBRARIES},
        "scenes": [_scene_entry(subject, ceilings) for subject in judged],
        "models": [{"name": m.name, "identity": m.contender.learner.identity, "quantity": m.quantity} for m in models],
        "scores": verdict.scores,
        "differences": verdict.differences,
        "curves": verdict.curves,
        "skipped": verdict.skipped,
    }
    return results | {"leaks": leaks(results)}


def _scene_entry(subject: Subject, ceilings: Mapping[str, Attributes]) -> Attributes:
    """What was judged on; worlds with the best that any use of their maps could reach."""
    title = f"SYNTHETIC {subject.event.title}" if subject.scene.synthetic else subject.event.title
    return scene_facts(subject.scene) | {"title": title} | ceilings.get(subject.name, {})
