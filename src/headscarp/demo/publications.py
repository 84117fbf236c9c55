"""What a replay publishes, step by step: events, ShakeMap updates, changed ids, withdrawals."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from headscarp.core.event import Event
from headscarp.errors import InvalidInput
from headscarp.io.outputs.usgs_format import Json, ShakeMapRelease, detail_feature


@dataclass(frozen=True, slots=True)
class Publication:
    """From this moment on the event reads so; it replaces whatever shared one of its ids."""

    detail: Json
    """Event detail that lists every update so far, superseded and withdrawn ones included."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Product files that become readable, by path on the server."""
    after_s: float = 0.0
    """Seconds after the replay's start."""


Script = tuple[Publication, ...]


def publication(
    event: Event, releases: Sequence[ShakeMapRelease] = (), *, after_s: float = 0.0, status: str = "reviewed"
) -> Publication:
    """The event with all its ShakeMap updates so far, oldest first; status `deleted` withdraws the event."""
    files = {path: data for release in releases for path, data in release.files.items()}
    return Publication(detail_feature(event, releases, status=status), files, after_s)


def shakemap_script(event: Event, releases: Sequence[tuple[float, ShakeMapRelease]]) -> Script:
    """The event without ShakeMap at 0 s, then one publication per (seconds, update)."""
    steps = [publication(event)]
    for count, (after_s, _) in enumerate(releases, start=1):
        steps.append(publication(event, [release for _, release in releases[:count]], after_s=after_s))
    return tuple(steps)


def withdrawn(event: Event, *, after_s: float) -> Publication:
    """The withdrawal of the event by its author."""
    return publication(event, after_s=after_s, status="deleted")


def recorded_script(folder: Path) -> Script:
    """Recorded responses: event details (*.json, *.geojson, gzipped or not) in the order of their names.

    Files below `product/` in the folder are served under the same path from the first publication on.
    Recorded JSON that is no event detail is not part of a script.

    Raises:
        InvalidInput: a file that cannot be read as JSON, or no event detail at all.
    """
    names = ("*.json", "*.geojson", "*.json.gz", "*.geojson.gz")
    contents = [_json(path) for path in sorted(path for name in names for path in folder.glob(name))]
    details = [content for content in contents if content.get("type") == "Feature" and "properties" in content]
    if not details:
        raise InvalidInput(f"{folder}: expected recorded event details, found none in {len(contents)} JSON files")
    steps = [Publication(detail) for detail in details]
    product_files = sorted(path for path in (folder / "product").rglob("*") if path.is_file())
    steps[0] = replace(steps[0], files={p.relative_to(folder).as_posix(): p.read_bytes() for p in product_files})
    return tuple(steps)


def _json(path: Path) -> Json:
    try:
        data = path.read_bytes()
        content = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    except (OSError, EOFError, ValueError) as error:
        raise InvalidInput(f"{path}: expected JSON: {error}") from error
    return content if isinstance(content, dict) else {}
