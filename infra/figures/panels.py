"""One panel of a map sheet: how a control indicator of the SYNTHETIC world is drawn, and its legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.patches import Patch

from headscarp.core.grid import Extent
from headscarp.core.tiling import Window
from headscarp.io.cubes.cube import Cube
from headscarp.io.inputs.folder import read_event_folder
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.store import LocalStore
from headscarp.pipeline.cube import build_cube
from headscarp.pipeline.world import write_world
from headscarp.tables.coseismic import COSEISMIC
from headscarp.tables.legends import LEGENDS
from headscarp.world.generate import World, make_world
from infra.figures.style import FAINT, INK, NO_VALUE, ORANGE, QUALITATIVE, SEA, shown

SEED = 12
SIDE = 320
"""Pixels of the world along each side, and of a panel."""
FLAT = "#f2e2a0"
LAND_COVER = {10: "#117733", 20: "#999933", 30: "#ddcc77", 40: "#44aa99", 50: "#882255", 60: "#cc6677", 70: "#ffffff"}
"""Of the qualitative scheme, with the woods green."""
SECTORS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


@dataclass(frozen=True, slots=True)
class Subject:
    """The world that is drawn, and the cube that was built of it."""

    world: World
    cube: Cube

    def __getitem__(self, channel: str) -> np.ndarray:
        """(y, x) values of a channel, NaN where it has none."""
        return self.cube.read((channel,), Window(0, 0, *self.cube.grid.shape))[0]

    @property
    def sea(self) -> np.ndarray:
        """(y, x) where the DEM says sea."""
        return self["land"] == 0


def make_subject(folder: Path) -> Subject:
    """Draw a world and build its cube as for a quake, from an event folder."""
    world = make_world(SEED, shape=(SIDE, SIDE))
    event = read_event_folder(write_world(world, folder / "world"))
    cube = build_cube(
        LocalStore(folder / "store"),
        "world.zarr",
        event=event.event,
        shaking=event.shaking,
        extent=Extent(world.grid, cut_by_shakemap_edge=True),
        table=COSEISMIC,
        registry=SourceRegistry({}, {}).with_overrides(event.layers, others="the world has no such layer"),
        lineage={"source": "make figures"},
    )
    return Subject(world, cube)


class Drawing(Protocol):
    """Fills the axes of a map and those of its legend."""

    def __call__(self, subject: Subject, axes: Axes, key: Axes) -> None: ...


@dataclass(frozen=True, slots=True)
class Steps:
    """A continuous channel in steps of colour."""

    channel: str
    levels: Sequence[float]
    colours: str
    unit: str
    factor: float = 1.0
    """Turns the cube's unit into the one that is printed."""
    extend: str = "both"

    def __call__(self, subject: Subject, axes: Axes, key: Axes) -> None:
        values = subject[self.channel] * self.factor
        bins = len(self.levels) - 1 + (2 if self.extend == "both" else 1)
        palette = mpl.colormaps[self.colours].resampled(bins)
        norm = BoundaryNorm(self.levels, bins, extend=self.extend)
        _ground(subject, axes)
        axes.imshow(shown(values, np.isfinite(values)), cmap=palette, norm=norm, interpolation="nearest")
        bar = _bar(key, palette, norm)
        bar.set_ticks(self.levels)
        bar.ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        bar.set_label(self.unit, fontsize=8)


@dataclass(frozen=True, slots=True)
class Classes:
    """A categorical channel with its legend in words."""

    channel: str
    colours: Mapping[int, str] = field(default_factory=dict)
    """By code; others take theirs in turn."""

    def __call__(self, subject: Subject, axes: Axes, key: Axes) -> None:
        codes = subject[self.channel]
        legend = LEGENDS[COSEISMIC[self.channel].legend or ""]
        present = [code for code in legend if (codes == code).any()]
        colours = {code: QUALITATIVE[n] for n, code in enumerate(present)} | dict(self.colours)
        _ground(subject, axes)
        for code in present:
            _flat_colour(axes, codes == code, colours[code])
        _words(key, [*((colours[code], legend[code]) for code in present), (NO_VALUE, "unknown")])


