from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import rasterio

from headscarp.demo.replay import ReplayServer
from headscarp.pipeline.world import write_world
from headscarp.world.generate import make_world


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(make_world(11, shape=(128, 128)), tmp_path_factory.mktemp("world"))


def run(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "headscarp", *arguments]
    wide = os.environ | {"COLUMNS": "200", "HEADSCARP_USGS_URL": "http://127.0.0.1:9"} | env
    return subprocess.run(command, cwd=cwd, env=wide, capture_output=True, text=True, check=False, timeout=240)


def test_respond_publishes_and_says_where(folder: Path, tmp_path: Path) -> None:
    arguments = ("respond", str(folder), "--model", "nowicki_jessee_2018", "--store", "store")
    first = run(*arguments, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "published" in first.stdout and "cube" in first.stdout
    again = run(*arguments, "--json", cwd=tmp_path)
    answer = json.loads(again.stdout)
    assert answer["new"] is False and (tmp_path / "store" / answer["item"]).is_file()


def test_predict_writes_one_valid_cog_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    from rio_cogeo import cog_validate

    done = run("predict", str(folder), "--model", "nowicki_jessee_2018", "--out", "maps/a.tif", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["quantity"] == "coverage"
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["a.tif"]
    valid, errors, _ = cog_validate(str(tmp_path / "maps" / "a.tif"))
    assert valid, errors
    with rasterio.open(tmp_path / "maps" / "a.tif") as source:
        assert source.tags()["SYNTHETIC"] == "YES"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("respond", "no such thing"), 2, "expected a USGS event id"),
        (("respond", "us7000abcd"), 5, "may be repeated"),
        (("respond", ".", "--store", "ftp://x"), 2, "event.json"),
        (("predict", "FOLDER", "--model", "no-such-model", "--out", "x.tif"), 3, "no-such-model"),
        (("respond", "FOLDER", "--store", "ftp://x"), 2, "ftp"),
        (("respond", "FOLDER", "--sources", "absent.yaml"), 2, "absent.yaml"),
    ],
)
def test_errors_are_one_line_with_their_exit_code(
    arguments: tuple[str, ...], code: int, words: str, folder: Path, tmp_path: Path
) -> None:
    done = run(*(str(folder) if a == "FOLDER" else a for a in arguments), cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert words in done.stderr and "Traceback" not in done.stderr


def test_a_setting_that_cannot_be_is_named(tmp_path: Path) -> None:
    done = run("respond", "us7000abcd", cwd=tmp_path, HEADSCARP_TIMEOUT_S="soon")
    assert done.returncode == 2 and "HEADSCARP_TIMEOUT_S" in done.stderr and "Traceback" not in done.stderr


def test_the_watch_survives_a_look_that_fails(tmp_path: Path) -> None:
    from headscarp.pipeline.attend import attend
    from headscarp.settings import Settings

    with ReplayServer((), port=0) as server:
        server.fail_next(8)
        settings = Settings(store=str(tmp_path), usgs_url=server.url, models=("nowicki_jessee_2018",), timeout_s=5.0)
        assert list(next(attend(settings, interval=0.1, once=False))) == []


def test_doctor_says_what_to_do(tmp_path: Path) -> None:
    done = run("doctor", "--json", cwd=tmp_path, HEADSCARP_STORE="/proc/headscarp")
    findings = {f["check"]: f for f in json.loads(done.stdout)}
    assert done.returncode == 1
    assert findings["GDAL"]["ok"] and not findings["store"]["ok"] and not findings["USGS"]["ok"]
    assert all(f["ok"] or f["advice"] for f in findings.values())


@pytest.mark.parametrize("command", ["", "respond", "watch", "predict", "train", "doctor", "demo"])
def test_help_of_every_command(command: str, tmp_path: Path) -> None:
    done = run(*([command] if command else []), "--help", cwd=tmp_path)
    assert done.returncode == 0 and "Usage" in done.stdout


def test_an_endpoint_that_is_down_fails_clearly_and_the_run_goes_on_without_it(
    folder: Path, tmp_path: Path, root: Path
) -> None:
    env = {"HEADSCARP_MODEL_STORE": str(root / "model_store"), "HEADSCARP_TIMEOUT_S": "2"}
    arguments = ("respond", str(folder), "--model", "headscarp-small", "--store", "store")
    down = run(*arguments, "--endpoint", "http://127.0.0.1:9", cwd=tmp_path, **env)
    assert down.returncode == 5 and "127.0.0.1:9" in down.stderr and "may be repeated" in down.stderr
    assert not (tmp_path / "store" / "catalog").exists()
    again = run(*arguments, "--json", cwd=tmp_path, **env)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["new"] is True
