"""The commands around model bundles: list and show them, verify them, build what is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markdown import Markdown
from rich.table import Column
from rich.table import Table as RichTable

from headscarp.errors import BadBundle
from headscarp.terminal import JsonOption, out, print_json, settings_with

if TYPE_CHECKING:
    from headscarp.pipeline.bundles import Listed

models = typer.Typer(no_args_is_help=True, help="Model bundles: what there is, whether it is sound, and archives.")

StoreOption = Annotated[Path | None, typer.Option("--model-store", help="Folder of model bundles")]
Names = Annotated[list[str] | None, typer.Argument(help="Bundles; all of the store where none is named")]


@models.command(name="list")
def list_models(model_store: StoreOption = None, as_json: JsonOption = False) -> None:  # noqa: FBT002
    """List the bundles of the model store."""
    from headscarp.pipeline.bundles import listed

    found = listed(settings_with(model_store=model_store).model_store)
    if as_json:
        print_json([one.to_json() for one in found])
        return
    out.print(_table(found))


@models.command()
def show(
    name: Annotated[str, typer.Argument(help="Bundle, or `champion` for the global one", show_default=False)],
    model_store: StoreOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show one bundle and its card; as JSON, its facts and its calibration."""
    from headscarp.core.manifest import CARD_FILE
    from headscarp.io.inputs.champions import CHAMPION, Champions
    from headscarp.pipeline.bundles import listed

    store = settings_with(model_store=model_store).model_store
    (found,) = listed(store, [Champions.load(store).everywhere if name == CHAMPION else name])
    if as_json:
        curve = found.manifest.calibration
        print_json(found.to_json() | {"calibration": curve and curve.to_json()})
        return
    out.print(_table([found]))
    card = found.folder / CARD_FILE
    if not card.is_file():
        raise BadBundle(f"{card}: expected a model card, found no such file")
    out.print(Markdown(card.read_text(encoding="utf-8")))


@models.command()
def verify(names: Names = None, model_store: StoreOption = None, as_json: JsonOption = False) -> None:  # noqa: FBT002
    """Load bundles as a prediction would and run each once; exit code 8 if one fails."""
    from headscarp.pipeline.bundles import verify_bundle
    from headscarp.pipeline.models import bundle_folder, bundle_names
    from headscarp.tables.coseismic import COSEISMIC

    store = settings_with(model_store=model_store).model_store
    folders = [bundle_folder(name, store) for name in names or bundle_names(store)]
    reasons: dict[str, str | None] = {}
    for folder in folders:
        try:
            verify_bundle(folder, table=COSEISMIC)
            reasons[folder.name] = None
        except BadBundle as error:
            reasons[folder.name] = str(error)
    if as_json:
        print_json([{"name": name, "ok": reason is None, "reason": reason} for name, reason in reasons.items()])
    else:
        for name, reason in reasons.items():
            out.print(f"{name}: {reason or 'ok'}", highlight=False, markup=False, soft_wrap=True)
    if failed := [name for name, reason in reasons.items() if reason]:
        raise BadBundle(f"{len(failed)} of {len(reasons)} bundles failed: {', '.join(failed)}")


@models.command()
def build(
    names: Names = None,
    out_folder: Annotated[Path, typer.Option("--out", help="Where archives go", file_okay=False)] = Path(".mar"),
    handler: Annotated[Path, typer.Option(help="Handler that goes into archives")] = Path("serving/handler.py"),
    config: Annotated[Path, typer.Option(help="Worker's configuration")] = Path("serving/model-config.yaml"),
    archive: Annotated[bool, typer.Option(help="Make archives, or only each bundle's STAC item")] = True,  # noqa: FBT002
    model_store: StoreOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Write the STAC item of each bundle beside it and pack it as a TorchServe archive (.mar)."""
    from headscarp.pipeline.archive import build_archive
    from headscarp.pipeline.bundles import write_item
    from headscarp.pipeline.models import bundle_folder, bundle_names

    store = settings_with(model_store=model_store).model_store
    made = []
    for folder in [bundle_folder(name, store) for name in names or bundle_names(store)]:
        facts = {"name": folder.name, "item": str(write_item(folder))}
        if archive:
            built = build_archive(folder, out_folder, handler=handler, config=config)
            facts |= {"archive": str(built.path), "sha256": built.sha256}
        made.append(facts)
    if as_json:
        print_json(made)
        return
    for facts in made:
        out.print(", ".join(f"{key} {value}" for key, value in facts.items()), highlight=False, soft_wrap=True)


def _table(found: list[Listed] | tuple[Listed, ...]) -> RichTable:
    names = Column("name", no_wrap=True)
    table = RichTable(names, "version", "quantity", "channels", "members", "trained on", "champion of", title="models")
    for one in found:
        facts = one.manifest
        worlds = " and SYNTHETIC worlds" if facts.synthetic else ""
        table.add_row(
            facts.name,
            facts.version,
            "calibrated coverage" if facts.calibration else "uncalibrated score",
            str(len(facts.channels)),
            str(facts.members),
            f"{len(facts.trained_on)} scenes{worlds}",
            ", ".join(one.champion_of) or "-",
        )
    return table
