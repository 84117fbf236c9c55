"""All 17 control indicators of a SYNTHETIC world as maps: two sheets of nine panels, a cube's pixel for a pixel."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from infra.figures.panels import (
    LAND_COVER,
    SIDE,
    Classes,
    Drawing,
    Steps,
    Subject,
    compass,
    landslides,
    make_subject,
    mechanism,
)
from infra.figures.style import INK, Sheet, bare

COLUMNS = 3
GAP, TITLE, HEAD = 24, 22, 78
BAR, WORDS = 72, 116
"""Height of a row's legends: of colour bars, and of up to six lines of words."""
NO_UNIT = "no unit"
BEND = (-1.5, -0.8, -0.4, -0.1, 0.1, 0.4, 0.8, 1.5)


@dataclass(frozen=True, slots=True)
class Panel:
    """One map: what it is called, and who draws it with its legend."""

    title: str
    draw: Drawing


TERRAIN = (
    Panel("1  Slope", Steps("slope", range(0, 50, 5), "viridis", "degrees", extend="max")),
    Panel("2  Aspect", compass),
    Panel("3  Relief in 2 km", Steps("relief", range(0, 900, 100), "viridis", "m", extend="max")),
    Panel(
        "4  Roughness (VRM, 270 m)", Steps("roughness", (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2), "magma", NO_UNIT)
    ),
    Panel("5  Plan curvature", Steps("plan_curvature", BEND, "PuOr_r", "0.01 m⁻¹, positive on noses")),
    Panel("6  Profile curvature", Steps("profile_curvature", BEND, "PuOr_r", "0.01 m⁻¹, positive where convex")),
    Panel(
        "7  Topographic position in 300 m",
        Steps("tpi", (-80, -40, -20, -5, 5, 20, 40, 80), "PuOr_r", "m above the mean of the disc"),
    ),
    Panel("8  Topographic wetness", Steps("twi", (3, 4, 5, 6, 7, 8, 9, 10), "viridis_r", NO_UNIT)),
    Panel(
        "9  Distance to river",
        Steps("river_distance", (0, 100, 200, 400, 600, 800, 1000, 1500), "cividis", "m", extend="max"),
    ),
)
SETTING = (
    Panel("10  Lithology (GLiM)", Classes("lithology")),
    Panel("11  Soil (WRB)", Classes("soil")),
    Panel("12  Land cover (WorldCover)", Classes("land_cover", LAND_COVER)),
    Panel("13  NDVI", Steps("ndvi", (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), "viridis_r", NO_UNIT)),
    Panel("14  Distance to fault", Steps("fault_distance", range(8), "cividis", "km", factor=1e-3, extend="max")),
    Panel("15  Focal mechanism", mechanism),
    Panel("16  Peak ground acceleration", Steps("pga", (0.4, 0.425, 0.45, 0.475, 0.5, 0.525, 0.55), "plasma_r", "g")),
    Panel("17  Peak ground velocity", Steps("pgv", range(40, 80, 5), "plasma_r", "cm s⁻¹")),
    Panel("Landslides (not an indicator)", landslides),
)


def draw_maps(folder: Path) -> None:
    """Both sheets, as `maps_terrain.png` and `maps_setting.png`."""
    with tempfile.TemporaryDirectory() as place:
        subject = make_subject(Path(place))
        _sheet(subject, TERRAIN, legends=(BAR, BAR, BAR)).save(folder / "maps_terrain.png")
        _sheet(subject, SETTING, legends=(WORDS, BAR, BAR)).save(folder / "maps_setting.png")


def _sheet(subject: Subject, panels: tuple[Panel, ...], *, legends: tuple[int, ...]) -> Sheet:
    """Rows of three panels; `legends` says how high the legends of each row are."""
    sheet = Sheet(COLUMNS * SIDE + (COLUMNS + 1) * GAP, HEAD + sum(TITLE + SIDE + legend for legend in legends))
    _head(sheet, subject)
    y = HEAD
    for row, legend in enumerate(legends):
        for column, panel in enumerate(panels[row * COLUMNS : (row + 1) * COLUMNS]):
            x = GAP + column * (SIDE + GAP)
            sheet.text(x, y + 4, panel.title, fontsize=9.5, weight="bold")
            axes, key = sheet.axes(x, y + TITLE, SIDE, SIDE), sheet.axes(x, y + TITLE + SIDE + 6, SIDE, legend - 20)
            panel.draw(subject, axes, key)
            bare(axes)
            _scale_bar(axes)
        y += TITLE + SIDE + legend
    return sheet


def _head(sheet: Sheet, subject: Subject) -> None:
    region, event = subject.world.settings.name, subject.world.event.title
    sheet.text(GAP, 14, f"SYNTHETIC: control indicators of the {region}", fontsize=14, weight="bold")
    sheet.text(GAP, 40, f"{event}; neither the place nor the quake exists. North is up; 30 m pixels.", fontsize=9)
    sheet.text(GAP, 56, "Pale blue: sea. Grey: no value, because a source has none there.", fontsize=9)


def _scale_bar(axes: Axes) -> None:
    """Two kilometres, in the lower left corner."""
    length = 2000 / 30
    axes.add_patch(Rectangle((6, SIDE - 25), length + 12, 20, facecolor="white", alpha=0.85, linewidth=0))
    axes.plot([12, 12 + length], [SIDE - 10] * 2, color=INK, linewidth=2, solid_capstyle="butt")
    axes.text(12 + length / 2, SIDE - 13, "2 km", ha="center", va="bottom", fontsize=7.5)
