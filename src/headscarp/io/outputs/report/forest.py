"""Forest plot of paired differences: whether a model is better than the one it must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headscarp.io.outputs.report.results import MEAN, Difference, Results
from headscarp.io.outputs.report.style import (
    FAINT,
    INK,
    Chart,
    Look,
    chart,
    drawing,
    interval,
    looks,
    rows_axes,
    shortened,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 24
"""With more rows than this only means over scenes are drawn."""
METRICS = {"auc": "AUC", "average_precision": "average precision"}


def forest_chart(results: Results, against: str, name: str) -> Chart | None:
    """Differences against one model: a row for each model and scene, a panel for each metric."""
    found = [d for d in results.differences if d.against == against and d.metric in METRICS and d.value is not None]
    rows = _rows(results, found)
    if not rows:
        return None
    left_out = any((d.model, d.scene) not in rows for d in found)
    found = [d for d in found if (d.model, d.scene) in rows]
    metrics = [m for m in METRICS if any(d.metric == m for d in found)]
    seen = looks([m.name for m in results.models])
    with drawing(3.6 + 3.3 * len(metrics), 0.8 + 0.22 * len(rows)) as figure:
        panels = figure.subplots(1, len(metrics), squeeze=False)[0]
        for number, (axes, metric) in enumerate(zip(panels, metrics, strict=True)):
            rows_axes(axes, [_label(results, row) for row in rows], named=number == 0)
            axes.set_title(f"difference in {METRICS[metric]}")
            axes.axvline(0, color=INK, linewidth=0.9)
            for place, (model, scene) in enumerate(rows):
                _row(axes, place, _find(found, model, scene, metric), seen[model])
            axes.locator_params(axis="x", nbins=5)
            left, right = axes.get_xlim()
            axes.set_xlim(left, right + 0.3 * (right - left))
            axes.set_xlabel("left of the line worse, right better")
        title = f"Paired differences against {against}"
        return chart(
            figure,
            name,
            title,
            _caption(found, against) + (" Means only; a table has every event." if left_out else ""),
            _words(results, found),
        )


def _rows(results: Results, found: Sequence[Difference]) -> list[tuple[str, str]]:
    """(model, scene), models by rank, the mean last."""
    models, scenes = results.ranked_models(twins=False), [*(s.name for s in results.scenes), MEAN]
    present = {(d.model, d.scene) for d in found}
    rows = [(m, s) for m in models for s in scenes if (m, s) in present]
    return rows if len(rows) <= MOST_ROWS else [(m, s) for m, s in rows if s == MEAN] or rows


def _label(results: Results, row: tuple[str, str]) -> str:
    return f"{shortened(row[0], 24)}: {shortened(results.short(row[1]), 36)}"


def _find(found: Sequence[Difference], model: str, scene: str, metric: str) -> Difference | None:
    return next((d for d in found if (d.model, d.scene, d.metric) == (model, scene, metric)), None)


def _row(axes: Axes, place: int, difference: Difference | None, look: Look) -> None:
    if difference is None or difference.value is None:
        axes.annotate("not judged", (0, place), xytext=(5, 0), textcoords="offset points", va="center", fontsize=7,
                      color=FAINT)  # fmt: skip
        return
    interval(axes, place, difference.value, difference.low, difference.high, look)
    right = max(v for v in (difference.value, difference.high) if v is not None)
    words = f"{difference.value:+.3f} {difference.verdict}"
    axes.annotate(words, (right, place), xytext=(5, 0), textcoords="offset points", va="center", fontsize=7)


def _caption(found: Sequence[Difference], against: str) -> str:
    """How many are decided, in words."""
    count = {verdict: sum(d.verdict == verdict for d in found) for verdict in ("better", "worse", "undecided")}
    return (
        f"Each model less {against} on the same resampled ground, with intervals; right of zero is better. Of "
        f"{len(found)}: {count['better']} better, {count['worse']} worse, {count['undecided']} undecided, because "
        "their interval holds zero."
    )


def _words(results: Results, found: Sequence[Difference]) -> str:
    """Every difference."""
    return " ".join(
        f"{d.model}, {results.label(d.scene)}, {METRICS[d.metric]}: {d.value:+.3f}, {d.verdict}." for d in found
    )
