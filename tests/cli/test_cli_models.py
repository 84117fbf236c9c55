"""The commands around model bundles, in process: what they print and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from headscarp.cli import app, main
from headscarp.core.manifest import MANIFEST_FILE, WEIGHTS_FILE
from headscarp.io.inputs.champions import CHAMPIONS_FILE
from tests.ml.bundled import CURVE, write_bundle


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A score, and a calibrated ensemble that is everywhere's champion."""
    folder = tmp_path / "store"
    write_bundle(folder, "plain")
    write_bundle(folder, "pair", members=2, calibration=CURVE, gate_px=64)
    (folder / CHAMPIONS_FILE).write_text(json.dumps({"global": "pair", "regions": {"TeAH": "plain"}}))
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], store: Path):  # noqa: ANN201
    """Run `headscarp models ...` on the store; its exit code, and standard output and error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["headscarp", "models", *arguments, "--model-store", str(store)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_list_says_what_there_is(run) -> None:  # noqa: ANN001
    code, said, _ = run("list", "--json")
    assert code == 0
    pair, plain = json.loads(said)
    assert (pair["name"], pair["quantity"], pair["calibrated"], pair["members"]) == ("pair", "coverage", True, 2)
    assert (plain["name"], plain["quantity"], plain["calibrated"], plain["members"]) == ("plain", "score", False, 1)
    assert (pair["champion_of"], plain["champion_of"]) == (["global"], ["TeAH"])
    assert pair["channels"] == ["slope", "pga"] and pair["trained_on"] == ["nothing"]
    assert "pair" in run("list")[1]


def test_show_knows_the_champion_and_the_curve(run) -> None:  # noqa: ANN001
    code, said, _ = run("show", "champion", "--json")
    assert code == 0
    assert json.loads(said)["calibration"] == CURVE.to_json()
    assert "SYNTHETIC: random weights" in run("show", "plain")[1]
    assert run("show", "absent")[0] == 3


@pytest.mark.parametrize("command", ["show", "verify", "build"])
@pytest.mark.parametrize("name", ["../plain", "/etc", ".."])
def test_no_name_leads_out_of_the_store(run, command: str, name: str) -> None:  # noqa: ANN001
    code, _, said = run(command, name)
    assert code == 2 and "expected letters" in said.replace("\n", " ")


def test_sound_bundles_are_verified(run) -> None:  # noqa: ANN001
    assert run("verify")[:2] == (0, "pair: ok\nplain: ok\n")


def forge(folder: Path, **changes: object) -> None:
    plain = json.loads((folder / MANIFEST_FILE).read_text())
    (folder / MANIFEST_FILE).write_text(json.dumps(plain | changes))


def test_every_damage_is_found_and_named_and_ends_with_8(run, store: Path) -> None:  # noqa: ANN001
    weights = store / "pair" / WEIGHTS_FILE
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    code, said, _ = run("verify", "--json")
    assert code == 8
    found = {one["name"]: one for one in json.loads(said)}
    assert found["plain"]["ok"] and not found["pair"]["ok"]
    assert "expected sha256" in found["pair"]["reason"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"table_digest": "00"}, "PCI table"),
        ({"members": 3}, "weights of 3 members, found 1"),
        ({"name": "other"}, "expected a bundle named plain, found other"),
        ({"calibration": {"method": "beta", "scores": [0.1], "coverages": [0.1]}}, "with a calibration"),
    ],
)
def test_manifests_that_do_not_fit(run, store: Path, changes: dict[str, object], words: str) -> None:  # noqa: ANN001
    forge(store / "plain", **changes)
    code, said, complaint = run("verify", "plain")
    assert code == 8 and words in said
    assert "1 of 1 bundles failed" in complaint.replace("\n", " ")


def test_weights_that_are_no_numbers(run, store: Path) -> None:  # noqa: ANN001
    import hashlib

    path = store / "plain" / WEIGHTS_FILE
    weights = load_file(path)
    weights["decoder.head.bias"][:] = float("nan")
    save_file(weights, path)
    forge(store / "plain", weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    code, said, _ = run("verify", "plain")
    assert code == 8 and "not finite" in said


def test_build_makes_archives_and_items_that_are_verified(run, store: Path, tmp_path: Path, root: Path) -> None:  # noqa: ANN001
    serving = root / "serving"
    files = ("--handler", str(serving / "handler.py"), "--config", str(serving / "model-config.yaml"))
    code, said, _ = run("build", "--out", str(tmp_path / "mar"), *files, "--json")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "mar").iterdir()) == ["pair.mar", "plain.mar"]
    assert {Path(one["item"]).parent.name for one in json.loads(said)} == {"pair", "plain"}
    assert run("verify")[0] == 0
    (store / "pair" / "CARD.md").write_text("# changed\n")
    code, said, _ = run("verify")
    assert code == 8 and "of CARD.md" in said


def test_the_commands_are_those_of_headscarp() -> None:
    assert "models" in {group.name for group in app.registered_groups}
