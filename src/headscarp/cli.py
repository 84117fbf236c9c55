"""The command line: settings in, pipeline called, results shown to people or machines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table as RichTable

from headscarp import __version__, log
from headscarp.cli_dataset import dataset, ingest_inventory
from headscarp.cli_evaluate import evaluate
from headscarp.cli_models import models as models_commands
from headscarp.cli_prebuild import prebuild
from headscarp.cli_select import select_indicators
from headscarp.cli_train import train
from headscarp.errors import HeadscarpError, StoreError
from headscarp.terminal import JsonOption, SourcesOption, err, out
from headscarp.terminal import print_json as _print_json
from headscarp.terminal import settings_with as _settings

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Maps where an earthquake has probably set off landslides, minutes after its ShakeMap.",
    epilog="Exit codes: 0 done, 2 invalid input, 3 not found, 4 no ShakeMap yet, 5 a service is away (try again), "
    "6 the store refused, 7 another worker is at it, 8 the parts do not fit together; doctor ends with 1 on trouble.",
)
app.add_typer(dataset, name="dataset")
app.add_typer(models_commands, name="models")
app.command(name="ingest")(ingest_inventory)
app.command()(prebuild)
app.command()(train)
app.command(name="select")(select_indicators)
app.command()(evaluate)

Source = Annotated[
    str, typer.Argument(help="USGS event id, detail GeoJSON (file or URL), or event folder", show_default=False)
]
StoreOption = Annotated[str | None, typer.Option("--store", help="Folder, file:// or s3://bucket/prefix URL")]
ModelOption = Annotated[list[str] | None, typer.Option("--model", help="Model to run; repeat for more")]
EndpointOption = Annotated[str | None, typer.Option("--endpoint", help="URL of the inference endpoint")]


def main() -> None:
    """Entry point: errors of ours become one line and their exit code."""
    try:
        app(standalone_mode=True)
    except HeadscarpError as error:
        _complain(error)
        raise SystemExit(error.exit_code) from None
    except OSError as error:  # a full disk or a folder without rights, outside the store
        err.print(f"[bold red]{type(error).__name__}[/]: ", end="")
        err.print(str(error), markup=False, highlight=False)
        raise SystemExit(StoreError.exit_code) from None


def _complain(error: HeadscarpError) -> None:
    advice = " [dim](the same command may be repeated)[/]" if error.retry else ""
    err.print(f"[bold red]{type(error).__name__}[/]: ", end="")
    err.print(str(error), markup=False, highlight=False, end="")
    err.print(advice)


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Any]:
    """A watcher that draws progress bars on stderr, or says nothing for machines."""
    from headscarp.pipeline.stages import Silent

    if quiet:
        yield Silent()
        return
    from headscarp.progress import Bars

    with Bars(err) as bars:
        yield bars


@app.callback(invoke_without_command=True)
def _prepare(version: Annotated[bool, typer.Option("--version", help="Print the version")] = False) -> None:  # noqa: FBT002
    if version:
        out.print(__version__, highlight=False)
        raise typer.Exit
    log.set_up(json_lines=_settings().log_json)


@app.command()
def respond(
    source: Source,
    store: StoreOption = None,
    model: ModelOption = None,
    endpoint: EndpointOption = None,
    sources: SourcesOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Answer one quake: build its cube, run the models, publish the product."""
    from headscarp.pipeline.assemble import open_client, open_workshop
    from headscarp.pipeline.quake import load_quake
    from headscarp.pipeline.respond import respond as answer

    settings = _settings(store=store, models=tuple(model or ()), endpoint=endpoint, sources=sources)
    with open_client(settings) as client, _shown(quiet=as_json) as watcher:
        quake = load_quake(source, client)
        response = answer(quake, open_workshop(settings), watcher=watcher)
    if as_json:
        _print_json({"run": response.run.id, "item": response.item, "seconds": response.seconds, "new": response.new})
        return
    _print_seconds(response.seconds, title=f"{quake.event.title}")
    out.print("published" if response.new else "was published before", end=": ")
    out.print(response.item, highlight=False, soft_wrap=True)


