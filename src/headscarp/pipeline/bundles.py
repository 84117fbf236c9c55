"""The model store as a whole: what is in it, whether it is sound, and what is made of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from headscarp.core.manifest import CARD_FILE, MANIFEST_FILE, WEIGHTS_FILE, Manifest
from headscarp.core.pci.table import Table
from headscarp.core.types import Attributes
from headscarp.errors import BadBundle, NotFound
from headscarp.io.inputs.champions import Champions
from headscarp.pipeline.archive import file_sha256
from headscarp.pipeline.models import bundle_folder, bundle_names


@dataclass(frozen=True, slots=True)
class Listed:
    """A bundle of the store."""

    folder: Path
    manifest: Manifest
    champion_of: tuple[str, ...]
    """`global`, and codes of regions."""

    def to_json(self) -> Attributes:
        """The facts of a line of the list."""
        found = self.manifest
        return {
            "name": found.name,
            "version": found.version,
            "quantity": found.quantity,
            "calibrated": found.calibration is not None,
            "members": found.members,
            "channels": list(found.channels),
            "required": sorted(found.required),
            "trained_on": list(found.trained_on),
            "synthetic": found.synthetic,
            "champion_of": list(self.champion_of),
        }


def listed(model_store: Path, names: Iterable[str] = ()) -> tuple[Listed, ...]:
    """Bundles of a model store: those named, or all of them.

    Raises:
        InvalidInput, NotFound: a name is none, or no bundle's.
        BadBundle: a manifest or `champions.json` is damaged.
    """
    champions = _champions(model_store)
    folders = [bundle_folder(name, model_store) for name in (tuple(names) or bundle_names(model_store))]
    return tuple(
        Listed(folder, Manifest.load(folder), champions.places_of(folder.name) if champions else ())
        for folder in folders
    )


def _champions(model_store: Path) -> Champions | None:
    """None where the store names none."""
    try:
        return Champions.load(model_store)
    except NotFound:
        return None


def verify_bundle(folder: Path, *, table: Table) -> Manifest:
    """Read a bundle as a prediction would, and run it once.

    Raises:
        BadBundle: a file is absent or not the manifest's, a weight is not finite, the bundle is another table's or
            lies under another name, its item describes other files, or its answer is not finite.
    """
    import numpy as np

    from headscarp.core.normalisation import EventStatistics
    from headscarp.ml.bundle import load_bundle
    from headscarp.ml.local import LocalPredictor

    manifest, network = load_bundle(folder, table_digest=table.digest)
    if manifest.name != folder.name:
        raise BadBundle(f"{folder}: expected a bundle named {folder.name}, found {manifest.name}")
    _check_item(folder)
    model = LocalPredictor(manifest, network).bound_to(EventStatistics.unknown(manifest.ranked))
    sample, window = (np.zeros((len(manifest.channels), side, side), np.float32) for side in (manifest.gate_px, 32))
    answer = model.gated([sample]).predict(window)
    if not np.isfinite(answer).all() or answer.min() < 0.0 or answer.max() > 1.0:
        raise BadBundle(f"{folder}: expected answers in 0 to 1, found {answer.min():g} to {answer.max():g}")
    return manifest


def _check_item(folder: Path) -> None:
    """An item is no part of a bundle that every bundle has; where there is one, it must be of these files."""
    import json

    from headscarp.io.outputs.model_item import ITEM_FILE

    path = folder / ITEM_FILE
    if not path.exists():
        return
    try:
        assets = json.loads(path.read_bytes())["assets"]
        said = {Path(asset["href"]).name: asset["file:checksum"] for asset in assets.values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadBundle(f"{path}: expected a STAC item with checksums, found {error!r}") from error
    for name in (MANIFEST_FILE, WEIGHTS_FILE, CARD_FILE):
        found = f"1220{file_sha256(folder / name)}"
        if said.get(name) != found:
            raise BadBundle(f"{path}: expected checksum {found} of {name}, found {said.get(name)}")


def write_item(folder: Path) -> Path:
    """Write the STAC item of a bundle into its folder; do so whenever a file of it changes.

    Raises:
        BadBundle: the bundle fails its own checks.
    """
    from headscarp.io.outputs.model_item import ITEM_FILE, item_text, model_item
    from headscarp.ml.bundle import load_bundle

    manifest, network = load_bundle(folder)
    if not (folder / CARD_FILE).is_file():
        raise BadBundle(f"{folder / CARD_FILE}: expected a model card, found no such file")
    parameters = sum(weights.numel() for weights in network.parameters())
    path = folder / ITEM_FILE
    path.write_text(item_text(model_item(manifest, folder, parameters=parameters)), encoding="utf-8")
    return path
