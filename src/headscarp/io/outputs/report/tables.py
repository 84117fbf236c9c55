"""Tables of the report: every number as the results have it, in words where there is none."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headscarp.io.outputs.report.results import ALL_GROUND, MEAN, Difference, Estimate, Results
from headscarp.io.outputs.report.results import NOT_JUDGED as NOTHING

NOT_JUDGED = "not judged"
GROUNDS = {"slope-matched": "others are as steep as the landslides", "paper": "the paper's protocol"}
PAPER_METRICS = ("auc", "f1", "precision", "recall", "accuracy", "kappa")


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of a table, as text."""

    text: str
    interval: str = ""
    best: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A model, or a model on a scene."""

    heads: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """What the page prints."""

    title: str
    note: str
    heads: tuple[tuple[str, str], ...]
    """Name of each column, and a line beneath it."""
    rows: tuple[Row, ...]


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many decimals, or that there is none."""
    return NOT_JUDGED if value is None else f"{value:.{digits}f}"


def percent(share: float | None) -> str:
    """A share in percent with two significant digits at least."""
    if share is None:
        return NOT_JUDGED
    return f"{100 * share:.2f} %" if share < 0.1 else f"{100 * share:.1f} %"


def cell(found: Estimate, digits: int = 3, *, best: bool = False, over: float | None = None) -> Cell:
    """A number with its interval, and over how many events it is a mean."""
    between = ""
    if found.low is not None and found.high is not None:
        between = f"{found.low:.{digits}f} to {found.high:.{digits}f}"
    if over is not None and found.value is not None:
        between = f"{between} over {over:.0f}".strip()
    return Cell(number(found.value, digits), between, best)


OF_COVERAGES = frozenset({"area_ratio", "brier", "brier_skill", "log_loss", "ece"})
"""What a calibration changes; the order of pixels it leaves alone."""


def auc_table(results: Results, ground: str = ALL_GROUND) -> Table:
    """AUC of models by scene; with the ceiling of worlds in the head."""
    beneath = {
        s.name: "" if s.ceiling_auc is None else f"ceiling {s.ceiling_auc:.3f} \u00b1 {s.ceiling_se or 0:.3f}"
        for s in results.scenes
    }
    title = "AUC" if ground == ALL_GROUND else f"AUC where {ground_words(ground)}"
    note = "Chance that a landslide pixel outranks another one, over every judged pixel; 0.5 is chance."
    return _by_scene(results, "auc", title, note, beneath, ground=ground)


def precision_table(results: Results) -> Table:
    """Average precision beside the prevalence, which a map without skill reaches."""
    beneath = {s.name: f"prevalence {percent(s.prevalence)}" for s in results.scenes}
    note = "Over every judged pixel. A map without skill reaches the prevalence, so compare within a column only."
    return _by_scene(results, "average_precision", "Average precision", note, beneath)


def area_table(results: Results) -> Table:
    """Predicted over observed landslide area, for models that predict one."""
    note = "Predicted over observed landslide area; 1 is right, above 1 is too much. Scores without a unit have none."
    beneath = {s.name: f"a landslide pixel counts as {s.filled:.2f}" for s in results.scenes if s.filled < 1}
    return _by_scene(results, "area_ratio", "Area ratio", note, beneath, digits=2, distance=_from_one)


def other_grounds(results: Results) -> tuple[Table, ...]:
    """AUC on each part of the ground that was judged apart."""
    grounds = dict.fromkeys(row.ground for row in results.scores if row.profile == "honest")
    return tuple(auc_table(results, ground) for ground in grounds if ground != ALL_GROUND)


def ground_words(ground: str) -> str:
    """A part of the ground in words."""
    name, sign, value = ground.partition(">=")
    if not sign:
        return GROUNDS.get(ground, ground)
    units = {"pga": ("PGA", "g"), "slope": ("the slope", "degrees")}
    words, unit = units.get(name, (name, ""))
    return f"{words} is {value} {unit} or more".rstrip()


def paper_table(results: Results) -> Table | None:
    """The paper's balanced scores, never without those over every pixel beside them."""
    judged = {(row.scene, row.model) for row in results.scores if row.profile == "paper"}
    if not judged:
        return None
    heads = (("AUC", "all pixels"), ("average precision", "all pixels"), *((m, "balanced") for m in _PAPER_HEADS))
    rows = [
        _paper_row(results, scene.name, model)
        for scene in results.scenes
        for model in results.ranked_models(twins=False)
        if (scene.name, model) in judged
    ]
    note = (
        "Balanced: landslide pixels and as many others with PGA above 0.12 g. That flatters where landslides are rare; "
        "read it beside the first two columns."
    )
    return Table("The paper's protocol", note, (("event", ""), ("model", ""), *heads), tuple(rows))


def difference_tables(results: Results) -> tuple[Table, ...]:
    """Every paired difference, a table for each model compared with and each metric."""
    pairs = dict.fromkeys((d.against, d.metric) for d in results.differences)
    return tuple(_differences(results, against, metric) for against, metric in pairs)