@app.command()
def predict(
    source: Source,
    model: Annotated[str, typer.Option("--model", help="Model to run")],
    out_file: Annotated[Path, typer.Option("--out", help="GeoTIFF to write", dir_okay=False)],
    endpoint: EndpointOption = None,
    sources: SourcesOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Write one model's map as a Cloud-Optimized GeoTIFF and publish nothing."""
    from headscarp.pipeline.assemble import models_at, open_client, open_registry
    from headscarp.pipeline.quake import load_quake
    from headscarp.pipeline.write import write_map

    settings = _settings(models=(model,), endpoint=endpoint, sources=sources)
    with open_client(settings) as client, _shown(quiet=as_json) as watcher:
        quake = load_quake(source, client)
        models = models_at(quake.event, settings)
        written = write_map(
            quake,
            models.predictors[0],
            out_file,
            registry=open_registry(settings),
            region=models.region,
            watcher=watcher,
        )
    if as_json:
        facts = {"file": str(out_file), "missing": list(written.degraded), "quantity": written.quantity}
        _print_json(facts | {"model": written.label, "region": models.region})
        return
    missing = f", without {', '.join(written.degraded)}" if written.degraded else ""
    out.print(f"{out_file}: {written.quantity} of {written.name}{missing}", highlight=False)


@app.command()
def watch(
    once: Annotated[bool, typer.Option("--once", help="Look once and return")] = False,  # noqa: FBT002
    interval: Annotated[float, typer.Option(help="Seconds between looks", min=1.0)] = 60.0,
    store: StoreOption = None,
    sources: SourcesOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Watch the USGS feed and answer quakes in this process, without Prefect."""
    from headscarp.pipeline.attend import attend

    settings = _settings(store=store, sources=sources)
    for sightings in attend(settings, interval=interval, once=once):
        if as_json:
            _print_json(
                [{"event": s.event, "action": s.decision.action, "reason": s.decision.reason} for s in sightings]
            )
            continue
        for sighting in sightings:
            out.print(f"{sighting.title}: {sighting.decision.action}, {sighting.decision.reason}", highlight=False)


@app.command()
def doctor(
    store: StoreOption = None,
    endpoint: EndpointOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Check Java, GDAL, store, endpoint and sources, and say what to do about each."""
    from headscarp.pipeline.examine import examine

    findings = examine(_settings(store=store, endpoint=endpoint))
    if as_json:
        _print_json([finding.to_json() for finding in findings])
    else:
        table = RichTable("check", "state", "found", "what to do", title="headscarp doctor")
        for f in findings:
            table.add_row(f.check, "[green]ok[/]" if f.ok else "[red]trouble[/]", f.found, f.advice)
        out.print(table)
    raise typer.Exit(0 if all(f.ok for f in findings) else 1)


@app.command()
def demo(
    event: Annotated[str | None, typer.Option(help="USGS event id; a synthetic quake where not given")] = None,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its store, logs and servers")] = Path(".demo"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what an earlier demo published")] = False,  # noqa: FBT002
    stay: Annotated[bool | None, typer.Option("--stay/--exit", help="Serve on when done, as on a terminal")] = None,
    services_only: Annotated[bool, typer.Option("--services-only", help="Start servers and wait")] = False,  # noqa: FBT002
    down: Annotated[bool, typer.Option("--down", help="Stop what an earlier demo left running")] = False,  # noqa: FBT002
) -> None:
    """Run the whole service on this machine: S3, TorchServe, Prefect, a replayed quake, the map page."""
    from headscarp.demo.run import DemoSettings, run_demo, stop_demo

    if down:
        out.print(f"stopped {stop_demo(folder)} processes", highlight=False)
        return
    stay = out.is_terminal if stay is None else stay
    run_demo(DemoSettings(folder=folder, event=event, fresh=fresh, stay=stay, services_only=services_only), console=out)


def _print_seconds(seconds: dict[str, float], *, title: str) -> None:
    if not seconds:
        return
    table = RichTable("stage", "seconds", title=title)
    for stage, value in seconds.items():
        table.add_row(stage, f"{value:.2f}")
    table.add_row("total", f"{sum(seconds.values()):.2f}", style="bold")
    out.print(table)
