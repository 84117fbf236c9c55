"""Manifests survive the round trip, and nothing else passes for one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headscarp.core import wire
from headscarp.core.learning.calibration import Calibration
from headscarp.core.manifest import MANIFEST_FILE, OLDER, Architecture, InputChannel, Manifest
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


CURVE = Calibration("beta", (0.1, 0.5, 0.9), (0.001, 0.02, 0.3))
CALIBRATED = replace(MANIFEST, calibration=CURVE, quantity="coverage", members=3)


def altered(**changes: Any) -> str:
    """The JSON of the manifest with some of its fields replaced; `...` removes one."""
    plain = json.loads(MANIFEST.to_json()) | changes
    return json.dumps({key: value for key, value in plain.items() if value is not ...})


def test_round_trip() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST
    assert MANIFEST.channels == ("slope", "pga", "lithology")


def test_a_calibrated_ensemble_survives_the_round_trip() -> None:
    again = Manifest.from_json(CALIBRATED.to_json())
    assert again == CALIBRATED
    assert again.calibration is not None
    assert again.calibration(0.3) == CURVE(0.3)


def test_the_format_before_knew_neither_calibration_nor_ensembles() -> None:
    lacking = dict.fromkeys(OLDER["headscarp-bundle/2"], ...)
    assert {"calibration", "members"} <= set(lacking)
    assert Manifest.from_json(altered(format="headscarp-bundle/2", **lacking)) == MANIFEST
    with pytest.raises(BadBundle, match=r"has no fields \['calibration', .*'members'\]"):
        Manifest.from_json(altered(format="headscarp-bundle/2"))


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        ({"coverages": [0.001, 0.3, 0.02]}, "coverages: expected a rise, found 0.02 after 0.3"),
        ({"scores": [0.1, 0.9, 0.5]}, "scores: expected a rise, found 0.5 after 0.9"),
        ({"scores": [0.1, 0.5, 0.5]}, "expected ascending scores"),
        ({"scores": [0.1, float("nan"), 0.9]}, "scores: expected numbers from 0 to 1, found nan"),
        ({"coverages": [0.0, 0.1, float("inf")]}, "coverages: expected numbers from 0 to 1, found inf"),
        ({"coverages": [0.0, 0.1, 1.5]}, "coverages: expected numbers from 0 to 1, found 1.5"),
        ({"coverages": [0.0, 0.1, 10**400]}, "coverages: expected numbers from 0 to 1, found 1000"),
        ({"coverages": [0.0, True, 0.2]}, "coverages: expected numbers from 0 to 1, found True"),
        ({"scores": [0.1, 0.5]}, "as many finite scores as coverages, got 2 and 3"),
        ({"scores": [], "coverages": []}, "got 0 and 0"),
        ({"scores": "123"}, "calibration.scores: expected list, found '123'"),
        ({"method": 3}, "calibration.method: expected str, found 3"),
        ({"scores": ...}, r"expected null or an object of .*found \['coverages', 'method'\]"),
        ({"slope": 1.0}, "found .*'slope'"),
    ],
)
def test_refuses_what_is_no_rising_curve(curve: dict[str, Any], message: str) -> None:
    plain = CURVE.to_json() | curve
    found = {key: value for key, value in plain.items() if value is not ...}
    with pytest.raises(BadBundle, match=f"calibration.*{message}|{message}"):
        Manifest.from_json(altered(calibration=found, quantity="coverage"))


def test_an_endpoint_tells_calibrations_apart() -> None:
    plain = wire.model_identity(MANIFEST)
    steeper = replace(CALIBRATED, calibration=Calibration("beta", CURVE.scores, (0.001, 0.02, 0.31)))
    names = {wire.model_identity(m) for m in (CALIBRATED, steeper)}
    assert plain == f"tiny/0.1.0@{'0' * 16}"
    assert len(names) == 2
    assert all(name.startswith(f"{plain}+") for name in names)


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
        ({"quantity": "coverage"}, "quantity 'coverage' without a calibration"),
        ({"calibration": CURVE.to_json()}, "quantity 'score' with a calibration"),
        ({"calibration": [0.1, 0.2]}, r"calibration: expected null or an object .*found \[0.1, 0.2\]"),
        ({"calibration": ...}, r"missing fields \['calibration'\]"),
        ({"members": 0}, "expected 1 to 32 members, found 0"),
        ({"members": True}, "members: expected int, found True"),
        ({"format": ["headscarp-bundle/2"]}, "format"),
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
