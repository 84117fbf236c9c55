"""The paper's Figure 2 for our data: what each control indicator tells, and which ones the selection keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headscarp.io.outputs.report.names import event_name
from headscarp.io.outputs.report.style import COLOURS, FAINT, Chart, chart, drawing, rows_axes, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACROSS = 4
TITLE = "Ranking of control indicators (the paper's Figure 2)"
CAPTION = (
    "Information gain in bits, a row for each indicator, a panel for each group of events; most telling on top. "
    "Numbers are ranks."
)
RULES = {"constant": "constant", "inflation": "inflated", "correlation": "correlated"}


def ranking_chart(trace: Mapping[str, Any], name: str = "selection") -> Chart:
    """Information gain of each indicator with interval and noise floor, a panel for each group of events.

    Args:
        trace: As `pipeline.select.select` makes it.
        name: Of the chart.
    """
    groups = trace["groups"]
    names = _order(groups)
    rows, columns = -(-len(groups) // ACROSS), min(len(groups), ACROSS)
    with drawing(1.9 + 2.5 * columns, 0.7 + rows * (0.9 + 0.24 * len(names))) as figure:
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for number, axes in enumerate(panels):
            if number >= len(groups):
                axes.set_axis_off()
                continue
            rows_axes(axes, names, named=number % columns == 0)
            _panel(axes, groups[number], names)
        _legend(figure)
        return chart(figure, name, TITLE, CAPTION, _words(groups))


def _order(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every indicator once: those of the first group by gain, then what only others have."""
    return list(dict.fromkeys(gain["name"] for group in groups for gain in group["gains"]))


def _panel(axes: Axes, group: Mapping[str, Any], names: Sequence[str]) -> None:
    axes.set_title(shortened(group_label(group), 36), fontsize=8.5)
    kept, removed = set(group["selection"]["kept"]), _removed(group)
    gains = {gain["name"]: (rank, gain) for rank, gain in enumerate(group["gains"], 1)}
    for row, indicator in enumerate(names):
        if indicator not in gains:
            axes.text(0, row, " no layer", fontsize=7, color=FAINT, va="center")
            continue
        rank, gain = gains[indicator]
        _gain(axes, row, gain, kept=indicator in kept)
        right = max(v for v in (gain["bits"], gain["high"], gain["floor"]) if v is not None)
        words = f"{rank}" if indicator in kept else f"{rank} {removed.get(indicator, '')}"
        axes.annotate(words, (right, row), xytext=(5, 0), textcoords="offset points", va="center", fontsize=7)
    axes.margins(x=0.25)
    axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
    axes.set_xlabel("information gain, bits")


def _gain(axes: Axes, row: int, gain: Mapping[str, Any], *, kept: bool) -> None:
    colour = COLOURS[0]
    axes.barh(row, max(gain["floor"], 0.0), height=0.7, color="#d9d9d9", zorder=0)
    if gain["low"] is not None and gain["high"] is not None:
        axes.plot([gain["low"], gain["high"]], [row, row], color=colour, linewidth=1.5, solid_capstyle="butt")
    face = colour if kept else "white"
    axes.plot([gain["bits"]], [row], "o", color=colour, markerfacecolor=face, markersize=5.5, zorder=3)


def _removed(group: Mapping[str, Any]) -> dict[str, str]:
    """Why each removed indicator went, in a word."""
    return {s["removed"]: RULES[s["rule"]] for s in group["selection"]["steps"] if s["removed"] is not None}


def _legend(figure: Any) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=COLOURS[0], marker="o", label="kept"),
        Line2D([], [], color=COLOURS[0], marker="o", markerfacecolor="white", label="removed, and why"),
        Patch(color="#d9d9d9", label="noise floor: 95 % of shuffles stay below"),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=4, frameon=False, fontsize=8)


def group_label(group: Mapping[str, Any]) -> str:
    """Name of a group; says SYNTHETIC where it is."""
    name = event_name(str(group["name"]))
    return f"SYNTHETIC {name}" if group["synthetic"] and "SYNTHETIC" not in name else name


def _words(groups: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for group in groups:
        first = ", ".join(gain["name"] for gain in group["gains"][:3])
        gone = ", ".join(f"{name} ({why})" for name, why in _removed(group).items()) or "none"
        parts.append(f"{group_label(group)}: most telling {first}; removed {gone}")
    return ". ".join(parts) + "."
