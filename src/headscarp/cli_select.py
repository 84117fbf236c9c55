"""The command that ranks and prunes control indicators."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headscarp.terminal import JsonOption, out, print_json


def select_indicators(
    events: Annotated[list[Path] | None, typer.Option(help="Event folder with an inventory; repeat for more")] = None,
    worlds: Annotated[int, typer.Option(help="SYNTHETIC worlds to look at beside them", min=0)] = 0,
    figure: Annotated[Path | None, typer.Option(help="SVG to draw, the paper's Figure 2", dir_okay=False)] = None,
    trace: Annotated[Path | None, typer.Option(help="JSON file for every step", dir_okay=False)] = None,
    scratch: Annotated[Path, typer.Option(help="Keeps worlds and cubes")] = Path(".cache/select"),
    seed: Annotated[int, typer.Option(help="Of samples, shuffles and resamples", min=0)] = 0,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Rank control indicators by information gain and prune those that others repeat, per event and together."""
    import json

    from headscarp import reports
    from headscarp.io.outputs.report.ranking import ranking_chart
    from headscarp.io.outputs.report.style import write_svg
    from headscarp.io.store import open_store
    from headscarp.pipeline.select import read_scenes, select
    from headscarp.tables.coseismic import PAPER_CHANNELS

    scenes = read_scenes(events or [], worlds, store=open_store(scratch / "store"), scratch=scratch)
    found = select(scenes, PAPER_CHANNELS, seed=seed)
    if trace is not None:
        trace.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if figure is not None:
        write_svg(ranking_chart(found), figure)
    if as_json:
        print_json(found)
        return
    out.print(reports.selection(found))
