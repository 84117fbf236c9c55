"""Bundles: what is saved is what is loaded, and a bundle that was touched is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from headscarp.core.manifest import CARD_FILE, MANIFEST_FILE, WEIGHTS_FILE, Architecture, InputChannel, Manifest
from headscarp.core.normalisation import EventStatistics
from headscarp.core.predictor import Predictor
from headscarp.core.tiling import CropPlan
from headscarp.errors import BadBundle, BadRequest, InvalidInput
from headscarp.ml.bundle import load_bundle, save_bundle
from headscarp.ml.local import LocalPredictor, score_map
from headscarp.ml.network import build_network, score

MANIFEST = Manifest(
    name="tiny",
    version="1",
    inputs=(InputChannel("slope", "dem"), InputChannel("pga", "shaking", "ln")),
    required=frozenset({"pga", "slope"}),
    architecture=Architecture("C", 2),
    table_digest="00",
    plan=CropPlan(128, 88),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle with random weights."""
    torch.manual_seed(0)
    save_bundle(tmp_path / "tiny", MANIFEST, build_network(MANIFEST), card="# tiny\n")
    return tmp_path / "tiny"


def test_three_files_and_none_of_them_executable(folder: Path) -> None:
    assert sorted(p.name for p in folder.iterdir()) == sorted([MANIFEST_FILE, WEIGHTS_FILE, CARD_FILE])


def test_round_trip_to_the_bit(folder: Path, tmp_path: Path) -> None:
    manifest, network = load_bundle(folder)
    assert replace(manifest, weights_sha256="") == MANIFEST
    assert not network.training
    again = save_bundle(tmp_path / "again", manifest, network, card="# tiny\n")
    assert again == manifest
    assert (tmp_path / "again" / WEIGHTS_FILE).read_bytes() == (folder / WEIGHTS_FILE).read_bytes()


def test_a_changed_weight_is_refused(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS_FILE).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS_FILE).write_bytes(content)
    with pytest.raises(BadBundle, match="sha256"):
        load_bundle(folder)


def test_a_truncated_or_absent_file_is_refused(folder: Path) -> None:
    content = (folder / WEIGHTS_FILE).read_bytes()
    (folder / WEIGHTS_FILE).write_bytes(content[: len(content) // 2])
    with pytest.raises(BadBundle, match="sha256"):
        load_bundle(folder)
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(BadBundle, match=WEIGHTS_FILE):
        load_bundle(folder)


def forge(folder: Path, weights: bytes) -> None:
    """Replace the weights and make the digest agree."""
    import hashlib

    (folder / WEIGHTS_FILE).write_bytes(weights)
    plain = json.loads((folder / MANIFEST_FILE).read_text())
    plain["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    (folder / MANIFEST_FILE).write_text(json.dumps(plain))


def test_a_pickle_is_refused_even_with_the_right_digest(folder: Path) -> None:
    import io

    pickled = io.BytesIO()
    torch.save({"a": torch.zeros(1)}, pickled)
    forge(folder, pickled.getvalue())
    with pytest.raises(BadBundle, match="safetensors"):
        load_bundle(folder)


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    other = build_network(replace(MANIFEST, architecture=Architecture("C", 3)))
    forge(folder, save({name: tensor.contiguous() for name, tensor in other.state_dict().items()}))
    with pytest.raises(BadBundle, match="do not fit"):
        load_bundle(folder)


def test_weights_that_are_not_numbers_are_refused(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS_FILE)
    weights["decoder.head.bias"][:] = float("nan")
    forge(folder, save(weights))
    with pytest.raises(BadBundle, match=r"decoder\.head\.bias"):
        load_bundle(folder)


def test_another_pci_table_is_refused(folder: Path) -> None:
    assert load_bundle(folder, table_digest="00")[0].name == "tiny"
    with pytest.raises(BadBundle, match="PCI table"):
        load_bundle(folder, table_digest="11")


def test_local_predictor_is_a_predictor(folder: Path) -> None:
    model: Predictor = LocalPredictor(*load_bundle(folder))
    assert (model.name, model.version, model.quantity) == ("tiny", "1", "score")
    assert model.channels == ("slope", "pga")
    assert model.required == {"slope", "pga"}
    assert model.plan == CropPlan(128, 88)
    stack = np.random.default_rng(0).random((2, 30, 33)).astype(np.float32)
    stack[1, 2, 3] = np.nan
    out = model.predict(stack)
    assert out.shape == (30, 33)
    assert np.isnan(out).sum() == 1
    assert out.tobytes() == model.predict(stack).tobytes()


def test_a_model_that_the_event_normalises_is_bound_first(tmp_path: Path) -> None:
    by_event = replace(MANIFEST, normalisation="event", absolute=frozenset({"pga"}))
    torch.manual_seed(0)
    save_bundle(tmp_path, by_event, build_network(by_event), card="# tiny\n")
    model: Predictor = LocalPredictor(*load_bundle(tmp_path))
    assert model.ranked == ("slope", "pga")
    stack = np.random.default_rng(0).random((2, 32, 32)).astype(np.float32)
    with pytest.raises(BadRequest, match="statistics are not given"):
        model.predict(stack)
    with pytest.raises(InvalidInput, match="none of pga"):
        model.bound_to(EventStatistics.unknown(("slope",)))
    near, far = (EventStatistics.of({"slope": stack[0] * k, "pga": stack[1]}) for k in (1.0, 3.0))
    one, other = (model.bound_to(event).predict(stack) for event in (near, far))
    assert np.abs(one - other).max() > 1e-4
    assert np.array_equal(model.bound_to(near).predict(stack), one)


def test_a_model_of_training_statistics_does_not_look_at_the_event(folder: Path) -> None:
    model: Predictor = LocalPredictor(*load_bundle(folder))
    stack = np.random.default_rng(0).random((2, 32, 32)).astype(np.float32)
    assert model.ranked == ()
    bound = model.bound_to(EventStatistics({}))
    np.testing.assert_array_equal(bound.predict(stack), model.predict(stack))


def test_a_map_is_made_of_the_plan_s_windows(folder: Path) -> None:
    manifest, network = load_bundle(folder)
    stack = np.random.default_rng(1).random((2, 70, 50)).astype(np.float32)
    stack[0, 60, 49] = np.nan
    made = score_map(network, manifest, stack)
    assert list(zip(*np.nonzero(np.isnan(made)), strict=True)) == [(60, 49)]
    # The window of the core that begins at (40, 40): 44 px around it, nothing beyond the raster.
    seen = np.full((2, 128, 128), np.nan, np.float32)
    seen[:, 4 : 44 + 30, 4 : 44 + 10] = stack
    expected = score(network, manifest, seen)[44 : 44 + 30, 44 : 44 + 10]
    np.testing.assert_array_equal(made[40:, 40:], expected)
