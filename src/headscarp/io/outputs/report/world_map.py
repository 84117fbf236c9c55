"""The paper's Figure 1 for our data: seismic belts, the earthquakes to learn from by region, and those at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import ArrayLike

from headscarp.core.grid import Bounds
from headscarp.io.outputs.report.style import BAND, COLOURS, FAINT, INK, Chart, chart, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REGION_WORDS = {
    "EqCP": "equatorial Circum-Pacific",
    "TeCP": "temperate Circum-Pacific",
    "CoCP": "cold Circum-Pacific",
    "TeAH": "temperate Alpine-Himalayan",
    "CoAH": "cold Alpine-Himalayan",
}
CLIMATE_LOOKS = {"Eq": (COLOURS[1], "o"), "Te": (COLOURS[2], "s"), "Co": (COLOURS[0], "^")}
TITLE = "Earthquakes to learn from (the paper's Figure 1)"
CAPTION = "Seismic belts, earthquakes at hand (filled) and others that the paper names (hollow)."
OFFSETS = tuple((x, y) for x in (10, -10, 18, -18, 30, -30) for y in (6, -8, 22, -24, 38, -40))
DEGREES_PER_POINT = 0.62
"""Of the map, about: 360 degrees on eight inches."""
NORTH, SOUTH = 78, -62


@dataclass(frozen=True, slots=True)
class Place:
    """An earthquake whose epicentre is known here."""

    name: str
    longitude: float
    latitude: float
    region: str
    """One of `REGION_WORDS`."""
    at_hand: bool


@dataclass(frozen=True, slots=True)
class RegionCount:
    """How many earthquakes of the registry a region has."""

    region: str
    named: int
    """By the paper."""
    candidates: int
    at_hand: int
    """Of both."""


def world_chart(
    places: Sequence[Place],
    counts: Sequence[RegionCount],
    *,
    belts: Mapping[str, Sequence[Bounds]],
    orogens: Mapping[str, ArrayLike] | None = None,
    coast: Sequence[ArrayLike] = (),
    name: str = "events",
) -> Chart:
    """A map above, counts by region beneath.

    Args:
        places: What is marked on the map.
        counts: By region, for earthquakes whose epicentre the registry does not say as well.
        belts: Boxes of each belt, degrees.
        orogens: (vertex, 2) outlines, degrees; longitudes beyond 180 go on eastward.
        coast: (vertex, 2) lines, degrees.
        name: Of the chart.
    """
    with drawing(9.6, 5.9) as figure:
        upper, lower = figure.subplots(2, 1, height_ratios=(3, 1))
        for line in coast:
            upper.plot(*np.asarray(line, dtype=float).T, color="#c4c4c4", linewidth=0.5, zorder=0)
        _belts(upper, belts)
        for outline in (orogens or {}).values():
            _outline(upper, np.asarray(outline, dtype=float))
        for place, offset in zip(places, _offsets(places), strict=True):
            _mark(upper, place, offset)
        _frame(upper)
        _counts(lower, counts)
        return chart(figure, name, TITLE, CAPTION, _words(places, counts))


def _belts(axes: Axes, belts: Mapping[str, Sequence[Bounds]]) -> None:
    """Boxes of a belt as one shape; hatches tell the belts apart without colour."""
    for (name, boxes), (colour, hatch) in zip(belts.items(), (("#e7dfc6", "..."), ("#d5e3ee", "///")), strict=False):
        shape = shapely.union_all([shapely.box(b.west, b.south, b.east, b.north) for b in boxes])
        for n, part in enumerate(shapely.get_parts(shape)):
            ring = np.asarray(part.exterior.coords)
            axes.fill(
                ring[:, 0], ring[:, 1], facecolor=colour, edgecolor="#ffffff", hatch=hatch, linewidth=0, alpha=0.75,
                zorder=1, label=f"{name} belt, boxes of 5 degrees" if n == 0 else None,
            )  # fmt: skip


def _outline(axes: Axes, ring: np.ndarray) -> None:
    """An orogen; what goes beyond 180 degrees is drawn on both sides."""
    closed = np.vstack([ring, ring[:1]])
    for shift in (0, -360) if closed[:, 0].max() > 180 else (0,):
        axes.plot(closed[:, 0] + shift, closed[:, 1], color=FAINT, linewidth=0.7, linestyle=(0, (3, 2)), zorder=2)


def _mark(axes: Axes, place: Place, offset: tuple[int, int]) -> None:
    colour, marker = CLIMATE_LOOKS[place.region[:2]]
    face = colour if place.at_hand else "white"
    axes.plot(
        [place.longitude], [place.latitude], marker, color=colour, markerfacecolor=face, markersize=8,
        markeredgewidth=1.6, zorder=4,
    )  # fmt: skip
    axes.annotate(
        place.name, (place.longitude, place.latitude), xytext=offset, textcoords="offset points", va="center",
        ha="left" if offset[0] > 0 else "right", fontsize=8, weight="bold" if place.at_hand else "normal", zorder=5,
        arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4},
    )  # fmt: skip


def _offsets(places: Sequence[Place]) -> list[tuple[int, int]]:
    """Where each name goes, in points from its mark: the first of several places that is still free and on the map."""
    taken = [shapely.box(p.longitude - 4, p.latitude - 4, p.longitude + 4, p.latitude + 4) for p in places]
    found = []
    for place in places:
        boxes = {offset: _extent(place, offset) for offset in OFFSETS}
        free = (o for o, b in boxes.items() if abs(b.centroid.x) < 165 and not any(b.intersects(t) for t in taken))
        found.append(next(free, OFFSETS[0]))
        taken.append(boxes[found[-1]])
    return found


def _extent(place: Place, offset: tuple[int, int]) -> shapely.Polygon:
    """About the ground that a name covers, degrees."""
    start = place.longitude + offset[0] * DEGREES_PER_POINT
    length = len(place.name) * 5.2 * DEGREES_PER_POINT * (1 if offset[0] > 0 else -1)
    middle = place.latitude + offset[1] * DEGREES_PER_POINT
    return shapely.box(min(start, start + length), middle - 3, max(start, start + length), middle + 3)


def _frame(axes: Axes) -> None:
    from matplotlib.lines import Line2D

    axes.set(xlim=(-180, 180), ylim=(SOUTH, NORTH), aspect="equal")
    axes.set_xticks(range(-180, 181, 60), labels=[_degrees(d, "W", "E") for d in range(-180, 181, 60)])
    axes.set_yticks(range(-60, 61, 30), labels=[_degrees(d, "S", "N") for d in range(-60, 61, 30)])
    climates = {"Eq": "equatorial", "Te": "temperate", "Co": "cold"}
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="none", markersize=7, label=climates[climate])
        for climate, (colour, marker) in CLIMATE_LOOKS.items()
    ]
    hollow = Line2D([], [], color=INK, marker="o", markerfacecolor="white", linestyle="none", label="not at hand")
    orogen = Line2D([], [], color=FAINT, linewidth=0.8, linestyle=(0, (3, 2)), label="orogen (Bird 2003)")
    belts, _ = axes.get_legend_handles_labels()
    axes.legend(
        handles=[*handles, hollow, orogen, *belts], loc="upper center", bbox_to_anchor=(0.5, -0.07), ncols=4,
        frameon=False, fontsize=8,
    )  # fmt: skip


def _degrees(value: int, negative: str, positive: str) -> str:
    return f"{abs(value)}\u00b0{negative if value < 0 else positive if value > 0 else ''}"


def _counts(axes: Axes, counts: Sequence[RegionCount]) -> None:
    """Bars of the registry's earthquakes by region; those at hand are numbers at the end."""
    for row, count in enumerate(counts):
        axes.barh(row, count.named, color=INK, height=0.6, label="named by the paper" if row == 0 else None)
        axes.barh(
            row, count.candidates, left=count.named, color=BAND, edgecolor=FAINT, hatch="///", linewidth=0.6,
            height=0.6, label="candidates" if row == 0 else None,
        )  # fmt: skip
        axes.text(count.named + count.candidates + 0.3, row, _count_words(count), va="center", fontsize=8)
    axes.set_yticks(range(len(counts)), labels=[REGION_WORDS[c.region] for c in counts])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.35 * max((c.named + c.candidates for c in counts), default=1))
    axes.set_xlabel("earthquakes of the registry; most epicentres are not in it, so they have no mark on the map")
    axes.legend(loc="lower right", frameon=False, fontsize=8)


def _count_words(count: RegionCount) -> str:
    return f"{count.named} named, {count.candidates} candidates, {count.at_hand} at hand"


def _words(places: Sequence[Place], counts: Sequence[RegionCount]) -> str:
    at_hand = ", ".join(p.name for p in places if p.at_hand) or "none"
    others = ", ".join(p.name for p in places if not p.at_hand) or "none"
    table = "; ".join(f"{REGION_WORDS[c.region]}: {_count_words(c)}" for c in counts)
    return f"At hand: {at_hand}. Named by the paper, not at hand: {others}. {table}."
