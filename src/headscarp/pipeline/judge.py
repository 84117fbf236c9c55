"""Judge one map of one scene: the honest profile on five grounds, the paper's protocol beside it, and curves.

All of it is a function of maps; who made them is not asked. Pixels without a score are not judged,
and every row says how many there were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from headscarp.core.grid import PIXEL_M
from headscarp.core.learning import bootstrap
from headscarp.core.learning.bodies import bodies_of, hit_rates
from headscarp.core.learning.bootstrap import BlockCounts, Statistic, block_interval, count_blocks
from headscarp.core.learning.calibration import aggregate
from headscarp.core.learning.confusion import paper_scores
from headscarp.core.learning.metrics import coverage_scores, plain, ranking_scores, reliability, success_rate
from headscarp.core.learning.sampling import matched_sample
from headscarp.core.learning.tally import Tally, tally
from headscarp.core.predictor import Quantity
from headscarp.core.types import Attributes, Mask, Raster
from headscarp.ml.windows import Scene

Profile: TypeAlias = Literal["honest", "paper"]
ALL: Final = "all"
MATCHED: Final = "slope-matched"
BLOCK_PX: Final = 100
"""Side of the blocks that are resampled."""
EFFORT: Final = 0.10
"""Share of the ground, highest scores first, within which landslides count as hit."""
CURVE_POINTS: Final = 101
DIGITS: Final = 6

Number: TypeAlias = float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeOptions:
    """How sure one wants to be, and of what draw."""

    draws: int = 1000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """The ground of one scene, prepared once for all models."""

    scene: Scene
    grounds: Mapping[str, Mask]
    """(y, x) of each ground that there is; the matched one is a balanced sample."""
    blocks: NDArray[np.int32]
    """(y, x) number of the block that is resampled."""
    bodies: NDArray[np.int32]
    """(y, x) number of the landslide."""
    options: JudgeOptions = field(default_factory=JudgeOptions)

    @classmethod
    def of(cls, scene: Scene, options: JudgeOptions) -> Case:
        """Prepare a scene that has slope and PGA; ground where one is unknown meets no threshold of it."""
        slope, pga = scene.read(("slope", "pga"))
        known, height, width = scene.known, *scene.label.shape
        grounds = {
            ALL: known,
            "pga>=0.05": known & (pga >= 0.05),
            "pga>=0.12": known & (pga >= 0.12),
            "slope>=5": known & (slope >= 5),
            MATCHED: _matched(slope, scene.slides, known, options.seed),
        }
        rows, columns = np.arange(height) // BLOCK_PX, np.arange(width) // BLOCK_PX
        blocks = (rows[:, None] * (columns[-1] + 1) + columns).astype(np.int32)
        return cls(scene, grounds, blocks, bodies_of(scene.slides & known), options)


def _matched(slope: Raster, slides: Mask, known: Mask, seed: int) -> Mask:
    """Slide pixels and others as steep as they; nothing where no such pairs are."""
    out = np.zeros(known.shape, dtype=bool)
    if _both_classes(slides, known & np.isfinite(slope)):
        out.flat[np.concatenate(matched_sample(slope, slides, known, seed=seed))] = True
    return out


def _both_classes(slides: Mask, ground: Mask) -> bool:
    return bool((slides & ground).any() and (~slides & ground).any())


def scene_facts(scene: Scene) -> Attributes:
    """What was judged on: known pixels, and how many of these are landslides."""
    pixels, slides = int(scene.known.sum()), int((scene.slides & scene.known).sum())
    return {
        "name": scene.name,
        "synthetic": scene.synthetic,
        "pixels": pixels,
        "slide_pixels": slides,
        "filled": scene.filled,
        "prevalence": round(slides / pixels, DIGITS),
    }


def unjudgeable(scores: Raster, case: Case, ground: str) -> str | None:
    """Why a map cannot be judged on this ground, or None."""
    slides, known = case.scene.slides, case.grounds[ground]
    if not _both_classes(slides, known):
        return "the ground has not both landslides and other pixels"
    scored = known & np.isfinite(scores)
    if not scored.any():
        return "the map has no score on this ground"
    return None if _both_classes(slides, scored) else "what the map scores has not both landslides and other pixels"


def honest_row(scores: Raster, case: Case, ground: str, quantity: Quantity) -> Attributes:
    """All metrics of a map on one ground, which must be judgeable.

    Beside the scores of the balanced sample stands the prevalence of all known pixels.
    """
    known = case.grounds[ground]
    scored, slides = known & np.isfinite(scores), case.scene.slides
    counted, counts = tally(scores, slides, scored), count_blocks(scores, slides, case.blocks, scored)
    ranking = ranking_scores(counted)
    of = case.grounds[ALL] if ground == MATCHED else known
    row = {
        "pixels": ranking.pixels,
        "not_judged": int(known.sum()) - ranking.pixels,
        "slide_pixels": int((slides & scored).sum()),
        "prevalence": rounded(float(slides[of].mean())),
        "auc": with_interval(ranking.auc, counts, bootstrap.auc, case.options),
        "average_precision": with_interval(
            ranking.average_precision, counts, bootstrap.average_precision, case.options
        ),
        "ap_skill": rounded(ranking.average_precision_skill),
        **{f"success_{round(100 * share)}": rounded(rate) for share, rate in ranking.success},
    }
    if quantity == "coverage" and ground != MATCHED:
        row |= _coverage(scores, case, scored)
    if quantity == "coverage" and ground == ALL:
        row["brier_skill_250m"] = _cell_skill(scores, case)
    return row


def _coverage(scores: Raster, case: Case, scored: Mask) -> Attributes:
    """What concerns the areas: a landslide pixel counts as much as is landslide of it."""
    areas, options = case.scene.slides * case.scene.filled, case.options
    found, counts = coverage_scores(tally(scores, areas, scored)), count_blocks(scores, areas, case.blocks, scored)
    return {
        "brier": with_interval(found.brier, counts, bootstrap.brier, options),
        "brier_skill": rounded(found.brier_skill),
        "log_loss": rounded(found.log_loss),
        "ece": rounded(found.calibration_error),
        "area_ratio": with_interval(found.area_ratio, counts, bootstrap.area_ratio, options),
    }


def _cells(scores: Raster, case: Case) -> Tally:
    cells = aggregate(scores, case.scene.slides, case.scene.known)
    return tally(cells.score, cells.coverage * case.scene.filled)


def _cell_skill(scores: Raster, case: Case) -> Number:
    """Brier skill of the coverage of cells of 250 m over that of their mean; None on ground without a whole cell."""
    cells = _cells(scores, case)
    return rounded(coverage_scores(cells).brier_skill) if cells.pixels else None


def paper_row(scores: Raster, case: Case) -> Attributes:
    """The paper's numbers, and the prevalence of all known pixels, at which maps are used.

    Raises:
        ValueError: there is no pixel of one class to draw.
    """
    scene = case.scene
    coverage = scene.slides if scene.coverage is None else scene.coverage
    known = scene.known & np.isfinite(scores)
    found = paper_scores(scores, coverage, scene.read(("pga",))[0], known, seed=case.options.seed).to_json()
    return {
        "not_judged": int(scene.known.sum() - known.sum()),
        "prevalence": rounded(float(scene.slides[scene.known].mean())),
        **{name: rounded(value) if isinstance(value, float) else value for name, value in found.items()},
    }


def curves(scores: Raster, case: Case, quantity: Quantity) -> Attributes:
    """What is drawn of a map that is judgeable on all of its ground."""
    counted = tally(scores, case.scene.slides, case.scene.known)
    shares = np.linspace(0.0, 1.0, CURVE_POINTS)
    found = hit_rates(np.where(case.scene.known, scores, np.nan), case.bodies, threshold=counted.threshold(EFFORT))
    pixel_m2 = int(PIXEL_M**2)
    return {
        "success_rate": _points(shares, success_rate(counted, shares.tolist())),
        "roc": _points(shares, _true_positives(counted, shares)),
        "reliability": list(_reliability(_cells(scores, case))) if quantity == "coverage" else [],
        "hit_rate": [
            {
                "from_m2": rate.smallest_px * pixel_m2,
                "to_m2": None if rate.largest_px is None else (rate.largest_px + 1) * pixel_m2,
                "bodies": rate.bodies,
                "rate": rounded(rate.rate),
            }
            for rate in found
        ],
    }


def _true_positives(counted: Tally, false_positives: NDArray[np.float64]) -> NDArray[np.float64]:
    """True positive rate at these false positive rates."""
    fpr = np.append(0.0, np.cumsum(counted.other[::-1])) / counted.other.sum()
    tpr = np.append(0.0, np.cumsum(counted.slides[::-1])) / counted.slide_total
    return np.interp(false_positives, fpr, tpr)


def _reliability(cells: Tally) -> Iterator[Attributes]:
    for part in reliability(cells) if cells.pixels else ():
        predicted, observed = rounded(part.predicted), rounded(part.observed)
        yield {"predicted": predicted, "observed": observed, "cells": round(part.share * cells.pixels)}


def _points(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[list[float]]:
    return [[round(float(a), 4), round(float(b), 4)] for a, b in zip(x, y, strict=True)]


def with_interval(value: float, counts: BlockCounts, statistic: Statistic, options: JudgeOptions) -> Attributes:
    """The value from all scores, and where resampled blocks put it; one block alone says nothing."""
    if counts.blocks < 2:
        return {"value": rounded(value), "low": None, "high": None}
    found = block_interval([counts], statistic, draws=options.draws, seed=options.seed)
    return {"value": rounded(value), "low": rounded(found.low), "high": rounded(found.high)}


def rounded(value: float) -> Number:
    """As it is written: six digits, None for what is no number."""
    (found,) = plain({"": float(value)}).values()
    return None if found is None else round(found, DIGITS)
