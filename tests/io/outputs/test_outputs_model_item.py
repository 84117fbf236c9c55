"""The STAC item of a bundle against the extension's schema, and against the bundle."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pystac.errors import STACValidationError
from pystac.validation.stac_validator import JsonSchemaSTACValidator

from headscarp.core.manifest import WEIGHTS_FILE
from headscarp.io.outputs.model_item import EXTENSIONS
from headscarp.pipeline.bundles import write_item
from tests.ml.bundled import CURVE, write_bundle

DRAFT = "http://json-schema.org/draft-07/schema#"
DATA_TYPES = ["int8", "int16", "uint8", "uint16", "float16", "float32", "float64", "other"]
REFERRED = {
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json": {
        "definitions": {"bands": {"items": {"properties": {"data_type": {"enum": DATA_TYPES}}}}}
    },
    "https://stac-extensions.github.io/processing/v1.1.0/schema.json": {
        "definitions": {"fields": {"properties": {"processing:expression": {"type": "object"}}}}
    },
}
"""The parts of two other schemas that the extension's refers to."""


@pytest.fixture
def item(tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(write_item(write_bundle(tmp_path, members=2, calibration=CURVE)).read_text())
    return found


def check(item: dict[str, Any], schemas: Path) -> list[str]:
    """URIs of the schemas that hold. Raises STACValidationError."""
    validator = JsonSchemaSTACValidator()
    for path in schemas.glob("*.json"):
        schema = json.loads(path.read_text())
        validator.schema_cache[schema["$id"].rstrip("#")] = schema
    for uri, schema in REFERRED.items():
        validator.schema_cache[uri] = {"$schema": DRAFT, **schema}
    core = validator.validate_core(item, "Feature", item["stac_version"])  # type: ignore[arg-type]
    found = [
        validator.validate_extension(item, "Feature", item["stac_version"], uri)  # type: ignore[arg-type]
        for uri in item["stac_extensions"]
    ]
    return [str(uri) for uri in (core, *found) if uri]


def test_it_is_valid(item: dict[str, Any], shared_schemas: Path) -> None:
    assert set(EXTENSIONS) <= set(check(item, shared_schemas))


@pytest.mark.parametrize("field", ["mlm:name", "mlm:architecture", "mlm:tasks", "mlm:input", "mlm:output"])
def test_the_schema_can_refuse(item: dict[str, Any], shared_schemas: Path, field: str) -> None:
    del item["properties"][field]
    with pytest.raises(STACValidationError, match=field):
        check(item, shared_schemas)


def test_it_describes_the_bundle(item: dict[str, Any], tmp_path: Path) -> None:
    said = item["properties"]
    assert (said["mlm:name"], said["version"], said["mlm:framework"]) == ("tiny", "1.0", "PyTorch")
    (given,), (made,) = said["mlm:input"], said["mlm:output"]
    assert given["bands"] == ["slope", "pga"] == [band["name"] for band in said["bands"]]
    assert given["input"]["shape"] == [-1, 2, 128, 128]
    assert given["input"]["dim_order"][1] == "bands"
    assert (made["name"], made["result"]["shape"]) == ("coverage", [-1, 128, 128])
    assert said["mlm:hyperparameters"]["members"] == 2 and said["mlm:hyperparameters"]["calibration"] == "beta"
    assert "SYNTHETIC" in said["mlm:pretrained_source"]
    weights, content = item["assets"]["weights"], (tmp_path / "tiny" / WEIGHTS_FILE).read_bytes()
    assert weights["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()
    assert weights["file:size"] == len(content) and "mlm:model" in weights["roles"]
    assert all(asset["href"].startswith("./") for asset in item["assets"].values())


def test_equal_bundles_give_equal_items(tmp_path: Path) -> None:
    first = write_item(write_bundle(tmp_path / "a")).read_bytes()
    assert write_item(write_bundle(tmp_path / "b")).read_bytes() == first
    assert b"/tmp" not in first
