"""Find a model by name and give it the shape every model has."""

from __future__ import annotations

from pathlib import Path

from headscarp.core.hazard.jessee import NowickiJessee
from headscarp.core.manifest import Manifest
from headscarp.core.pci.table import Table
from headscarp.core.predictor import Predictor
from headscarp.errors import BadBundle, NotFound

USGS_MODEL = "nowicki_jessee_2018"


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
        NotFound: no such bundle in the model store.
        BadBundle: the bundle fails its own checks, or was made for another table.
    """
    if name == USGS_MODEL:
        return NowickiJessee()
    folder = model_store / name
    if not (folder / "manifest.json").is_file():
        known = sorted(p.parent.name for p in model_store.glob("*/manifest.json"))
        raise NotFound(f"model {name!r}: expected {USGS_MODEL} or one of {known} in {model_store}")
    if endpoint:
        from headscarp.io.endpoint import EndpointPredictor

        manifest = Manifest.load(folder)
        if manifest.table_digest != table.digest:
            raise BadBundle(f"{folder}: made for table {manifest.table_digest[:8]}, but this is {table.digest[:8]}")
        return EndpointPredictor(endpoint, manifest, token_file=token_file, timeout_s=timeout_s)
    from headscarp.ml.bundle import load_bundle
    from headscarp.ml.local import LocalPredictor

    return LocalPredictor(*load_bundle(folder, table_digest=table.digest))
