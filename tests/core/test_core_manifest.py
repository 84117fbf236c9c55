"""Manifests survive the round trip, and nothing else passes for one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headscarp.core.manifest import MANIFEST_FILE, Architecture, InputChannel, Manifest
from headscarp.core.tiling import CropPlan
from headscarp.errors import BadBundle

MANIFEST = Manifest(
    name="tiny",
    version="0.1.0",
    inputs=(
        InputChannel("slope", "dem"),
        InputChannel("pga", "shaking", "ln"),
        InputChannel("lithology", "lithology", "code", 16),
    ),
    required=frozenset({"slope", "pga"}),
    architecture=Architecture("C", 8),
    table_digest="ab" * 32,
    plan=CropPlan(size=160, overlap=88),
    weights_sha256="0" * 64,
    trained_on=("usp000e12e", "synthetic-100"),
    synthetic=True,
    attribution=("AW3D30 (c) JAXA",),
)


def altered(**changes: Any) -> str:
    """The JSON of the manifest with some of its fields replaced; `...` removes one."""
    plain = json.loads(MANIFEST.to_json()) | changes
    return json.dumps({key: value for key, value in plain.items() if value is not ...})


def test_round_trip() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST
    assert MANIFEST.channels == ("slope", "pga", "lithology")


def test_equal_manifests_give_equal_bytes() -> None:
    same = replace(MANIFEST, required=frozenset({"pga", "slope"}))
    assert same.to_json() == MANIFEST.to_json()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "headscarp-bundle/9"}, "format"),
        ({"format": ...}, "format"),
        ({"inputs": ...}, r"missing fields \['inputs'\]"),
        ({"pickle": "os.system"}, r"unknown fields \['pickle'\]"),
        ({"inputs": []}, "channels"),
        ({"inputs": "slope"}, "inputs: expected list"),
        ({"inputs": [{"name": "slope"}]}, "missing fields"),
        ({"inputs": [{"name": "slope", "source": "dem", "transform": "exp", "classes": 0}]}, "required|transform"),
        ({"inputs": [{"name": "slope", "source": "dem", "transform": "ln", "classes": True}]}, "classes"),
        ({"required": ["pgv"]}, "pgv"),
        ({"architecture": {"configuration": "Z", "width": 8, "embedding": 4}}, "configuration 'Z'"),
        ({"architecture": {"configuration": "C", "width": 10**9, "embedding": 4}}, "width"),
        ({"architecture": {"configuration": "C", "width": "8", "embedding": 4}}, "width: expected int"),
        ({"plan": {"size": 448, "overlap": 90}}, "stride"),
        ({"quantity": "probability"}, "quantity"),
        ({"weights_sha256": "abc"}, "weights_sha256"),
        ({"synthetic": "no"}, "synthetic: expected bool"),
        ({"name": "../../etc"}, "safe in file names"),
        ({"version": ""}, "safe in file names"),
    ],
)
def test_refuses_what_is_not_a_manifest(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadBundle, match=message):
        Manifest.from_json(altered(**changes))


@given(st.text(max_size=40) | st.binary(max_size=40))
def test_refuses_noise(noise: str | bytes) -> None:
    with pytest.raises(BadBundle):
        Manifest.from_json(noise)


def test_load_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(BadBundle, match=MANIFEST_FILE):
        Manifest.load(tmp_path)
    (tmp_path / MANIFEST_FILE).write_text("{}")
    with pytest.raises(BadBundle, match=MANIFEST_FILE):
        Manifest.load(tmp_path)
    (tmp_path / MANIFEST_FILE).write_text(MANIFEST.to_json())
    assert Manifest.load(tmp_path) == MANIFEST
