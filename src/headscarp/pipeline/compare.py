"""Models beside each other: paired differences, means over scenes, and who knows more than anyone can."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from headscarp.core.learning import bootstrap, metrics
from headscarp.core.learning.bootstrap import BlockCounts, Statistic, block_difference, count_blocks, event_interval
from headscarp.core.learning.tally import Tally, tally
from headscarp.core.types import Attributes, Raster
from headscarp.pipeline.judge import ALL, Case, JudgeOptions, Number, rounded

MEAN: Final = "mean"
STRONGEST: Final = "boosting"
TRIVIAL: Final = "slope"
ENOUGH_EVENTS: Final = 3
"""From so many on the events are resampled; with fewer the blocks within them are."""
STANDARD_ERRORS: Final = 3.0
"""Above the ceiling by more than these, a model knows what no map shows."""
COUNTS: Final = frozenset({"pixels", "not_judged", "slide_pixels", "positives", "negatives"})
"""What rows count; there is no mean of it."""
COMPARED: Final[Mapping[str, tuple[Callable[[Tally], float], Statistic]]] = {
    "auc": (metrics.auc, bootstrap.auc),
    "average_precision": (metrics.average_precision, bootstrap.average_precision),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models on the same pixels of one scene."""

    scene: str
    synthetic: bool
    first: BlockCounts
    second: BlockCounts
    differences: Mapping[str, float]
    """By metric, from all scores."""

    @classmethod
    def of(cls, first: Raster, second: Raster, case: Case) -> Pair | None:
        """Compare where both have a score; None where that leaves no landslides or nothing else."""
        slides, both = case.scene.slides, case.grounds[ALL] & np.isfinite(first) & np.isfinite(second)
        if not (slides[both].any() and (~slides[both]).any()):
            return None
        one, other = tally(first, slides, both), tally(second, slides, both)
        return cls(
            case.scene.name,
            case.scene.synthetic,
            count_blocks(first, slides, case.blocks, both),
            count_blocks(second, slides, case.blocks, both),
            {name: exact(one) - exact(other) for name, (exact, _) in COMPARED.items()},
        )


def references(models: Sequence[str], baselines: Sequence[str], strength: Mapping[str, float]) -> tuple[str, ...]:
    """What every model is compared with: boosting, or the strongest baseline there is, and slope.

    Args:
        models: All names.
        baselines: Those that others may be compared with.
        strength: Mean average precision by model; models that were judged nowhere are absent.
    """
    known = [name for name in baselines if name in strength]
    best = STRONGEST if STRONGEST in models else max(known, key=lambda name: strength[name], default=None)
    return tuple(dict.fromkeys(name for name in (best, TRIVIAL) if name in models and name is not None))


def differences(model: str, against: str, pairs: Sequence[Pair], options: JudgeOptions) -> list[Attributes]:
    """Rows of one model against another: by scene, and their mean where there are two scenes or more."""
    rows = []
    for metric, (_, statistic) in COMPARED.items():
        head = {"model": model, "against": against, "metric": metric}
        rows += [head | {"scene": p.scene} | _difference([p], metric, statistic, options) for p in pairs]
        if len(counted := of_one_kind(pairs)) > 1:
            rows.append(head | {"scene": MEAN} | _difference(counted, metric, statistic, options))
    return rows


def of_one_kind(pairs: Sequence[Pair]) -> list[Pair]:
    """Real events where there are any, else SYNTHETIC worlds: no mean is over both."""
    return [p for p in pairs if not p.synthetic] or list(pairs)


def _difference(pairs: Sequence[Pair], metric: str, statistic: Statistic, options: JudgeOptions) -> dict[str, Number]:
    found = [pair.differences[metric] for pair in pairs]
    if len(pairs) >= ENOUGH_EVENTS:
        interval = event_interval(found, draws=options.draws, seed=options.seed)
    elif sum(pair.first.blocks for pair in pairs) == len(pairs):
        return {"value": rounded(float(np.mean(found))), "low": None, "high": None}
    else:
        first, second = [p.first for p in pairs], [p.second for p in pairs]
        interval = block_difference(first, second, statistic, draws=options.draws, seed=options.seed)
    return {"value": rounded(float(np.mean(found))), "low": rounded(interval.low), "high": rounded(interval.high)}


