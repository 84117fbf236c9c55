"""Small bundles with random weights for the coseismic table: networks that run everywhere and know nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from headscarp.core.learning.calibration import Calibration
from headscarp.core.manifest import Architecture, InputChannel, Manifest
from headscarp.core.tiling import CropPlan
from headscarp.ml.bundle import save_bundle
from headscarp.ml.ensemble import build_model
from headscarp.tables.coseismic import COSEISMIC

CURVE = Calibration("beta", (0.1, 0.4, 0.5, 0.6, 0.9), (0.0, 0.01, 0.04, 0.1, 0.3))


def manifest_of(name: str = "tiny", **changes: Any) -> Manifest:
    """Slope and PGA in, normalised by the event; calibrated where a curve is given."""
    fields: dict[str, Any] = {
        "name": name,
        "version": "1.0",
        "inputs": (InputChannel("slope", "dem"), InputChannel("pga", "shaking", "ln")),
        "required": frozenset({"slope", "pga"}),
        "architecture": Architecture("C", 2),
        "table_digest": COSEISMIC.digest,
        "plan": CropPlan(128, 88),
        "normalisation": "event",
        "absolute": frozenset({"pga"}),
        "trained_on": ("nothing",),
        "synthetic": True,
    }
    quantity = "coverage" if changes.get("calibration") else "score"
    return Manifest(**(fields | {"quantity": quantity} | changes))


def write_bundle(store: Path, name: str = "tiny", *, seed: int = 0, **changes: Any) -> Path:
    """A bundle folder in a model store."""
    manifest = manifest_of(name, **changes)
    torch.manual_seed(seed)
    save_bundle(store / name, manifest, build_model(manifest), card=f"# {name}\n\nSYNTHETIC: random weights.\n")
    return store / name
