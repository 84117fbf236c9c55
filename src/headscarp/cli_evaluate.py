"""The command that judges models on ground they have not seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer
from rich.table import Table as RichTable

from headscarp.terminal import JsonOption, err, out, print_json, settings_with

if TYPE_CHECKING:
    from headscarp.pipeline.evaluate import EvaluateOptions
    from headscarp.pipeline.stages import Watcher

Split = Literal["blocks", "events", "worlds", "released", "paper33"]
Profile = Literal["paper", "honest"]
WORLDS = 15
"""Where worlds judge and their number is not said."""
SHOWN = ("auc", "average_precision", "brier_skill", "area_ratio")


def evaluate(
    models: Annotated[
        list[str], typer.Option("--model", help="Baseline, released model, or headscarp-network; repeat")
    ],
    split: Annotated[Split, typer.Option("--split", help="What is held out together; released: nothing is trained")],
    events: Annotated[list[Path] | None, typer.Option("--events", help="Event folder; repeat", file_okay=False)] = None,
    profile: Annotated[Profile | None, typer.Option("--profile", help="Both where not given")] = None,
    worlds: Annotated[int | None, typer.Option("--worlds", help="SYNTHETIC worlds; 15 where they judge", min=0)] = None,
    world_px: Annotated[int, typer.Option(help="Side of a world in pixels", min=64)] = 512,
    ceiling_draws: Annotated[int, typer.Option(help="Redrawn worlds behind each ceiling", min=2)] = 40,
    folds: Annotated[int, typer.Option("--folds", help="Spatial folds of each event, for split blocks", min=2)] = 3,
    fold_files: Annotated[Path, typer.Option(help="Folder of committed spatial folds")] = Path("docs/results/folds"),
    calibrate: Annotated[bool, typer.Option("--calibrate", help="Judge calibrated twins too")] = False,  # noqa: FBT002
    draws: Annotated[int, typer.Option(help="Resamples behind each interval", min=100)] = 1000,
    seed: Annotated[int, typer.Option(help="Of every draw of the judging", min=0)] = 0,
    scratch: Annotated[Path, typer.Option("--scratch", help="Keeps worlds, cubes and maps")] = Path(".cache/evaluate"),
    report: Annotated[
        Path | None, typer.Option("--report", help="Folder of results; a page shows all splits in it")
    ] = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Judge models on ground they have not seen; goes on where it was stopped."""
    from headscarp.pipeline.evaluate import EvaluateOptions
    from headscarp.pipeline.judge import JudgeOptions
    from headscarp.pipeline.stages import Silent
    from headscarp.pipeline.subjects import WorldOptions
    from headscarp.progress import Bars

    count = (WORLDS if split == "worlds" else 0) if worlds is None else worlds
    options = EvaluateOptions(
        split=split,
        profiles=("paper", "honest") if profile is None else (profile,),
        folds=folds,
        worlds=WorldOptions(count=count, shape=(world_px, world_px), ceiling_draws=ceiling_draws),
        calibrate=calibrate,
        judge=JudgeOptions(draws=draws, seed=seed),
        kept_folds=fold_files,
    )
    if as_json:
        results = _evaluated(models, events or [], options, scratch, Silent())
    else:
        with Bars(err) as bars:
            results = _evaluated(models, events or [], options, scratch, bars)
    results["command"] = _command(models, events or [], split, count, calibrate=calibrate)
    if report is not None:
        _write(results, report, quiet=as_json)
    if as_json:
        print_json(results)
    else:
        _show(results)


def _evaluated(
    names: list[str], events: list[Path], options: EvaluateOptions, scratch: Path, watcher: Watcher
) -> dict[str, Any]:
    from headscarp.pipeline.contenders import open_contenders
    from headscarp.pipeline.evaluate import evaluate as judge
    from headscarp.tables.coseismic import COSEISMIC

    model_store = settings_with().model_store
    contenders = open_contenders(names, options.split, table=COSEISMIC, model_store=model_store, scratch=scratch)
    return judge(contenders, events, options, scratch=scratch, table=COSEISMIC, watcher=watcher)


def _command(models: list[str], events: list[Path], split: Split, worlds: int, *, calibrate: bool) -> str:
    """What was asked for, by names that mean something elsewhere."""
    words = ["headscarp evaluate --split", split, *(f"--events {e.resolve().name}" for e in events)]
    words += [f"--worlds {worlds}", *(f"--model {name}" for name in models)]
    return " ".join([*words, "--calibrate"] if calibrate else words)


def _write(results: dict[str, Any], folder: Path, *, quiet: bool) -> None:
    """Results first, so that they are there whatever becomes of the page, which shows all splits in the folder."""
    from headscarp.pipeline.report import write_report

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{results['split']}.json"
    path.write_text(json.dumps(_short(results)) + "\n", encoding="utf-8")
    splits = {name: folder / f"{name}.json" for name in get_args(Split)}
    first, *more = (json.loads(p.read_text(encoding="utf-8")) for p in splits.values() if p.is_file())
    page = write_report(first, folder, more=more)
    if not quiet:
        out.print(str(page), highlight=False, soft_wrap=True)


def _short(results: dict[str, Any]) -> Any:
    """With six significant digits, which is more than any interval is worth."""
    return json.loads(json.dumps(results), parse_float=lambda text: float(f"{float(text):.6g}"))


def _show(results: dict[str, Any]) -> None:
    """The honest scores on all pixels, by scene and model; what was not judged; who leaked."""
    table = RichTable("scene", "model", "prevalence", *SHOWN, title=f"split {results['split']}, all known pixels")
    for row in results["scores"]:
        if (row["profile"], row["ground"]) == ("honest", "all"):
            table.add_row(
                row["scene"], row["model"], _number(row.get("prevalence")), *(_number(row.get(n)) for n in SHOWN)
            )
    out.print(table)
    for gap in results["skipped"]:
        out.print("not judged: {model} on {scene}, {ground}: {reason}".format(**gap), highlight=False, markup=False)
    for leak in results["leaks"]:
        out.print("[bold red]leak[/]: {model} on {scene} is above the ceiling".format(**leak), highlight=False)


def _number(metric: Any) -> str:
    """The value; its interval is in the results."""
    value = metric["value"] if isinstance(metric, dict) else metric
    return "" if value is None else f"{value:.3f}"
