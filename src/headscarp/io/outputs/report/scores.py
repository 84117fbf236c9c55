"""Charts of scores: AUC by model and event, overall accuracy at the paper's protocol, worlds below their ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headscarp.io.outputs.report.results import Estimate, Profile, Results, SceneFacts
from headscarp.io.outputs.report.style import (
    BAND,
    FAINT,
    INK,
    Chart,
    Look,
    chart,
    drawing,
    interval,
    legend,
    looks,
    rows_axes,
    shortened,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACROSS = 4
"""Panels side by side."""
MOST_PANELS = 12
"""More worlds than this are drawn against their ceilings only."""
CHANCE = 0.5
STANDARD_ERRORS = 3
PAPER_PANELS: tuple[tuple[str, str, Profile], ...] = (
    ("AUC, all pixels", "auc", "honest"),
    ("AUC, balanced", "auc", "paper"),
    ("Accuracy, balanced", "accuracy", "paper"),
    ("F1, balanced", "f1", "paper"),
    ("Kappa, balanced", "kappa", "paper"),
)
"""The paper's Figure 5 (a), beside what the same maps reach on every pixel."""


def auc_chart(results: Results, name: str) -> Chart | None:
    """The paper's Figure 6 for these results: AUC on all pixels by model and scene, with intervals."""
    models = results.ranked_models(twins=False)
    scenes = [s for s in results.scenes if any(results.estimate("auc", m, s.name).value is not None for m in models)]
    if not scenes or (len(scenes) > MOST_PANELS and any(s.ceiling_auc is not None for s in scenes)):
        return None
    seen = looks([m.name for m in results.models])
    rows, columns = -(-len(scenes) // ACROSS), min(len(scenes), ACROSS)
    with drawing(2.2 + 2.3 * columns, 0.6 + rows * (0.7 + 0.23 * len(models))) as figure:
        panels = figure.subplots(rows, columns, sharex=True, squeeze=False)
        for number, axes in enumerate(panels.flat):
            if number >= len(scenes):
                axes.set_axis_off()
                continue
            rows_axes(axes, [shortened(m) for m in models], named=number % columns == 0)
            axes.set_title(shortened(results.short(scenes[number].name)), fontsize=8.5)
            axes.axvline(CHANCE, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
            for row, model in enumerate(models):
                _dot(axes, row, results.estimate("auc", model, scenes[number].name), seen[model])
            axes.margins(x=0.16)
            axes.set_xlabel("AUC, all pixels" if number >= len(scenes) - columns else "")
        title = "AUC by model and event (the paper's Figure 6)"
        caption = "Dots with intervals, one panel an event; the dashed line at 0.5 is chance."
        return chart(figure, name, title, caption, _auc_words(results, models, scenes))


def _dot(axes: Axes, row: int, found: Estimate, look: Look) -> None:
    if found.value is None:
        axes.annotate("not judged", (CHANCE, row), xytext=(5, 0), textcoords="offset points", va="center", fontsize=7,
                      color=FAINT)  # fmt: skip
        return
    interval(axes, row, found.value, found.low, found.high, look)
    right = found.value if found.high is None else found.high
    axes.annotate(
        f"{found.value:.3f}", (right, row), xytext=(5, 0), textcoords="offset points", va="center", fontsize=7
    )


def _auc_words(results: Results, models: Sequence[str], scenes: Sequence[SceneFacts]) -> str:
    parts = []
    for scene in scenes:
        found = {m: results.estimate("auc", m, scene.name).value for m in models}
        best = max((v, m) for m, v in found.items() if v is not None)
        parts.append(f"{scene.label}: best {best[1]} with {best[0]:.3f}")
    return "; ".join(parts) + "."


def overall_chart(results: Results, name: str) -> Chart | None:
    """The paper's Figure 5 (a) for these results: means over scenes of AUC, accuracy, F1 and kappa, one stroke a scene.

    Balanced scores flatter where landslides are rare, so AUC on all pixels stands beside them. Real and SYNTHETIC
    events never share a mean: worlds are shown only where there is nothing real.
    """
    scenes = _paper_scenes(results)
    if not scenes:
        return None
    models, seen = results.ranked_models(twins=False), looks([m.name for m in results.models])
    with drawing(2.2 + 1.9 * len(PAPER_PANELS), 1.3 + 0.27 * len(models)) as figure:
        panels = figure.subplots(1, len(PAPER_PANELS))
        for number, (axes, (title, metric, profile)) in enumerate(zip(panels, PAPER_PANELS, strict=True)):
            rows_axes(axes, [shortened(m) for m in models], named=number == 0)
            axes.set_title(title, fontsize=8.5)
            if 0 < number < len(PAPER_PANELS) - 1:
                axes.sharex(panels[0])
            for row, model in enumerate(models):
                found = [results.estimate(metric, model, s.name, profile=profile).value for s in scenes]
                _strokes(axes, row, [value for value in found if value is not None], seen[model])
            axes.margins(x=0.1)
            axes.locator_params(axis="x", nbins=4)
        shown = f"Events: {', '.join(s.label for s in scenes)}."
        return chart(figure, name, "Overall accuracy (the paper's Figure 5)", _overall_words(scenes), shown)


def _paper_scenes(results: Results) -> list[SceneFacts]:
    """Scenes judged by the paper's protocol; the real ones only, if there are any."""
    judged = {row.scene for row in results.scores if row.profile == "paper"}
    scenes = [s for s in results.scenes if s.name in judged]
    return [s for s in scenes if not s.synthetic] or scenes


def _strokes(axes: Axes, row: int, values: Sequence[float], look: Look) -> None:
    """One stroke an event, the marker at their mean."""
    if not values:
        axes.text(0.02, row, "not judged", transform=axes.get_yaxis_transform(), fontsize=7, color=FAINT, va="center")
        return
    axes.plot(values, [row] * len(values), "|", color=FAINT, markersize=8, markeredgewidth=1.0)
    axes.plot([sum(values) / len(values)], [row], look.marker, color=look.colour, markersize=6)


def _overall_words(scenes: Sequence[SceneFacts]) -> str:
    kind = "SYNTHETIC world" if scenes[0].synthetic else "real event"
    return (
        f"Each upright stroke is one {kind}, the marker their mean. First panel: AUC over all pixels. The others are "
        "balanced, as many landslide pixels as others: the paper's protocol."
    )


def ceiling_chart(results: Results, name: str) -> Chart | None:
    """SYNTHETIC worlds: AUC of each model beside the best that any use of the maps could reach, with 3 standard errors.

    A model above the band is no feat but a leak.
    """
    worlds = [s for s in results.scenes if s.ceiling_auc is not None]
    if not worlds:
        return None
    models, seen = results.ranked_models(twins=False), looks([m.name for m in results.models])
    with drawing(8.6, 1.6 + 0.36 * len(worlds) + 0.2 * -(-len(models) // 4)) as figure:
        axes = figure.subplots()
        rows_axes(axes, [shortened(results.short(s.name), 44) for s in worlds], named=True)
        for row, world in enumerate(worlds):
            _ceiling(axes, row, world)
            for model in models:
                value = results.estimate("auc", model, world.name).value
                if value is not None:
                    look = seen[model]
                    axes.plot([value], [row], look.marker, color=look.colour, markersize=5.5, alpha=0.9, zorder=3)
        axes.set_xlabel("AUC, all pixels. Black: observable ceiling; grey band: 3 standard errors either side")
        legend(figure, models, seen)
        return chart(figure, name, "SYNTHETIC worlds against their ceiling", ceiling_words(results))


def _ceiling(axes: Axes, row: int, world: SceneFacts) -> None:
    ceiling = world.ceiling_auc or 0.0
    reach = STANDARD_ERRORS * (world.ceiling_se or 0.0)
    axes.fill_betweenx([row - 0.38, row + 0.38], ceiling - reach, ceiling + reach, color=BAND, linewidth=0, zorder=0)
    axes.plot([ceiling, ceiling], [row - 0.38, row + 0.38], color=INK, linewidth=2.2, zorder=1)


def above_ceiling(results: Results) -> tuple[tuple[str, str], ...]:
    """(model, label of the world) of every AUC more than three standard errors above the world's ceiling."""
    return tuple(
        (model.name, world.label)
        for world in results.scenes
        if world.ceiling_auc is not None
        for model in results.models
        if (value := results.estimate("auc", model.name, world.name).value) is not None
        and value > world.ceiling_auc + STANDARD_ERRORS * (world.ceiling_se or 0.0)
    )


def ceiling_words(results: Results) -> str:
    """Whether anything is above its ceiling."""
    leaks = above_ceiling(results)
    if not leaks:
        return "No model is more than three standard errors above the ceiling of any SYNTHETIC world."
    return "Above the ceiling, so knowledge has leaked: " + "; ".join(f"{m} on {w}" for m, w in leaks) + "."
