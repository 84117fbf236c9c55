"""The static map page, shipped as package data: what to publish beside a catalogue, and under which names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headscarp.errors import NotFound

FOLDER = Path(__file__).resolve().parent
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
"""Browsers refuse modules that come under another type, so stores must be told."""
VENDORED = ("maplibre-gl.mjs", "maplibre-gl-worker.mjs", "maplibre-gl.css", "pmtiles.js")
"""Third-party files without which the page cannot draw a map."""


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of the page."""

    key: str
    """Where it belongs, relative to the folder of the root catalogue."""
    path: Path
    content_type: str


def page_files(folder: Path = FOLDER) -> tuple[PageFile, ...]:
    """Every file of the page, `index.html` last, so that whoever sees it finds the rest.

    Raises:
        NotFound: the third-party files have not been fetched.
    """
    absent = [name for name in VENDORED if not (folder / "vendor" / name).is_file()]
    if absent:
        raise NotFound(f"map page: {', '.join(absent)} not in {folder / 'vendor'}; run `python infra/web/fetch.py`")
    index = folder / "index.html"
    parts = (PageFile(f"viewer/{p.relative_to(folder).as_posix()}", p, CONTENT_TYPES[p.suffix]) for p in _parts(folder))
    return (*parts, PageFile(index.name, index, CONTENT_TYPES[index.suffix]))


def _parts(folder: Path) -> Iterator[Path]:
    for place in (folder, folder / "vendor", folder / "app"):
        yield from sorted(p for p in place.iterdir() if p.suffix in CONTENT_TYPES and p.suffix != ".html")
