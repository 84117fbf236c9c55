"""The selection of control indicators on scenes whose answer is known by construction."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from headscarp.cli import app
from headscarp.core.normalisation import EventStatistics
from headscarp.errors import InvalidInput
from headscarp.ml.windows import Scene
from headscarp.pipeline.select import select
from headscarp.pipeline.world import write_world
from headscarp.world.generate import make_world

CHANNELS = ("slope", "relief", "tpi", "aspect_east", "aspect_north", "lithology", "soil", "pga")
SHAPE = (120, 100)


def scene(name: str, *, seed: int, synthetic: bool = False, **changes: np.ndarray) -> Scene:
    """Slope tells where slides are, relief repeats it, tpi is noise, class 3 of lithology slides twice as often."""
    rng = np.random.default_rng(seed)
    slope = rng.uniform(0, 50, SHAPE)
    lithology = rng.integers(1, 5, SHAPE)
    chance = np.where(slope > 25, 0.25, 0.02) * np.where(lithology == 3, 2.0, 1.0)
    turn = rng.uniform(0, 2 * np.pi, SHAPE)
    layers = {
        "slope": slope,
        "relief": 20 * slope + rng.normal(0, 1, SHAPE),
        "tpi": rng.normal(0, 30, SHAPE),
        "aspect_east": np.sin(turn),
        "aspect_north": np.cos(turn),
        "lithology": lithology.astype(float),
        "soil": np.full(SHAPE, np.nan),
        "pga": rng.uniform(0.2, 0.6, SHAPE),
    } | changes
    slides = rng.random(SHAPE) < chance
    return Scene(
        name,
        CHANNELS,
        np.stack([layers[c] for c in CHANNELS]).astype(np.float32),
        slides.astype(np.float32),
        slides,
        np.zeros(SHAPE, np.float32),
        EventStatistics({}),
        synthetic=synthetic,
    )


@pytest.fixture(scope="module")
def trace() -> dict[str, Any]:
    scenes = [scene("a", seed=1), scene("b", seed=2), scene("w", seed=3, synthetic=True)]
    return dict(select(scenes, CHANNELS, seed=7))


def group(trace: dict[str, Any], name: str) -> dict[str, Any]:
    return next(g for g in trace["groups"] if g["name"] == name)


def test_groups_never_mix_real_and_synthetic(trace: dict[str, Any]) -> None:
    found = {g["name"]: (set(g["samples"]), g["synthetic"]) for g in trace["groups"]}
    together = ({"a", "b"}, False)
    assert found == {"real events together": together, "a": ({"a"}, False), "b": ({"b"}, False), "w": ({"w"}, True)}


@pytest.mark.parametrize("name", ["real events together", "a", "w"])
def test_what_tells_is_ranked_first_and_noise_last(trace: dict[str, Any], name: str) -> None:
    gains = {gain["name"]: gain for gain in group(trace, name)["gains"]}
    assert [*gains][:3] in (["slope", "relief", "lithology"], ["relief", "slope", "lithology"])
    assert gains["slope"]["bits"] > gains["slope"]["floor"] > 0 or gains["slope"]["bits"] > 0.05
    assert gains["tpi"]["bits"] < 0.01
    # aspect is one indicator of two channels
    assert set(gains) == {"slope", "relief", "tpi", "aspect", "lithology", "pga"}


def test_of_two_that_say_the_same_one_goes(trace: dict[str, Any]) -> None:
    for one in trace["groups"]:
        selection = one["selection"]
        assert len({"slope", "relief"} & set(selection["removed"])) == 1
        assert selection["steps"][0]["rule"] == "inflation"
        assert {"tpi", "aspect", "lithology", "pga"} <= set(selection["kept"])


def test_an_indicator_without_a_layer_is_said_to_be_unknown(trace: dict[str, Any]) -> None:
    assert group(trace, "real events together")["unknown"] == {"soil": ["a", "b"]}
    half = np.where(np.arange(SHAPE[1]) < 70, np.nan, 1.0) * np.ones(SHAPE)
    little = select([scene("a", seed=1, tpi=half)], CHANNELS)
    assert set(little["groups"][0]["unknown"]) == {"soil", "tpi"}


def test_pixels_without_one_of_the_kept_are_left_out() -> None:
    whole = select([scene("a", seed=1)], CHANNELS)["groups"][0]["samples"]["a"]
    quarter = np.where(np.arange(SHAPE[1]) < 25, np.nan, 1.0) * np.ones(SHAPE)
    left = select([scene("a", seed=1, tpi=quarter)], CHANNELS)["groups"][0]["samples"]["a"]
    assert left == pytest.approx(0.75 * whole, rel=0.06)


def test_equal_arguments_give_equal_traces_that_are_plain_data(trace: dict[str, Any]) -> None:
    scenes = [scene("a", seed=1), scene("b", seed=2), scene("w", seed=3, synthetic=True)]
    assert json.dumps(select(scenes, CHANNELS, seed=7)) == json.dumps(trace)
    assert json.dumps(select(scenes, CHANNELS, seed=8)) != json.dumps(trace)


def test_shuffled_labels_tell_nothing() -> None:
    """The floor is what shuffles reach: no indicator of shuffled labels stands out above it."""
    one = scene("a", seed=1)
    mixed = np.random.default_rng(0).permutation(one.slides.ravel()).reshape(SHAPE)
    gains = select([replace(one, slides=mixed)], CHANNELS)["groups"][0]["gains"]
    assert max(gain["bits"] for gain in gains) < 0.01


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slides": np.zeros(SHAPE, bool)}, "scene a, beyond 0.12 g"),
        ({"label": np.full(SHAPE, np.nan, np.float32)}, "no pixel has a label"),
    ],
)
def test_a_scene_without_both_classes_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises((InvalidInput, ValueError), match=message):
        select([replace(scene("a", seed=1), **change)], CHANNELS)


def test_nothing_to_look_at_is_refused() -> None:
    with pytest.raises(InvalidInput, match="expected scenes"):
        select([], CHANNELS)
    with pytest.raises(InvalidInput, match="pga"):
        select([scene("a", seed=1)], ("slope",))


def test_the_command_writes_trace_and_figure(tmp_path: Path) -> None:
    folder = write_world(make_world(101, shape=(128, 128)), tmp_path / "world")
    trace, figure = tmp_path / "trace.json", tmp_path / "figure.svg"
    command = ["select", "--events", str(folder), "--trace", str(trace), "--figure", str(figure)]
    done = CliRunner().invoke(app, [*command, "--scratch", str(tmp_path / "scratch"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads(trace.read_text("utf-8"))
    assert json.loads(done.stdout)["groups"][0]["synthetic"]
    assert "SYNTHETIC" in figure.read_text("utf-8")
