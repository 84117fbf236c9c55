"""Figures of landslide frequencies: histograms of each event, and frequency ratios of all events together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from headscarp.core.learning.frequency import Frequency
from infra.figures.bins import ASPECT, INDICATORS, Indicator
from infra.figures.counts import Counted
from infra.figures.panels import SECTORS
from infra.figures.style import FAINT, INK, NO_VALUE, Sheet

FEW = 500
"""Mapped pixels, 0.45 km2, below which a ratio is not drawn."""
PAPER = "#f3ead2"
LEFT, TOP, WIDTH, HEIGHT, ACROSS, DOWN = 58, 96, 216, 124, 44, 54


def draw_histograms(counted: Sequence[Counted], folder: Path) -> None:
    """`frequency_paper.png`, the four indicators the paper gives ranges for, and `frequency_others.png`."""
    with_range = tuple(i for i in INDICATORS if i.paper)
    without = tuple(i for i in INDICATORS if not i.paper)
    _histograms(counted, with_range).save(folder / "frequency_paper.png")
    _histograms(counted, without).save(folder / "frequency_others.png")


def _histograms(counted: Sequence[Counted], indicators: Sequence[Indicator]) -> Sheet:
    """Rows of indicators, columns of events."""
    sheet = Sheet(LEFT + len(counted) * (WIDTH + ACROSS) - 22, TOP + len(indicators) * (HEIGHT + DOWN))
    sheet.text(LEFT, 12, "Where landslides lie, and what ground there is", fontsize=13, weight="bold")
    band = "   Band: the paper's range of modes." if indicators[0].paper else ""
    sheet.text(LEFT, 36, f"Colour: landslide pixels. Grey: all mapped pixels. Each sums to 100 %.{band}")
    for column, event in enumerate(counted):
        x = LEFT + column * (WIDTH + ACROSS)
        words = f"{event.slides_km2:.1f} km² of {event.ground_km2:,.0f} km²"
        sheet.text(x, 58, event.name, fontsize=10.5, weight="bold", color=event.colour)
        sheet.text(x, 74, words, fontsize=8, color=FAINT)
        for row, indicator in enumerate(indicators):
            axes = sheet.axes(x, TOP + row * (HEIGHT + DOWN), WIDTH, HEIGHT)
            _histogram(axes, indicator, event)
            if column == 0:
                axes.set_ylabel("% of pixels")
    return sheet


def _histogram(axes: Axes, indicator: Indicator, event: Counted) -> None:
    found = event.frequencies.get(indicator.name)
    _frame(axes, indicator)
    if found is None:
        reason = event.missing.get(indicator.name, "no value")
        axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", va="center", color=FAINT, wrap=True)
        axes.set_yticks([])
        return
    axes.stairs(100 * found.ground_share, indicator.edges, fill=True, color=NO_VALUE)
    axes.stairs(100 * found.slide_share, indicator.edges, color=event.colour, linewidth=1.6)
    axes.set_ylim(bottom=0)


def _frame(axes: Axes, indicator: Indicator) -> None:
    """Axis, unit and the paper's range."""
    axes.set_xlim(indicator.edges[0], indicator.edges[-1])
    axes.set_xlabel(", ".join(filter(None, (indicator.title, indicator.unit))), fontsize=8.5, labelpad=2)
    axes.spines[["top", "right"]].set_visible(False)
    if indicator.log:
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    if indicator is ASPECT:
        axes.set_xticks(range(8), labels=SECTORS)
    if indicator.paper:
        axes.axvspan(*indicator.paper, color=PAPER, zorder=0, linewidth=0)


def draw_ratios(counted: Sequence[Counted], folder: Path) -> None:
    """`frequency_ratio.png`: one panel per indicator, one line per event."""
    columns, rows = 3, -(-len(INDICATORS) // 3)
    width, height, down = 300, 190, 56
    sheet = Sheet(56 + columns * (width + 44), 96 + rows * (height + down))
    sheet.text(
        56, 12, "Frequency ratio: how much more often landslides lie there than chance", fontsize=13, weight="bold"
    )
    sheet.text(
        56, 36, f"Share of landslide pixels over share of mapped pixels; classes of fewer than {FEW} pixels left out."
    )
    for number, event in enumerate(counted):
        sheet.text(56 + 200 * number, 60, f"━ {event.name}", fontsize=10, weight="bold", color=event.colour)
    for number, indicator in enumerate(INDICATORS):
        x, y = 56 + number % columns * (width + 44), 92 + number // columns * (height + down)
        axes = sheet.axes(x, y, width, height)
        _frame(axes, indicator)
        for event in counted:
            if indicator.name in event.frequencies:
                _ratio(axes, indicator, event.frequencies[indicator.name], event.colour)
        _ratio_axis(axes)
    sheet.save(folder / "frequency_ratio.png")


def _ratio(axes: Axes, indicator: Indicator, found: Frequency, colour: str) -> None:
    edges = np.asarray(indicator.edges)
    middle = np.sqrt(edges[1:] * edges[:-1]) if indicator.log else (edges[1:] + edges[:-1]) / 2
    ratio = found.ratio(at_least=FEW)
    axes.plot(middle, np.where(ratio > 0, ratio, np.nan), color=colour, linewidth=1.5, marker="o", markersize=2.6)


def _ratio_axis(axes: Axes) -> None:
    """Doublings, with chance marked."""
    axes.set_yscale("log", base=2)
    axes.set_ylim(1 / 8, 8)
    axes.yaxis.set_major_locator(LogLocator(base=2))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.axhline(1, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))


def draw_own_classes(counted: Sequence[Counted], folder: Path) -> None:
    """`frequency_classes.png`: layers that a folder has in unnamed classes of its own."""
    layers = [(event, name, *event.own[name]) for event in counted for name in event.own]
    sheet = Sheet(LEFT + len(layers) * 360, 290)
    sheet.text(LEFT, 12, "Layers in a folder's own, unnamed classes", fontsize=13, weight="bold")
    sheet.text(LEFT, 36, "Colour: landslide pixels. Grey: all mapped pixels. No cube takes these classes.")
    for number, (event, name, codes, found) in enumerate(layers):
        axes = sheet.axes(LEFT + number * 360, 66, 310, 160)
        places = np.arange(len(codes))
        axes.bar(places, 100 * found.ground_share, width=0.9, color=NO_VALUE)
        axes.bar(places, 100 * found.slide_share, width=0.4, color=event.colour)
        axes.set_xticks(places, labels=[str(code) for code in codes])
        axes.set_xlabel(f"{event.name}: {name.replace('_', ' ')}, class number")
        axes.set_ylabel("% of pixels" if number == 0 else "")
        axes.spines[["top", "right"]].set_visible(False)
    sheet.save(folder / "frequency_classes.png")
