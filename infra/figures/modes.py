"""The table of modes beside the paper's ranges, written into the page between two marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from infra.figures.bins import INDICATORS, Indicator
from infra.figures.counts import Counted

BEGIN, END = "<!-- modes: written by make figures -->", "<!-- end of modes -->"
WITH_RANGE = tuple(indicator for indicator in INDICATORS if indicator.paper)


def write_modes(counted: Sequence[Counted], page: Path) -> None:
    """Replace what stands between the marks of a page.

    Raises:
        ValueError: the page has not exactly one pair of marks.
    """
    text = page.read_text("utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{page}: expected {BEGIN!r} and {END!r} once each")
    before, _, rest = text.partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{table(counted)}\n{END}{rest.partition(END)[2]}", "utf-8")


def table(counted: Sequence[Counted]) -> str:
    """A Markdown table: rows of events, a column for each indicator with a range in the paper."""
    head = ["event", *(f"{i.title}, {i.unit}" for i in WITH_RANGE)]
    paper = ["**the paper, Figure S3**", *(f"**{i.paper[0]:g} to {i.paper[1]:g}**" for i in WITH_RANGE if i.paper)]
    rows = [[event.name, *(_mode(event, indicator) for indicator in WITH_RANGE)] for event in counted]
    lines = [head, ["---"] * len(head), paper, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _mode(event: Counted, indicator: Indicator) -> str:
    """The most frequent class, whether it meets the paper's range, and the run of classes at least half as frequent."""
    found = event.frequencies.get(indicator.name)
    if found is None or indicator.paper is None:
        return "no layer"
    edges, (first, last) = indicator.edges, found.around_mode()
    low, high = edges[found.mode], edges[found.mode + 1]
    inside = low < indicator.paper[1] and high > indicator.paper[0]
    mark = "" if inside else ", outside"
    return f"{low:g} to {high:g}{mark} ({edges[first]:g} to {edges[last + 1]:g})"
