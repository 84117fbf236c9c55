"""The commands around inventories: take one in, make the training archive, list what it can be made of."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headscarp.terminal import JsonOption, SourcesOption, err, out, print_json, settings_with

if TYPE_CHECKING:
    from headscarp.pipeline.collect import Outcome

dataset = typer.Typer(no_args_is_help=True, help="The training archive: what can be learnt from, and making it.")


def ingest_inventory(
    file: Annotated[Path, typer.Argument(help="Inventory: polygons, a raster, or a zip archive of one of them")],
    event: Annotated[str, typer.Option("--event", help="USGS event id, detail GeoJSON, or event folder")],
    out_folder: Annotated[Path, typer.Option("--out", help="Event folder to make", file_okay=False)],
    date_attribute: Annotated[
        list[str] | None, typer.Option(help="Attribute that says when a slide was seen; twice for first and last day")
    ] = None,
    coseismic: Annotated[str | None, typer.Option(help="Instead of dates: 'FIELD in [1, 2]'")] = None,
    window_days: Annotated[int, typer.Option(help="Seen later than this after the quake: ignored", min=0)] = 365,
    extent: Annotated[str, typer.Option(help="Mapped ground: a file, `hull` or `event`")] = "hull",
    ignore: Annotated[Path | None, typer.Option(help="Ground of unknown label: polygons or a raster")] = None,
    layer: Annotated[str | None, typer.Option(help="Layer of a file that has several")] = None,
    landslide_value: Annotated[int | None, typer.Option(help="Value of landslide cells of a raster")] = None,
    quality: Annotated[str, typer.Option(help="How it was made; `weak` is never scored on")] = "unstated",
    layers: Annotated[bool, typer.Option(help="Fetch terrain and other layers of a USGS event")] = True,  # noqa: FBT002
    sources: SourcesOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Check, mend and date a landslide inventory, and make an event folder of it to learn from."""
    from headscarp import reports
    from headscarp.io.inputs.deposits import parse_extent
    from headscarp.io.inputs.inventory_dates import InventoryOptions
    from headscarp.pipeline.assemble import open_client, open_table_sources
    from headscarp.pipeline.ingest import ingest, open_subject

    settings = settings_with(sources=sources)
    options = InventoryOptions(
        tuple(date_attribute or ()), coseismic, window_days, layer, landslide_value,
        parse_extent(extent, Path()), ignore, quality,
    )  # fmt: skip
    with open_client(settings) as client:
        subject = open_subject(event, client)
    made = ingest(file, subject, options, out_folder, sources=open_table_sources(settings) if layers else None)
    if as_json:
        print_json(made.to_json())
        return
    out.print(reports.ingested(made))
    out.print(f"{made.folder}, drawn in {made.figure.name}", highlight=False, soft_wrap=True)


@dataset.command(name="build")
def build_dataset(
    inventories: Annotated[Path, typer.Option("--from", help="Folder of inventories and event folders")],
    out_folder: Annotated[Path, typer.Option("--out", help="Archive to make or go on with", file_okay=False)],
    events: Annotated[
        list[str] | None,
        typer.Option(help="Keys, USGS ids, folder names, `named`, `candidate`, `all`; commas part them"),
    ] = None,
    registry: Annotated[Path | None, typer.Option(help="Earthquake registry instead of the packaged one")] = None,
    sources: SourcesOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Make the training archive, an event folder per earthquake; goes on where it was stopped."""
    from headscarp import reports
    from headscarp.io.inputs.earthquakes import EarthquakeRegistry
    from headscarp.pipeline.assemble import open_client, open_table_sources
    from headscarp.pipeline.collect import Workplace, build_archive

    settings = settings_with(sources=sources)
    with open_client(settings) as client:
        workplace = Workplace(EarthquakeRegistry.load(registry), client, open_table_sources(settings))
        found = build_archive(events or ["all"], inventories, out_folder, workplace, told=_told)
    if as_json:
        print_json([asdict(outcome) for outcome in found])
    else:
        out.print(reports.outcomes(found))
    raise typer.Exit(next((outcome.exit_code for outcome in found if outcome.exit_code), 0))


@dataset.command(name="list")
def list_earthquakes(
    registry: Annotated[Path | None, typer.Option(help="Earthquake registry instead of the packaged one")] = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """List the earthquakes that can be learnt from, and where their public inventories lie."""
    from headscarp import reports
    from headscarp.io.inputs.earthquakes import EarthquakeRegistry

    found = EarthquakeRegistry.load(registry)
    if as_json:
        print_json([quake.model_dump(mode="json") for quake in found])
        return
    out.print(reports.earthquakes(found))


def _told(outcome: Outcome) -> None:
    """Progress, on stderr so that answers for machines stay whole."""
    if outcome.state != "absent":
        err.print(f"{outcome.name}: {outcome.state}", highlight=False)
