"""Ensembles are the mean of their members' log-odds, and a calibration is one curve applied in one place."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save
from scipy.special import expit, logit

from headscarp.core.manifest import MANIFEST_FILE, OLDER, WEIGHTS_FILE, Manifest
from headscarp.core.normalisation import EventStatistics
from headscarp.errors import BadBundle
from headscarp.ml import bundle as bundles
from headscarp.ml.bundle import load_bundle, save_bundle
from headscarp.ml.ensemble import Ensemble, build_model
from headscarp.ml.local import LocalPredictor, score_map
from headscarp.ml.network import Network, build_network, score
from tests.ml.bundled import CURVE, manifest_of, write_bundle

STACK = np.random.default_rng(0).uniform(0.05, 1.0, (2, 40, 36)).astype(np.float32)
EVENT = EventStatistics.of({"slope": STACK[0], "pga": STACK[1]})


def networks(count: int) -> list[Network]:
    torch.manual_seed(3)
    return [build_network(manifest_of()).eval() for _ in range(count)]


def test_the_score_is_the_sigmoid_of_the_mean_log_odds() -> None:
    members = networks(3)
    alone = [score(network, manifest_of(), STACK, statistics=EVENT).astype(np.float64) for network in members]
    assert np.ptp(alone, axis=0).max() > 1e-3
    together = score(Ensemble(members).eval(), manifest_of(members=3), STACK, statistics=EVENT)
    np.testing.assert_allclose(together, expit(np.mean(logit(alone), axis=0)), rtol=0, atol=1e-6)


def test_gates_go_to_their_own_members() -> None:
    ensemble, x = Ensemble(networks(2)).eval(), torch.from_numpy(STACK[None])
    from headscarp.ml.standardise import event_ranks

    ranks = event_ranks([EVENT], ensemble.ranked_names)
    with torch.inference_mode():
        gate = ensemble.gate_of(ensemble.pooled(x, ranks=ranks))
        assert gate.shape == (1, manifest_of(members=2).gate_channels, 1, 1)
        torch.testing.assert_close(ensemble(x, gate, ranks=ranks), ensemble(x, ranks=ranks))
        swapped = torch.cat(gate.chunk(2, dim=1)[::-1], dim=1)
        assert (ensemble(x, swapped, ranks=ranks) - ensemble(x, ranks=ranks)).abs().max() > 1e-7


def test_an_ensemble_needs_members_of_one_kind() -> None:
    with pytest.raises(ValueError, match="0 that do not"):
        Ensemble([])
    other = build_network(manifest_of(normalisation="training", absolute=frozenset()))
    with pytest.raises(ValueError, match="rank the same channels"):
        Ensemble([*networks(1), other])


def test_all_members_in_one_file_and_back_to_the_bit(tmp_path: Path) -> None:
    members = networks(2)
    manifest = save_bundle(tmp_path / "two", manifest_of(members=2), Ensemble(members), card="# two\n")
    weights = load_file(tmp_path / "two" / WEIGHTS_FILE)
    assert {name.partition(".")[0] for name in weights} == {"member0", "member1"}
    torch.testing.assert_close(weights["member1.decoder.head.weight"], members[1].decoder.head.weight.detach())
    again, loaded = load_bundle(tmp_path / "two")
    assert again == manifest
    before = score(Ensemble(members).eval(), manifest, STACK, statistics=EVENT)
    assert score(loaded, again, STACK, statistics=EVENT).tobytes() == before.tobytes()


@pytest.mark.parametrize(("saved", "said"), [(2, 1), (2, 3), (1, 2)])
def test_weights_of_another_number_of_members_are_refused(tmp_path: Path, saved: int, said: int) -> None:
    with pytest.raises(BadBundle, match=f"expected weights of {said} members, found {saved}"):
        save_bundle(tmp_path / "early", manifest_of(members=said), build_model(manifest_of(members=saved)), card="")
    folder = write_bundle(tmp_path, members=saved)
    plain = json.loads((folder / MANIFEST_FILE).read_text()) | {"members": said}
    (folder / MANIFEST_FILE).write_text(json.dumps(plain))
    with pytest.raises(BadBundle, match=f"expected weights of {said} members, found {saved}"):
        load_bundle(folder)


def test_members_that_are_not_numbered_in_a_row_are_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path, members=2)
    weights = {k.replace("member1.", "member7."): v for k, v in load_file(folder / WEIGHTS_FILE).items()}
    (folder / WEIGHTS_FILE).write_bytes(save(weights))
    plain = json.loads((folder / MANIFEST_FILE).read_text())
    plain["weights_sha256"] = hashlib.sha256(save(weights)).hexdigest()
    (folder / MANIFEST_FILE).write_text(json.dumps(plain))
    with pytest.raises(BadBundle, match="do not fit"):
        load_bundle(folder)


def test_a_file_too_large_to_release_is_refused_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "MAX_FILE", 1000)
    with pytest.raises(BadBundle, match="expected at most 1000 bytes"):
        write_bundle(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_calibration_is_the_curve_of_the_score_and_keeps_what_is_unknown() -> None:
    torch.manual_seed(0)
    plain, network = manifest_of(), build_network(manifest_of()).eval()
    calibrated = replace(plain, calibration=CURVE, quantity="coverage")
    stack = STACK.copy()
    stack[1, 3, 4] = np.nan
    scores = score(network, plain, stack, statistics=EVENT)
    coverages = score(network, calibrated, stack, statistics=EVENT)
    np.testing.assert_allclose(coverages, np.interp(scores, CURVE.scores, CURVE.coverages), atol=1e-7)
    assert coverages.dtype == np.float32
    assert np.argwhere(np.isnan(coverages)).tolist() == [[3, 4]]
    whole = score_map(network, calibrated, stack, statistics=EVENT)
    expected = np.interp(score_map(network, plain, stack, statistics=EVENT), CURVE.scores, CURVE.coverages)
    np.testing.assert_allclose(whole, expected, atol=1e-7)


def test_flat_ground_has_none_and_steeper_or_unknown_ground_is_left_alone() -> None:
    torch.manual_seed(0)
    calibrated, network = replace(manifest_of(), calibration=CURVE, quantity="coverage"), build_network(manifest_of())
    stack = STACK * np.array([4.0, 1.0], np.float32)[:, None, None]
    stack[0, 3, 4] = np.nan
    event = EventStatistics.of({"slope": stack[0], "pga": stack[1]})
    with_flats = score(network.eval(), calibrated, stack, statistics=event)
    found = score(network.eval(), replace(calibrated, flat_degrees=2.0), stack, statistics=event)
    flat = stack[0] <= 2.0
    assert 0.2 < flat.mean() < 0.8
    assert (found[flat] == 0).all() and (with_flats[flat] > 0).any()
    np.testing.assert_array_equal(found[~flat], with_flats[~flat])
    assert np.isnan(found[3, 4])
    batch = score(network.eval(), replace(calibrated, flat_degrees=2.0), stack[None], statistics=event)
    np.testing.assert_array_equal(batch[0], found)


@pytest.mark.parametrize(
    "wrong", [{"flat_degrees": 2.0}, {"flat_degrees": 9.0, "calibration": CURVE, "quantity": "coverage"}]
)
def test_a_flat_limit_needs_a_calibration_and_is_low(wrong: dict[str, object]) -> None:
    with pytest.raises(BadBundle, match="flat_degrees"):
        replace(manifest_of(), **wrong)  # type: ignore[arg-type]


def test_a_calibrated_bundle_says_coverage(tmp_path: Path) -> None:
    model = LocalPredictor(*load_bundle(write_bundle(tmp_path, calibration=CURVE, members=2)))
    assert (model.quantity, model.manifest.calibration) == ("coverage", CURVE)


def test_a_bundle_of_the_format_before_goes_on_working(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    new = LocalPredictor(*load_bundle(folder)).bound_to(EVENT).predict(STACK)
    found = json.loads((folder / MANIFEST_FILE).read_text()) | {"format": "headscarp-bundle/2"}
    plain = {key: value for key, value in found.items() if key not in OLDER["headscarp-bundle/2"]}
    (folder / MANIFEST_FILE).write_text(json.dumps(plain))
    old = LocalPredictor(*load_bundle(folder))
    assert old.quantity == "score"
    assert old.bound_to(EVENT).predict(STACK).tobytes() == new.tobytes()


def test_the_released_bundle_loads(root: Path) -> None:
    for path in sorted((root / "model_store").glob(f"*/{MANIFEST_FILE}")):
        assert load_bundle(path.parent)[0] == Manifest.load(path.parent)
