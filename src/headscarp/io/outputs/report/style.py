"""How charts look, and how they become one inline SVG each: equal data give equal bytes."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, GRID, BAND = "#222222", "#6b6b6b", "#dddddd", "#e9e9e9"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#332288", "#999933", "#cc6677", "#000000")
"""Of the palettes of Okabe and Ito (2008) and of Paul Tol's muted scheme: dark enough for thin lines on white."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "text.color": INK,
    "text.parse_math": False,
    "svg.fonttype": "none",
}


@dataclass(frozen=True, slots=True)
class Look:
    """What tells one model from the others; markers differ for readers without colour."""

    colour: str
    marker: str
    dash: Any


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for each name, a function of the sorted names so that all charts of a page agree."""
    return {
        name: Look(COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)], DASHES[(n + n // len(COLOURS)) % len(DASHES)])
        for n, name in enumerate(sorted(set(names)))
    }


OTHERS = Look("#b5b5b5", "None", "-")
"""Of models that stand behind the ones a chart is about."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with its words."""

    name: str
    """Safe in file names and as a prefix of ids."""
    title: str
    caption: str
    """How to read it."""
    description: str
    """The caption and what it shows, for readers who do not see it."""
    svg: str


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """A figure of so many inches in the charts' style, laid out without overlaps."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        yield Figure(figsize=(width, height), layout="constrained", facecolor="white")


def chart(figure: Figure, name: str, title: str, caption: str, shown: str = "") -> Chart:
    """Turn a figure into a chart; call it within `drawing`. `shown` says in words what is seen, beyond the caption."""
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": f"headscarp {name}"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    description = f"{caption} {shown}".strip()
    return Chart(name, title, caption, description, _inline(buffer.getvalue(), name, title, description))


def write_svg(drawn: Chart, path: Path) -> None:
    """A chart as a file of its own; equal charts give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{drawn.svg}\n', encoding="utf-8")


def _inline(svg: str, name: str, title: str, description: str) -> str:
    """The bare `svg` element: ids of its own, no date, no style that reaches beyond it, words for all readers."""
    text = svg[svg.index("<svg") :]
    for pattern in (r"<metadata>.*?</metadata>", r"<style.*?</style>", r"<!--.*?-->", r"<defs>\s*</defs>"):
        text = re.sub(pattern, "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text).replace("url(#", f"url(#{name}-")
    text = re.sub(r'\b(d|x|y)="[^"]*"', lambda m: re.sub(r"(\.\d\d)\d+", r"\1", m[0]), text)  # a hundredth of a point
    head, _, body = text.partition(">")
    points = float(re.search(r'width="([\d.]+)pt"', head)[1])  # type: ignore[index]
    head = re.sub(r'(width|height)="[\d.]+pt"', "", head)
    words = f'<title id="{name}-t">{html.escape(title)}</title><desc id="{name}-d">{html.escape(description)}</desc>'
    style = f"max-width:{points / 72:.2f}in;stroke-linejoin:round;stroke-linecap:butt"
    attributes = f'role="img" aria-labelledby="{name}-t {name}-d" style="{style}"'
    return re.sub(r"[ \t]*\n[ \t]*", "\n", f"{head} {attributes}>{words}{body}").strip()


def rows_axes(axes: Axes, labels: Sequence[str], *, named: bool) -> None:
    """One row for each label, the first on top; light lines lead the eye."""
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), labels=list(labels) if named else [""] * len(labels))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="both")
    axes.spines["left"].set_visible(False)


def interval(axes: Axes, row: float, value: float, low: float | None, high: float | None, look: Look) -> None:
    """A marker, and its interval as a line where there is one."""
    if low is not None and high is not None:
        axes.plot([low, high], [row, row], color=look.colour, linewidth=1.6, solid_capstyle="butt", zorder=2)
    axes.plot([value], [row], color=look.colour, marker=look.marker, markersize=5.5, linestyle="none", zorder=3)


def legend(figure: Figure, models: Sequence[str], seen: Mapping[str, Look]) -> None:
    """Names beneath a figure, four to a line."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, linestyle=look.dash, markersize=5, label=shortened(model))
        for model, look in ((model, seen[model]) for model in models)
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=4, frameon=False, fontsize=8, handlelength=3)


def shortened(words: str, length: int = 34) -> str:
    """A label that fits; the table has it whole."""
    return words if len(words) <= length else f"{words[: length - 1]}\u2026"
