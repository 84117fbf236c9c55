"""The commands around inventories, in this process: what they print, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headscarp.cli import app
from headscarp.errors import HeadscarpError
from headscarp.pipeline.world import write_world
from headscarp.world.generate import make_world
from tests.io.inputs.inventories import slide, write_vector


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(make_world(4, shape=(96, 96)), tmp_path_factory.mktemp("worlds") / "a_world")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})


def test_ingest_tells_people_and_draws(folder: Path, tmp_path: Path) -> None:
    done = run(
        "ingest", folder / "landslides.tif", "--event", folder, "--out", tmp_path / "made", "--quality", "synthetic"
    )
    assert done.exit_code == 0, done.output
    for words in ("accepted", "covered by landslide entirely", "cannot be told from the file", "mapped extent"):
        assert words in done.output
    assert (tmp_path / "made/inventory.png").stat().st_size > 1000
    assert json.loads((tmp_path / "made/event.json").read_text())["inventory"]["quality"] == "synthetic"


def test_ingest_tells_machines(shared_data: Path, tmp_path: Path) -> None:
    kashmir = shared_data / "events/us_usp000e12e_kashmir2005"
    done = run("ingest", kashmir / "landslides.gpkg", "--event", kashmir, "--date-attribute", "Year_obs",
               "--out", tmp_path / "made", "--json")  # fmt: skip
    answer = json.loads(done.stdout)
    assert answer["periods"]["coseismic"] == 2138
    assert answer["event"] == "usp000e12e"
    assert {"fate": "refused", "reason": "drawn twice"} in [
        {k: f[k] for k in ("fate", "reason")} for f in answer["fates"]
    ]


def test_ingest_of_another_place_ends_as_invalid_input(folder: Path, tmp_path: Path) -> None:
    path = write_vector(tmp_path / "far.gpkg", [slide(0)])
    done = run("ingest", path, "--event", folder, "--out", tmp_path / "made")
    assert isinstance(done.exception, HeadscarpError)
    assert done.exception.exit_code == 2
    assert not (tmp_path / "made").exists()


def test_dataset_build_and_again(folder: Path, tmp_path: Path) -> None:
    first = run("dataset", "build", "--from", folder.parent, "--out", tmp_path / "archive", "--events", "a_world")
    assert first.exit_code == 0, first.output
    assert "done" in first.output
    again = run("dataset", "build", "--from", folder.parent, "--out", tmp_path / "archive", "--json")
    assert again.exit_code == 0
    states = {o["name"]: o["state"] for o in json.loads(again.stdout)}
    assert states.pop("a_world") == "kept"
    assert set(states.values()) == {"absent"}
    assert len(states) >= 38


def test_dataset_build_ends_with_the_code_of_what_failed(tmp_path: Path) -> None:
    (tmp_path / "in/broken").mkdir(parents=True)
    (tmp_path / "in/broken/event.json").write_text("{")
    done = run("dataset", "build", "--from", tmp_path / "in", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "NotAnEvent" in done.output


def test_dataset_list() -> None:
    shown = run("dataset", "list").output
    assert "gorkha_2015" in shown
    assert "10.5066/F7H70DB4" in shown
    listed = json.loads(run("dataset", "list", "--json").stdout)
    assert {"key", "usgs_id", "inventory", "sources", "status"} <= set(listed[0])