def compass(subject: Subject, axes: Axes, key: Axes) -> None:
    """Aspect from its two components, in eight sectors of the compass; flat ground apart."""
    east, north = subject["aspect_east"], subject["aspect_north"]
    sector = np.where((east == 0) & (north == 0), np.nan, sectors(east, north))
    palette = ListedColormap(mpl.colormaps["twilight"](np.arange(8) / 8))
    norm = BoundaryNorm(np.arange(9) - 0.5, 8)
    _ground(subject, axes)
    _flat_colour(axes, np.isfinite(east), FLAT)
    axes.imshow(shown(sector, np.isfinite(sector)), cmap=palette, norm=norm, interpolation="nearest")
    bar = _bar(key, palette, norm)
    bar.set_ticks(range(8), labels=SECTORS)
    bar.set_label("downslope direction (yellow: flatter than 1 degree)", fontsize=8)


def sectors(east: np.ndarray, north: np.ndarray) -> np.ndarray:
    """Number of the compass sector, 0 for north and clockwise, of a direction; NaN where it has none."""
    return np.round(np.degrees(np.arctan2(east, north)) / 45.0) % 8


def mechanism(subject: Subject, axes: Axes, key: Axes) -> None:
    """The rake, one value for the whole event."""
    sine, cosine = subject["rake_sin"], subject["rake_cos"]
    known = np.isfinite(sine)
    rake = np.degrees(np.arctan2(sine[known][0], cosine[known][0]))
    _ground(subject, axes)
    _flat_colour(axes, known, QUALITATIVE[0])
    words = f"{faulting(rake)}, rake {rake:.0f} degrees\nsine {sine[known][0]:.2f}, cosine {cosine[known][0]:.2f}"
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", fontsize=10)
    _words(key, [(QUALITATIVE[0], f"{faulting(rake)} (one value for the event)")])


def faulting(rake: float) -> str:
    """Style of faulting in words."""
    if abs(rake) <= 30 or abs(rake) >= 150:
        return "strike-slip"
    return "reverse" if rake > 0 else "normal"


def landslides(subject: Subject, axes: Axes, key: Axes) -> None:
    """Shaded relief with the landslides, the fault traces and the epicentre."""
    world = subject.world
    elevation = np.nan_to_num(subject["elevation"])
    axes.imshow(_shade(elevation), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    _flat_colour(axes, world.landslides, ORANGE)
    _flat_colour(axes, subject.sea, SEA)
    to_pixel = ~world.grid.transform
    for trace in world.faults:
        x, y = to_pixel * (trace[:, 0], trace[:, 1])
        axes.plot(x, y, color=INK, linewidth=1.4)
    axes.set_xlim(-0.5, SIDE - 0.5)
    axes.set_ylim(SIDE - 0.5, -0.5)
    share = f"landslides, {100 * world.prevalence:.1f} % of the land"
    _words(key, [(ORANGE, share), (INK, "fault traces"), (SEA, "sea")])


def _shade(elevation: np.ndarray) -> np.ndarray:
    """Light from the north-west on the slopes, in eight greys."""
    north, east = np.gradient(elevation, -30.0, 30.0)
    lit = (1.0 + 0.7 * (east - north)) / np.sqrt(1.0 + east**2 + north**2)
    return np.round(np.clip(0.25 + 0.5 * lit, 0.2, 1.0) * 8) / 8


def _ground(subject: Subject, axes: Axes) -> None:
    """What shows where the indicator has no value: sea, or grey."""
    axes.set_facecolor(NO_VALUE)
    _flat_colour(axes, subject.sea, SEA)


def _flat_colour(axes: Axes, here: np.ndarray, colour: str) -> None:
    axes.imshow(shown(here, here), cmap=ListedColormap([colour]), interpolation="nearest")


def _bar(key: Axes, palette: mpl.colors.Colormap, norm: BoundaryNorm) -> Colorbar:
    """A colour bar 14 pixels high at the top of the legend's box."""
    share = 14 / key.get_window_extent().height
    bar_axes = key.inset_axes((0.0, 1.0 - share, 1.0, share))
    key.set_axis_off()
    bar = Colorbar(bar_axes, mpl.cm.ScalarMappable(norm, palette), orientation="horizontal", spacing="uniform")
    bar.outline.set_linewidth(0.5)
    bar.ax.tick_params(length=2, width=0.5, pad=2)
    return bar


def _words(key: Axes, entries: list[tuple[str, str]]) -> None:
    key.set_axis_off()
    patches = [Patch(facecolor=colour, edgecolor=FAINT, linewidth=0.5, label=words) for colour, words in entries]
    key.legend(
        handles=patches, loc="upper left", bbox_to_anchor=(0, 1.04), frameon=False, borderaxespad=0, fontsize=7.6,
        handlelength=1.2, handleheight=0.9, labelspacing=0.22, ncols=1 if len(entries) < 7 else 2, columnspacing=0.8,
    )  # fmt: skip
