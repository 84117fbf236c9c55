"""Charts of curves: success rate, reliability, hit rate by size of the landslide; one panel a scene."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from headscarp.io.outputs.report.results import Curve, ReliabilityCell, Results, SizeClass
from headscarp.io.outputs.report.style import (
    BAND,
    FAINT,
    INK,
    OTHERS,
    Chart,
    Look,
    chart,
    drawing,
    legend,
    looks,
    shortened,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACROSS = 3
MOST_PANELS = 6
"""Of more scenes the first are drawn, and the words say so; tables have all."""
MOST_LINES = 6
MARKS = 8
"""Markers along a curve, so that lines are told apart without colour."""
TOLERANCE = (0.67, 1.5)
"""Observed over predicted coverage within which a bin counts as calibrated."""
MOST_COUNTED = 2
"""Models of a panel beyond which counts would cover each other; the table has them."""
JUDGED_ABOVE = 0.02
"""Coverage from which bins are judged."""
FLOOR = 1e-4
"""Coverages below this are drawn here, on the edge of the logarithmic axes."""

Drawer = Callable[["Axes", Curve, Look], None]


def success_chart(results: Results, name: str) -> Chart | None:
    """Share of the landslide area within the highest-scored share of the ground (Chung and Fabbri 2003)."""

    def draw(axes: Axes, curve: Curve, look: Look) -> None:
        shares, rates = zip(*curve.success_rate, strict=True)
        every = max(1, len(shares) // MARKS)
        axes.plot(
            shares, rates, color=look.colour, linestyle=look.dash, linewidth=1.5, marker=look.marker,
            markersize=4.5, markevery=every,
        )  # fmt: skip

    def finish(axes: Axes, _: Sequence[Curve]) -> None:
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="share of the ground, highest scores first")
        axes.set_ylabel("share of landslide area in it")

    words = "One line a model; the dashed diagonal is chance. The faster a line rises, the better the ranking."
    return _panels(results, name, "Success rate", words, lambda c: bool(c.success_rate), draw, finish)


def reliability_chart(results: Results, name: str) -> Chart | None:
    """Predicted beside observed coverage, models of coverage only, with the count of cells in each bin."""
    coverage = {m.name for m in results.models if m.quantity == "coverage"}
    seen = looks([m.name for m in results.models])

    def finish(axes: Axes, curves: Sequence[Curve]) -> None:
        low, high = _reach([cell for c in curves for cell in c.reliability])
        axes.fill_between([low, high], [TOLERANCE[0] * v for v in (low, high)], [TOLERANCE[1] * v for v in (low, high)],
                          color=BAND, linewidth=0, zorder=0)  # fmt: skip
        axes.plot([low, high], [low, high], color=INK, linewidth=0.9, zorder=1)
        axes.axvline(JUDGED_ABOVE, color=FAINT, linewidth=0.8, linestyle=(0, (1, 2)))
        _counts(axes, curves, seen)
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
        axes.set(xlabel="predicted coverage", ylabel="observed coverage")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
            axis.set_minor_formatter(lambda *_: "")

    words = (
        "Line: predicted equals observed; grey band: observed is 0.67 to 1.5 times predicted; dotted: 2 % coverage, "
        "above which bins are judged. Larger marks have more cells; the table counts them. Points below the "
        "line predict too much."
    )
    return _panels(
        results, name, "Reliability", words, lambda c: bool(c.reliability) and c.model in coverage, _reliability, finish
    )


def _reliability(axes: Axes, curve: Curve, look: Look) -> None:
    """Marks grow with the count of cells."""
    predicted = [max(cell.predicted, FLOOR) for cell in curve.reliability]
    observed = [max(cell.observed, FLOOR) for cell in curve.reliability]
    axes.plot(predicted, observed, color=look.colour, linestyle=look.dash, linewidth=0.9)
    for x, y, cell in zip(predicted, observed, curve.reliability, strict=True):
        size = 3.0 + 1.6 * math.log10(max(cell.cells, 1))
        axes.plot([x], [y], color=look.colour, marker=look.marker, markersize=size, linestyle="none")


def _counts(axes: Axes, curves: Sequence[Curve], seen: Mapping[str, Look]) -> None:
    """Counts beside the marks, where few models leave room for them."""
    for curve in curves if len(curves) <= MOST_COUNTED else ():
        for cell in curve.reliability:
            place = max(cell.predicted, FLOOR), max(cell.observed, FLOOR)
            above = place[1] > place[0]
            axes.annotate(
                compact(cell.cells), place, xytext=(-6, 6) if above else (6, -6), textcoords="offset points",
                fontsize=6.5, color=seen[curve.model].colour, ha="right" if above else "left", va="center",
            )  # fmt: skip


def _reach(cells: Sequence[ReliabilityCell]) -> tuple[float, float]:
    """Ends of both axes."""
    values = [max(v, FLOOR) for cell in cells for v in (cell.predicted, cell.observed)]
    return min(values) / 1.6, min(1.0, max(values) * 2.0)


def hit_chart(results: Results, name: str) -> Chart | None:
    """Share of landslides hit, by their area."""

    def draw(axes: Axes, curve: Curve, look: Look) -> None:
        judged = [(n, size.rate) for n, size in enumerate(curve.hit_rate) if size.rate is not None]
        axes.plot(
            [n for n, _ in judged], [rate for _, rate in judged], color=look.colour, linestyle=look.dash,
            linewidth=1.3, marker=look.marker, markersize=5,
        )  # fmt: skip

    def finish(axes: Axes, curves: Sequence[Curve]) -> None:
        sizes = max((c.hit_rate for c in curves), key=len)
        axes.set_xticks(range(len(sizes)), labels=[size_words(s) for s in sizes], fontsize=7)
        axes.set(ylim=(-0.03, 1.03), xlim=(-0.4, len(sizes) - 0.6), ylabel="share of landslides hit")
        axes.grid(axis="y")

    words = "Landslides by area, smallest on the left, with their number below. Higher is better."
    return _panels(results, name, "Hit rate by size of landslide", words, lambda c: bool(c.hit_rate), draw, finish)


def size_words(size: SizeClass) -> str:
    """Range of area, and how many landslides are of it."""
    first = compact(size.from_m2)
    area = f"{first} and more" if size.to_m2 is None else f"{first} to {compact(size.to_m2)}"
    return f"{area}\nm\u00b2, n = {compact(size.bodies)}"


def compact(number: float) -> str:
    """About three digits, with k and M for thousands and millions."""
    for unit, words in ((1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.3g}{words}"
    return f"{number:g}"


def _leading(results: Results, present: Collection[str]) -> list[str]:
    """The best of the models that are present, and those that others are compared with."""
    references = {d.against for d in results.differences}
    ranked = [m for m in results.ranked_models() if m in present]
    return [m for n, m in enumerate(ranked) if n < MOST_LINES or m in references]


def _panels(
    results: Results,
    name: str,
    title: str,
    words: str,
    wanted: Callable[[Curve], bool],
    draw: Drawer,
    finish: Callable[[Axes, Sequence[Curve]], None],
) -> Chart | None:
    """One panel for each scene with a wanted curve; None if there is none."""
    found = [(s, [c for c in results.curves_of(s.name) if wanted(c)]) for s in results.scenes]
    found = [(scene, curves) for scene, curves in found if curves]
    if not found:
        return None
    left_out = f" {MOST_PANELS} of {len(found)} events are drawn." if len(found) > MOST_PANELS else ""
    found = found[:MOST_PANELS]
    present = {c.model for _, curves in found for c in curves}
    models = _leading(results, present)
    seen = looks([m.name for m in results.models])
    seen |= dict.fromkeys(present - set(models), OTHERS)
    behind = f" Grey: {len(present) - len(models)} other models." if len(present) > len(models) else ""
    rows, columns = -(-len(found) // ACROSS), min(len(found), ACROSS)
    size = 0.4 + 3.6 * columns, 0.3 + 3.1 * rows + 0.2 * -(-len(models) // 4)
    with drawing(max(size[0], 7.2), size[1]) as figure:
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, (scene, curves) in zip(panels, found, strict=False):
            axes.set_title(shortened(results.short(scene.name), 46))
            for curve in sorted(curves, key=lambda c: c.model in models):
                draw(axes, curve, seen[curve.model])
            finish(axes, curves)
        for axes in panels[len(found) :]:
            axes.set_axis_off()
        legend(figure, models, seen)
        scenes = ", ".join(scene.label for scene, _ in found)
        return chart(
            figure, name, title, f"{words}{behind}{left_out}", f"Panels: {scenes}. Models: {', '.join(models)}."
        )
