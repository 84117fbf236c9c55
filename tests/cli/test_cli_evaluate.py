"""The command `evaluate`, in this process: what it prints and writes, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headscarp.cli import app
from headscarp.errors import HeadscarpError, InvalidInput, NotFound
from headscarp.pipeline.world import write_world
from headscarp.world.generate import make_world


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(make_world(41, shape=(96, 96)), tmp_path_factory.mktemp("events") / "a_world")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)], env={"COLUMNS": "200"})


def test_formulas_are_judged_without_training(folder: Path, scratch: Path, tmp_path: Path) -> None:
    done = run(
        "--events", folder, "--model", "slope", "--model", "slope_pga", "--split", "released", "--draws", "100",
        "--scratch", scratch, "--report", tmp_path / "report", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert [model["name"] for model in answer["models"]] == ["slope", "slope_pga"]
    assert {row["profile"] for row in answer["scores"]} == {"paper", "honest"}
    kept = json.loads((tmp_path / "report/released.json").read_text())
    assert [row["model"] for row in kept["scores"]] == [row["model"] for row in answer["scores"]]
    assert kept["scores"][0]["auc"]["value"] == pytest.approx(answer["scores"][0]["auc"]["value"], rel=1e-5)
    assert "<html" in (tmp_path / "report/index.html").read_text()


def test_people_get_a_table_and_what_was_not_judged(folder: Path, scratch: Path) -> None:
    done = run("--events", folder, "--model", "slope", "--split", "released", "--profile", "honest",
               "--draws", "100", "--scratch", scratch)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "split released, all known pixels" in done.output
    assert "slope" in done.output


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (["--model", "nobody", "--split", "released"], NotFound, "headscarp-network, or a baseline of slope"),
        (["--model", "slope", "--split", "events"], InvalidInput, "events of two places or more"),
        (["--model", "slope", "--split", "blocks"], InvalidInput, "cannot be parted into 3 spatial folds"),
        (["--model", "slope", "--split", "paper33"], InvalidInput, "found none of Nippes"),
        (["--model", "slope", "--split", "worlds", "--worlds", "0"], InvalidInput, "two worlds or more"),
        (["--model", "slope", "--model", "slope", "--split", "released"], InvalidInput, "each once"),
        (["--model", "logistic", "--split", "released"], InvalidInput, "model logistic"),
    ],
)
def test_bad_input_says_what_was_expected(
    arguments: list[str], kind: type[HeadscarpError], words: str, folder: Path, scratch: Path
) -> None:
    done = run("--events", folder, "--scratch", scratch, *arguments)
    assert isinstance(done.exception, kind), done.output
    assert words in str(done.exception)
    assert done.exception.exit_code in {2, 3}


def test_a_bundle_is_not_trained_again(
    folder: Path, scratch: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    done = run("--events", folder, "--scratch", scratch, "--model", "headscarp-small", "--split", "events")
    assert isinstance(done.exception, InvalidInput), done.output
    assert "expected split released" in str(done.exception)
