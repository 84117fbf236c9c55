"""Model bundles on disk: manifest.json, weights.safetensors, CARD.md. Nothing in them is executable."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from headscarp.core.manifest import CARD_FILE, MANIFEST_FILE, WEIGHTS_FILE, Manifest
from headscarp.errors import BadBundle
from headscarp.ml.ensemble import build_model
from headscarp.ml.network import Scoring

MAX_FILE = 16 << 20
"""Bytes of a released file, so that it can be kept under version control."""
MEMBER = re.compile(r"(member[0-9]+)\.")


def save_bundle(folder: Path, manifest: Manifest, network: Scoring, *, card: str) -> Manifest:
    """Write a bundle; the manifest goes last, so that a folder with one is whole.

    Returns:
        The manifest with the digest of the weights filled in.

    Raises:
        BadBundle: the network is not the manifest's, or larger than a released file may be.
    """
    folder = Path(folder)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    _fitting(manifest, tensors, folder / WEIGHTS_FILE)
    weights = save(tensors)
    if len(weights) > MAX_FILE:
        raise BadBundle(f"{folder / WEIGHTS_FILE}: expected at most {MAX_FILE} bytes, found {len(weights)}")
    folder.mkdir(parents=True, exist_ok=True)
    manifest = replace(manifest, weights_sha256=hashlib.sha256(weights).hexdigest())
    for name, content in (
        (WEIGHTS_FILE, weights),
        (CARD_FILE, card.encode()),
        (MANIFEST_FILE, manifest.to_json().encode()),
    ):
        part = folder / f".{name}.part"
        part.write_bytes(content)
        part.replace(folder / name)
    return manifest


def load_bundle(folder: Path, *, table_digest: str | None = None) -> tuple[Manifest, Scoring]:
    """Read a bundle and verify it; its network or ensemble is in evaluation mode on the CPU.

    Args:
        folder: Holds the three files.
        table_digest: Digest of the PCI table in use; None leaves the comparison to the caller.

    Raises:
        BadBundle: a file is absent, the weights are not those of the manifest or do not fit its
            network, a weight is not finite, or the bundle was trained on another table.
    """
    folder = Path(folder)
    manifest = Manifest.load(folder)
    if table_digest is not None and manifest.table_digest != table_digest:
        raise BadBundle(f"{folder}: trained on PCI table {manifest.table_digest}, the table in use is {table_digest}")
    weights = _weights(folder / WEIGHTS_FILE, manifest.weights_sha256)
    return manifest, _fitting(manifest, weights, folder / WEIGHTS_FILE).eval()


def _fitting(manifest: Manifest, weights: dict[str, torch.Tensor], path: Path) -> Scoring:
    """The manifest's network with these weights. Raises BadBundle if they are another's."""
    found = len({match.group(1) for name in weights if (match := MEMBER.match(name))}) or 1
    if found != manifest.members:
        raise BadBundle(f"{path}: expected weights of {manifest.members} members, found {found}")
    network = build_model(manifest)
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise BadBundle(f"{path}: weights do not fit the manifest's network: {error}") from error
    return network


def _weights(path: Path, expected: str) -> dict[str, torch.Tensor]:
    """Read, verify and decode one weights file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadBundle(f"{path}: expected weights, found {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise BadBundle(f"{path}: expected sha256 {expected or 'in the manifest'}, found {found}")
    try:
        weights = load(content)
    except SafetensorError as error:
        raise BadBundle(f"{path}: expected safetensors, found {error}") from error
    if bad := [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]:
        raise BadBundle(f"{path}: weights are not finite: {bad}")
    return weights
