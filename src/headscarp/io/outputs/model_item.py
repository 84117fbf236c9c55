"""A model bundle as a STAC item of the machine-learning model extension (MLM 1.5)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from pystac import Asset, Item, MediaType

import headscarp
from headscarp.core.manifest import CARD_FILE, MANIFEST_FILE, WEIGHTS_FILE, Manifest
from headscarp.core.types import Attributes

ITEM_FILE: Final = "mlm.json"
EXTENSIONS: Final = (
    "https://stac-extensions.github.io/mlm/v1.5.2/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "https://stac-extensions.github.io/version/v1.2.0/schema.json",
)
WHOLE_EARTH: Final = (-180.0, -90.0, 180.0, 90.0)
ANY_TIME: Final = {"start_datetime": "1900-01-01T00:00:00Z", "end_datetime": "9999-12-31T23:59:59Z"}
MEANING: Final = {
    "score": "Uncalibrated score in 0 to 1: it ranks places and is no probability",
    "coverage": "Share of the pixel's area expected to be covered by landslides",
}


def model_item(manifest: Manifest, bundle: Path, *, parameters: int) -> Item:
    """The item of a bundle; equal bundles give equal items.

    Args:
        manifest: Of the bundle.
        bundle: Its folder; assets are relative to it and carry size and sha256 of its files.
        parameters: Trained numbers, of all members together.
    """
    west, south, east, north = WHOLE_EARTH
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    item = Item(
        id=f"{manifest.name}-{manifest.version}",
        geometry={"type": "Polygon", "coordinates": [ring]},
        bbox=list(WHOLE_EARTH),
        datetime=None,
        properties={**ANY_TIME, **_described(manifest), **_mlm(manifest, parameters)},
        stac_extensions=list(EXTENSIONS),
    )
    for key, asset in _assets(manifest, bundle).items():
        item.add_asset(key, asset)
    return item


def item_text(item: Item) -> str:
    """As JSON with a line end."""
    return json.dumps(item.to_dict(include_self_link=False), indent=2, ensure_ascii=False) + "\n"


def _described(manifest: Manifest) -> Attributes:
    return {
        "title": f"{manifest.name} {manifest.version}",
        "description": f"{MEANING[manifest.quantity]}, on 30 m pixels after an earthquake.",
        "license": manifest.licence,
        "version": manifest.version,
        "bands": _bands(manifest),
        "headscarp:attribution": list(manifest.attribution),
        "headscarp:synthetic": manifest.synthetic,
        "headscarp:table_digest": manifest.table_digest,
        "headscarp:version": headscarp.__version__,
    }


def _bands(manifest: Manifest) -> list[dict[str, str]]:
    return [{"name": name} for name in manifest.channels]


def _mlm(manifest: Manifest, parameters: int) -> Attributes:
    return {
        "mlm:name": manifest.name,
        "mlm:architecture": "Multi-scale fully convolutional network with CBAM",
        "mlm:tasks": ["regression"],
        "mlm:framework": "PyTorch",
        "mlm:total_parameters": parameters,
        "mlm:pretrained": True,
        "mlm:pretrained_source": _training(manifest),
        "mlm:accelerator": None,
        "mlm:accelerator_constrained": False,
        "mlm:accelerator_summary": "Runs on any CPU, and on a CUDA GPU where one is given",
        "mlm:input": [_input(manifest)],
        "mlm:output": [_output(manifest)],
        "mlm:hyperparameters": _hyperparameters(manifest),
    }


def _training(manifest: Manifest) -> str:
    said = ", ".join(manifest.trained_on) or "not stated"
    return f"{said} (SYNTHETIC worlds among them)" if manifest.synthetic else said


def _input(manifest: Manifest) -> Attributes:
    size, needed = manifest.plan.size, ", ".join(sorted(manifest.required))
    return {
        "name": "predictors",
        "description": f"Physical units, NaN where missing; no answer where one of {needed or 'no channel'} is NaN",
        "bands": list(manifest.channels),
        "input": {
            "shape": [-1, len(manifest.channels), size, size],
            "dim_order": ["batch", "bands", "height", "width"],
            "data_type": "float32",
        },
    }


def _output(manifest: Manifest) -> Attributes:
    size = manifest.plan.size
    return {
        "name": manifest.quantity,
        "description": MEANING[manifest.quantity],
        "tasks": ["regression"],
        "result": {"shape": [-1, size, size], "dim_order": ["batch", "height", "width"], "data_type": "float32"},
    }


def _hyperparameters(manifest: Manifest) -> Attributes:
    return {
        "configuration": manifest.architecture.configuration,
        "width": manifest.architecture.width,
        "embedding": manifest.architecture.embedding,
        "members": manifest.members,
        "normalisation": manifest.normalisation,
        "absolute": sorted(manifest.absolute),
        "window": manifest.plan.size,
        "overlap": manifest.plan.overlap,
        "calibration": manifest.calibration.method if manifest.calibration else None,
    }


def _assets(manifest: Manifest, bundle: Path) -> dict[str, Asset]:
    # MLM wants the bands among the properties, STAC 1.1 allows them there only if an asset has them too.
    model = {"mlm:artifact_type": "safetensors.torch.save_file", "bands": _bands(manifest)}
    roles = ["mlm:model", "mlm:weights"]
    return {
        "weights": _asset(bundle / WEIGHTS_FILE, "Weights", "application/octet-stream", roles, **model),
        "manifest": _asset(bundle / MANIFEST_FILE, "Input contract", str(MediaType.JSON), ["metadata"]),
        "card": _asset(bundle / CARD_FILE, "Model card", "text/markdown", ["metadata"]),
    }


def _asset(path: Path, title: str, media_type: str, roles: list[str], **fields: Any) -> Asset:
    """A file beside the item, with size and sha256 (multihash)."""
    content = path.read_bytes()
    facts = {"file:size": len(content), "file:checksum": f"1220{hashlib.sha256(content).hexdigest()}"}
    return Asset(f"./{path.name}", title, None, media_type, roles, {**fields, **facts})
