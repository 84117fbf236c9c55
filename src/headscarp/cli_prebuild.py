"""The command that fills the lattice of static layers ahead of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table as RichTable

from headscarp.terminal import JsonOption, SourcesOption, err, out, print_json, settings_with

if TYPE_CHECKING:
    from headscarp.pipeline.prebuild import Prebuilt

Box = tuple[float, float, float, float]


def prebuild(
    bbox: Annotated[
        Box | None,
        typer.Option("--bbox", help="West south east north, degrees; east of west crosses 180", metavar="W S E N"),
    ] = None,
    belt: Annotated[str | None, typer.Option("--belt", help="circum-pacific or alpine-himalayan")] = None,
    dask: Annotated[str | None, typer.Option("--dask", help="Address of a Dask scheduler")] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Threads, where there is no Dask", min=1)] = None,
    store: Annotated[str | None, typer.Option("--store", help="Folder, file:// or s3://bucket/prefix URL")] = None,
    sources: SourcesOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Make static layers ahead of time, so that at event time only the shaking is new; goes on where it was stopped."""
    from headscarp.pipeline.prebuild import prebuild_with
    from headscarp.pipeline.stages import Silent, Stages
    from headscarp.progress import Bars

    settings = settings_with(store=store, sources=sources, dask=dask, workers=workers)
    if as_json:
        found = prebuild_with(settings, bbox=bbox, belt=belt, stages=Stages(Silent()))
        print_json(found.to_json())
        return
    with Bars(err) as bars:
        found = prebuild_with(settings, bbox=bbox, belt=belt, stages=Stages(bars))
    _show(found)


def _show(found: Prebuilt) -> None:
    table = RichTable("zone", "blocks", title=f"lattice {found.digest[:16]}")
    for zone, count in found.zones.items():
        table.add_row(zone, str(count))
    out.print(table)
    out.print(
        f"{found.computed} blocks made, {found.read} stood there, {found.with_land} hold land; {found.seconds:.1f} s",
        highlight=False,
    )
    for channel, reason in found.reasons.items():
        where = f"{found.holes[channel]} blocks" if channel in found.holes else "every block"
        out.print(f"without {channel} in {where}: {reason}", highlight=False, markup=False)