def mean_rows(rows: Sequence[Attributes], synthetic: Mapping[str, bool], options: JudgeOptions) -> list[Attributes]:
    """Means over scenes for each model, profile and ground, with event intervals where there are enough scenes.

    A model that was not judged on every scene that others were judged on has no mean: it could not be
    compared. Counts of pixels have no mean, that of area ratios is geometric. `scenes` says how many there were.

    Args:
        rows: Of all models and scenes.
        synthetic: Whether each scene is; no mean is over both kinds.
        options: Of the resampling.
    """
    there: dict[tuple[str, str], dict[str, bool]] = {}
    groups: dict[tuple[str, str, str], list[Attributes]] = {}
    for row in rows:
        there.setdefault((row["profile"], row["ground"]), {})[row["scene"]] = synthetic[row["scene"]]
        groups.setdefault((row["model"], row["profile"], row["ground"]), []).append(row)
    found = []
    for key, own in groups.items():
        scenes = _one_kind(there[key[1:]])
        meant = [row for row in own if row["scene"] in scenes]
        if len(meant) == len(scenes):
            found.append(_mean_row(key, meant, options))
    return found


def _one_kind(scenes: Mapping[str, bool]) -> set[str]:
    """Names of the real scenes where there are any, else of all."""
    return {name for name, synthetic in scenes.items() if not synthetic} or set(scenes)


def _mean_row(key: tuple[str, str, str], rows: Sequence[Attributes], options: JudgeOptions) -> Attributes:
    model, profile, ground = key
    head = {"model": model, "scene": MEAN, "profile": profile, "ground": ground, "scenes": len(rows)}
    metrics_there = [name for name in rows[0] if name not in head and name not in COUNTS]
    values = {name: [v for row in rows if (v := value_of(row.get(name))) is not None] for name in metrics_there}
    return head | {name: _mean(name, found, options) for name, found in values.items() if found}


def _mean(metric: str, found: Sequence[float], options: JudgeOptions) -> Attributes:
    """Ratios of 1/4 and 4 are as wrong as each other, so their mean is 1."""
    ratio = metric == "area_ratio" and min(found) > 0
    values = np.log(found) if ratio else np.asarray(found)
    summary = {"value": float(values.mean()), "low": None, "high": None}
    if len(found) >= ENOUGH_EVENTS:
        interval = event_interval(values, draws=options.draws, seed=options.seed)
        summary |= {"low": interval.low, "high": interval.high}
    return {key: None if v is None else rounded(np.exp(v) if ratio else v) for key, v in summary.items()}


def value_of(metric: Attributes | Number) -> Number:
    """A metric with or without its interval, as a number."""
    return metric["value"] if isinstance(metric, dict) else metric


def leaks(results: Attributes) -> list[Attributes]:
    """Models that beat the observable ceiling of a world by more than three standard errors.

    The ceiling is what the best use of all maps reaches; whoever is above has seen the answer. That
    a list is empty does not prove that nothing leaked.
    """
    ceilings = {s["name"]: s for s in results["scenes"] if "ceiling_auc" in s}
    found = []
    for row in results["scores"]:
        if row["profile"] != "honest" or row["ground"] != ALL or row["scene"] not in ceilings:
            continue
        scene, auc = ceilings[row["scene"]], value_of(row["auc"])
        if auc is not None and auc > scene["ceiling_auc"] + STANDARD_ERRORS * scene["ceiling_se"]:
            kept = {name: scene[name] for name in ("ceiling_auc", "ceiling_se")}
            found.append({"model": row["model"], "scene": row["scene"], "auc": auc, **kept})
    return found
