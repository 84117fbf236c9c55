"""Find a model by name and give it the shape every model has."""

from __future__ import annotations

from pathlib import Path

from headscarp.core.hazard.jessee import NowickiJessee
from headscarp.core.manifest import MANIFEST_FILE, SAFE_NAME, Manifest
from headscarp.core.pci.table import Table
from headscarp.core.predictor import Predictor
from headscarp.errors import BadBundle, InvalidInput, NotFound

USGS_MODEL = "nowicki_jessee_2018"


def bundle_names(model_store: Path) -> tuple[str, ...]:
    """Bundles of a model store, in alphabetical order."""
    return tuple(sorted(path.parent.name for path in Path(model_store).glob(f"*/{MANIFEST_FILE}")))


def bundle_folder(name: str, model_store: Path) -> Path:
    """Folder of the bundle `name`, which lies in the model store and nowhere else.

    Raises:
        InvalidInput: the name could lead out of the model store.
        NotFound: no such bundle.
    """
    if SAFE_NAME.fullmatch(name) is None:
        raise InvalidInput(f"model {name!r}: expected letters, digits, '.', '_' and '-', a letter or digit first")
    folder = Path(model_store) / name
    if not (folder / MANIFEST_FILE).is_file():
        known = ", ".join((USGS_MODEL, *bundle_names(model_store)))
        raise NotFound(f"model {name!r}: expected one of {known} in {model_store}")
    return folder


def open_predictor(
    name: str,
    *,
    table: Table,
    model_store: Path,
    endpoint: str | None = None,
    token_file: Path | None = None,
    timeout_s: float = 60.0,
) -> Predictor:
    """The model called `name`: a closed formula, a bundle in process, or the same bundle at an endpoint.

    Raises:
        InvalidInput: the name is none.
        NotFound: no such bundle in the model store.
        BadBundle: the bundle fails its own checks, or was made for another table.
    """
    if name == USGS_MODEL:
        return NowickiJessee()
    folder = bundle_folder(name, model_store)
    if endpoint:
        from headscarp.io.endpoint import EndpointPredictor

        manifest = Manifest.load(folder)
        if manifest.table_digest != table.digest:
            raise BadBundle(f"{folder}: made for table {manifest.table_digest[:8]}, but this is {table.digest[:8]}")
        return EndpointPredictor(endpoint, manifest, token_file=token_file, timeout_s=timeout_s)
    from headscarp.ml.bundle import load_bundle
    from headscarp.ml.local import LocalPredictor

    return LocalPredictor(*load_bundle(folder, table_digest=table.digest))