def _differences(results: Results, against: str, metric: str) -> Table:
    found = {(d.model, d.scene): d for d in results.differences if (d.against, d.metric) == (against, metric)}
    scenes = [s for s in (MEAN, *(s.name for s in results.scenes)) if any(scene == s for _, scene in found)]
    models = [m for m in results.ranked_models(twins=metric in OF_COVERAGES) if any(model == m for model, _ in found)]
    rows = [Row((m,), tuple(_difference(found.get((m, s))) for s in scenes)) for m in models]
    note = f"Each model less {against}, with the interval over resampled ground; undecided where that holds zero."
    heads = (("model", ""), *((results.short(s), "") for s in scenes))
    return Table(f"Differences from {against}: {metric.replace('_', ' ')}", note, heads, tuple(rows))


def _difference(found: Difference | None) -> Cell:
    if found is None or found.value is None:
        return Cell(NOT_JUDGED)
    whole = found.low is not None and found.high is not None
    return Cell(f"{found.value:+.3f} {found.verdict}", f"{found.low:+.3f} to {found.high:+.3f}" if whole else "")


def reliability_table(results: Results) -> Table | None:
    """Every bin of the reliability chart with its count of cells."""
    coverage = {m.name for m in results.models if m.quantity == "coverage"}
    rows = [
        Row(
            (results.short(scene.name), curve.model),
            (
                Cell(percent(one.predicted)),
                Cell(percent(one.observed)),
                Cell(number(one.observed / one.predicted if one.predicted else None, 2)),
                Cell(f"{one.cells:,}"),
            ),
        )
        for scene in results.scenes
        for curve in results.curves_of(scene.name)
        if curve.model in coverage
        for one in curve.reliability
    ]
    columns = ("event", "model", "predicted", "observed", "observed / predicted", "cells")
    note = "Mean coverage of the cells of each bin. Calibrated is 0.67 to 1.5 where more than 2 % is predicted."
    return Table("Reliability by bin", note, tuple((c, "") for c in columns), tuple(rows)) if rows else None


def gaps(results: Results) -> tuple[str, ...]:
    """What was not judged: whole scenes or grounds with the reason, and pixels that a model gave no score."""
    skipped = [
        f"{s.model} on {results.label(s.scene)}"
        f"{'' if s.ground == ALL_GROUND else f' ({ground_words(s.ground)})'}: {s.reason}."
        for s in results.skipped
    ]
    pixels = [
        f"{row.model} gave {number_left:,.0f} pixels of {results.label(row.scene)} no score."
        for row in results.scores
        if (row.profile, row.ground) == ("honest", ALL_GROUND)
        and (number_left := row.metrics.get("not_judged", NOTHING).value)
    ]
    return (*skipped, *pixels)


_PAPER_HEADS = ("AUC", "F1", "precision", "recall", "accuracy", "kappa")


def _paper_row(results: Results, scene: str, model: str) -> Row:
    honest = [cell(results.estimate(metric, model, scene)) for metric in ("auc", "average_precision")]
    paper = [cell(results.estimate(metric, model, scene, profile="paper")) for metric in PAPER_METRICS]
    return Row((results.label(scene), model), (*honest, *paper))


def _by_scene(
    results: Results,
    metric: str,
    title: str,
    note: str,
    beneath: dict[str, str],
    *,
    ground: str = ALL_GROUND,
    digits: int = 3,
    distance: Callable[[float], float] | None = None,
) -> Table:
    """Models by scenes, the best of each column marked; `distance` says how far a value is from the best one."""
    models = results.ranked_models(twins=metric in OF_COVERAGES)
    scenes = [s.name for s in results.scenes]
    if any(row.scene == MEAN and metric in row.metrics and row.ground == ground for row in results.scores):
        scenes.insert(0, MEAN)
    found = {(m, s): results.estimate(metric, m, s, ground=ground) for m in models for s in scenes}
    best = {s: _best([found[m, s].value for m in models], distance or _below_all, digits) for s in scenes}
    over = {m: results.estimate("scenes", m, MEAN, ground=ground).value for m in models}
    rows = [
        Row(
            (m,),
            tuple(
                cell(
                    found[m, s], digits, best=number(found[m, s].value, digits) == best[s],
                    over=over[m] if s == MEAN else None,
                )
                for s in scenes
            ),
        )
        for m in models
    ]  # fmt: skip
    heads = (("model", ""), *((results.short(s), beneath.get(s, "")) for s in scenes))
    return Table(title, note, heads, tuple(rows))


def _best(values: Sequence[float | None], distance: Callable[[float], float], digits: int) -> str | None:
    """The best value as it is printed, so that equal prints are equally best; None if there is no choice."""
    judged = [value for value in values if value is not None]
    return number(min(judged, key=distance), digits) if len(judged) > 1 else None


def _below_all(value: float) -> float:
    return -value


def _from_one(ratio: float) -> float:
    return abs(math.log(ratio)) if ratio > 0 else math.inf
