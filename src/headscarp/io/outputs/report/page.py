"""The page: one HTML file without scripts or anything fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from headscarp.io.outputs.report.results import ModelFacts
from headscarp.io.outputs.report.style import Chart
from headscarp.io.outputs.report.tables import NOT_JUDGED, Table

TEMPLATE = "page.html.jinja"


@dataclass(frozen=True, slots=True)
class Section:
    """One split."""

    title: str
    judged: str
    """What was judged and how."""
    answer: str
    tables: Sequence[Table]
    charts: Sequence[Chart]
    folded: Sequence[tuple[str, Sequence[Table]]]
    """Tables behind a fold, each with its words."""
    gaps: Sequence[str]
    """What was not judged."""


@dataclass(frozen=True, slots=True)
class Made:
    """How one split was made."""

    split: str
    command: str
    versions: str
    created: str


@dataclass(frozen=True, slots=True)
class Page:
    """Everything the template prints."""

    title: str
    synthetic: str
    """What is SYNTHETIC here; empty where nothing is."""
    lead: Sequence[str]
    sections: Sequence[Section]
    reading: Sequence[str]
    limits: Sequence[str]
    made: Sequence[Made]
    models: Sequence[tuple[str, ModelFacts]]
    not_judged: str = NOT_JUDGED


def render(page: Page) -> str:
    """The page as HTML; every name is escaped, equal pages give equal text."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = resources.files("headscarp.io.outputs.report").joinpath(TEMPLATE).read_text("utf-8")
    return environment.from_string(template).render(page=page)
