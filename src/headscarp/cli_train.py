"""`headscarp train`: the released models, made again."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from headscarp.terminal import err, out

EVENTS = ("us_usp000e12e_kashmir2005", "us_us20002926_gorkha2015_30m", "us_usp000g650_wenchuan2008_30m")
"""Folders of the real events that the small model learns from."""
KASHMIR = "Landslide polygons of Kashmir 2005: York coursework repository; terrain: AW3D30 of JAXA"


class Size(StrEnum):
    """How wide."""

    SMALL = "small"
    FULL = "full"


def train(
    size: Annotated[Size, typer.Option(help="small: two cores, a quarter of an hour; full: the paper's, on a GPU")] = (
        Size.SMALL
    ),
    out_folder: Annotated[Path, typer.Option("--out", help="Model store to write to")] = Path("model_store"),
    data: Annotated[Path, typer.Option(help="Folder with the event folders")] = Path("../shared/data/events"),
    events: Annotated[list[str] | None, typer.Option("--event", help="Event folder in there; repeat for more")] = None,
    scratch: Annotated[Path, typer.Option(help="Keeps worlds, cubes and checkpoints")] = Path(".cache/train"),
    device: Annotated[str, typer.Option(help="cpu, cuda, or cuda:N; torchrun spreads it over processes")] = "cpu",
) -> None:
    """Train a released model again, on synthetic worlds and real events; goes on where it was stopped."""
    from headscarp.ml.placement import Placement
    from headscarp.pipeline.train import Seeds, full_model, small_model, train_model
    from headscarp.progress import Bars

    settings = (small_model if size is Size.SMALL else full_model)(attribution=(KASHMIR,) if events is None else ())
    placement = Placement.here(device)
    with Bars(err) as watcher:
        manifest = train_model(
            settings,
            folders=[data / name for name in events or EVENTS],
            worlds=Seeds(),
            out=out_folder / settings.name,
            scratch=scratch,
            placement=placement,
            watcher=watcher,
        )
    out.print(f"{out_folder / manifest.name}: version {manifest.version}", highlight=False)
