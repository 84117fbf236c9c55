"""The training archive: from inventories, USGS and sources to event folders, whatever goes wrong on the way."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml

from headscarp.core.event import ShakeMapId
from headscarp.demo.publications import publication, recorded_script
from headscarp.demo.replay import ReplayServer
from headscarp.errors import Busy, InvalidInput
from headscarp.io.inputs.earthquakes import EarthquakeRegistry
from headscarp.io.inputs.folder import read_event_folder
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.inputs.usgs import UsgsClient
from headscarp.io.outputs.usgs_format import shakemap_release
from headscarp.pipeline import collect
from headscarp.pipeline.collect import Outcome, Workplace, build_archive
from headscarp.pipeline.dataset import landslide_masks
from headscarp.pipeline.ingest import Sources, content_digest
from headscarp.pipeline.world import write_world
from headscarp.tables.coseismic import COSEISMIC
from headscarp.world.generate import World, make_world

SOURCES = {"compiled": "made up"}


@pytest.fixture(scope="module")
def world() -> World:
    made = make_world(3, shape=(128, 128))
    return replace(made, event=replace(made.event, time=datetime(2021, 3, 4, 5, tzinfo=UTC)))


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(world, tmp_path_factory.mktemp("worlds") / "seen_world")


@pytest.fixture(scope="module")
def server(world: World) -> Iterator[ReplayServer]:
    moment = ShakeMapId("us", world.event.id, 1_614_900_000_000)
    script = (publication(world.event, [shakemap_release(world.event, world.shaking, moment)]),)
    with ReplayServer(script, port=0) as running:
        running.publish_next()
        yield running


@pytest.fixture(scope="module")
def client(server: ReplayServer) -> Iterator[UsgsClient]:
    with UsgsClient(server.url, timeout_s=5, sleep=lambda _: None, attempts=2) as found:
        yield found


def registry(tmp_path: Path, world: World, **more: dict[str, Any]) -> EarthquakeRegistry:
    entry = {
        "name": "SYNTHETIC",
        "date": world.event.time.date().isoformat(),
        "magnitude": round(world.event.magnitude, 1),
        "region": "TeCP",
        "status": "candidate",
        "usgs_id": world.event.id,
        "inventory": None,
    }
    others = {key: entry | {"usgs_id": None} | changes for key, changes in more.items()}
    path = tmp_path / "earthquakes.yaml"
    path.write_text(yaml.safe_dump({"sources": SOURCES, "earthquakes": {"made_2021": entry, **others}}))
    return EarthquakeRegistry.load(path)


def sources(folder: Path, **changes: Any) -> Sources:
    """The world's own layers in place of the public ones."""
    layers = json.loads((folder / "event.json").read_text())["layers"]
    specs = {
        name: {**layer, "href": str(folder / layer["href"]), "epoch": "2019"}
        for name, layer in layers.items()
        if name in {"dem", "lithology", "soil", "land_cover", "ndvi", "faults"}
    }
    specs = {name: {**spec, **changes.get(name, {})} for name, spec in specs.items()}
    return Sources(COSEISMIC, SourceRegistry({}, {}).with_overrides(specs), timeout_s=2)


def deposit(tmp_path: Path, folder: Path, name: str = "made_2021") -> Path:
    target = tmp_path / "inventories" / name
    target.mkdir(parents=True)
    shutil.copy(folder / "landslides.tif", target / "inventory.tif")
    return target.parent


def states(found: tuple[Outcome, ...]) -> dict[str, str]:
    return {outcome.name: outcome.state for outcome in found}


class TestFromUsgs:
    def test_the_folder_holds_the_world(self, world: World, folder: Path, client: UsgsClient, tmp_path: Path) -> None:
        workplace = Workplace(registry(tmp_path, world), client, sources(folder))
        (found,) = build_archive(["made_2021"], deposit(tmp_path, folder), tmp_path / "archive", workplace)
        assert found.state == "done", found.reason
        made = read_event_folder(tmp_path / "archive/made_2021")
        assert made.event.id == world.event.id
        assert set(made.layers) == {"dem", "lithology", "soil", "land_cover", "ndvi", "faults"}
        np.testing.assert_allclose(made.shaking.pga, world.shaking.pga, rtol=1e-4)
        with rasterio.open(made.layers["dem"]["href"]) as dem:
            assert dem.res == (30.0, 30.0)
            grid, values = dem, dem.read(1)
            window = rasterio.windows.from_bounds(*world.grid.boundingbox.bbox, transform=grid.transform)
            rows, columns = window.round_offsets().toslices()
        inside = np.isfinite(world.elevation) & world.land  # small voids of the survey are filled
        np.testing.assert_allclose(values[rows, columns][inside], world.elevation[inside], atol=1e-3)
        for name, codes in (("lithology", world.lithology), ("soil", world.soil)):
            with rasterio.open(made.layers[name]["href"]) as layer:
                np.testing.assert_array_equal(layer.read(1)[rows, columns], codes)
        slides, ignored = landslide_masks(made.inventory, world.grid)  # type: ignore[arg-type]
        np.testing.assert_array_equal(slides, world.landslides)
        assert not ignored.any()

    def test_land_cover_that_may_show_the_scars_is_left_out(
        self, world: World, folder: Path, client: UsgsClient, tmp_path: Path
    ) -> None:
        later = sources(folder, land_cover={"epoch": "2022"}, ndvi={"epoch": "2021"})
        workplace = Workplace(registry(tmp_path, world), client, later)
        (found,) = build_archive(["all"], deposit(tmp_path, folder), tmp_path / "archive", workplace)
        assert found.state == "done", found.reason
        described = json.loads((tmp_path / "archive/made_2021/event.json").read_text())
        assert {"land_cover", "ndvi"} <= set(described["absent"])
        assert "may show its scars" in described["absent"]["ndvi"]
        assert not {"land_cover", "ndvi"} & set(described["layers"])

    def test_a_source_that_is_away_leaves_no_hole(
        self, world: World, folder: Path, client: UsgsClient, tmp_path: Path
    ) -> None:
        away = sources(folder, soil={"href": "http://127.0.0.1:9/soil.tif"})
        workplace = Workplace(registry(tmp_path, world), client, away)
        (found,) = build_archive(["all"], deposit(tmp_path, folder), tmp_path / "archive", workplace)
        assert (found.state, found.retry, found.exit_code) == ("failed", True, 5)
        assert not (tmp_path / "archive/made_2021").exists()
        mended = Workplace(registry(tmp_path, world), client, sources(folder))
        assert states(build_archive(["all"], tmp_path / "inventories", tmp_path / "archive", mended)) == {
            "made_2021": "done"
        }

    def test_an_id_of_another_earthquake_is_noticed(
        self, world: World, folder: Path, client: UsgsClient, tmp_path: Path
    ) -> None:
        wrong = registry(tmp_path, world, other_2020={"usgs_id": world.event.id + "x", "date": "2020-01-01"})
        workplace = Workplace(wrong, client, sources(folder))
        deposits = deposit(tmp_path, folder, "other_2020")
        (found,) = build_archive(["other_2020"], deposits, tmp_path / "a", workplace)
        assert (found.state, found.exit_code) == ("failed", 3)
        shifted = registry(tmp_path, replace(world, event=replace(world.event, time=datetime(2021, 7, 1, tzinfo=UTC))))
        shutil.move(deposits / "other_2020", deposits / "made_2021")
        (found,) = build_archive(["made_2021"], deposits, tmp_path / "b", Workplace(shifted, client, sources(folder)))
        assert (found.state, found.exit_code) == ("failed", 2)
        assert "found" in found.reason and "2021-03-04" in found.reason

    def test_recorded_responses_without_grids_fail_and_say_so(
        self, world: World, folder: Path, shared_data: Path, tmp_path: Path
    ) -> None:
        details = tmp_path / "details"
        details.mkdir()
        for path in (shared_data / "usgs/responses").glob("*eventid_us2000h8ty_*"):
            shutil.copy(path, details)
        deposits = deposit(tmp_path, folder, "iburi_2018")
        with ReplayServer(recorded_script(details), port=0) as server:
            server.publish_next()
            with UsgsClient(server.url, timeout_s=5, sleep=lambda _: None, attempts=1) as client:
                workplace = Workplace(EarthquakeRegistry.load(), client, sources(folder))
                found = build_archive(["iburi_2018", "us1000778i"], deposits, tmp_path / "archive", workplace)
        assert states(found) == {"iburi_2018": "failed", "kaikoura_2016": "absent"}
        assert "NotFound" in next(o.reason for o in found if o.state == "failed")


class TestGoingOn:
    @pytest.fixture
    def deposits(self, folder: Path, tmp_path: Path) -> Path:
        """Three event folders, the middle one broken."""
        target = tmp_path / "inventories"
        for name in ("a_world", "b_world", "c_world"):
            shutil.copytree(folder, target / name)
        (target / "b_world/landslides.tif").write_bytes(b"II*\x00" + b"\x00" * 40)
        return target

    @pytest.fixture
    def workplace(self, world: World, folder: Path, client: UsgsClient, tmp_path: Path) -> Workplace:
        plain = registry(tmp_path, replace(world, event=replace(world.event, id="another")))
        return Workplace(plain, client, sources(folder))

    def test_a_failure_is_recorded_and_the_next_goes_on(
        self, deposits: Path, workplace: Workplace, tmp_path: Path
    ) -> None:
        told: list[Outcome] = []
        found = build_archive(["all"], deposits, tmp_path / "archive", workplace, told=told.append)
        assert states(found) == {"made_2021": "absent", "a_world": "done", "b_world": "failed", "c_world": "done"}
        assert told == list(found)
        journal = json.loads((tmp_path / "archive/archive.json").read_text())["events"]
        assert journal["b_world"]["reason"].startswith("BadRaster")
        assert not (tmp_path / "archive/b_world").exists()

    def test_done_folders_are_kept_and_failed_ones_tried_again(
        self, deposits: Path, folder: Path, workplace: Workplace, tmp_path: Path
    ) -> None:
        out = tmp_path / "archive"
        build_archive(["a_world,b_world", "c_world"], deposits, out, workplace)
        before = (out / "a_world/event.json").stat().st_mtime_ns
        shutil.copy(folder / "landslides.tif", deposits / "b_world/landslides.tif")
        found = build_archive(["a_world", "b_world", "c_world"], deposits, out, workplace)
        assert states(found) == {"a_world": "kept", "b_world": "done", "c_world": "kept"}
        assert (out / "a_world/event.json").stat().st_mtime_ns == before

    @pytest.mark.parametrize("damage", ["cut", "record", "input", "recipe"])
    def test_what_is_no_longer_so_is_made_again(
        self, damage: str, deposits: Path, workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = tmp_path / "archive"
        build_archive(["a_world"], deposits, out, workplace)
        whole = content_digest(out / "a_world", without="record.json")
        if damage == "cut":
            (out / "a_world/dem.tif").write_bytes((out / "a_world/dem.tif").read_bytes()[:-9])
        elif damage == "record":
            (out / "a_world/record.json").write_text("[]")
        elif damage == "input":
            path = deposits / "a_world/event.json"
            path.write_text(path.read_text().replace("SYNTHETIC: drawn", "SYNTHETIC: redrawn"))
        else:
            monkeypatch.setattr(collect, "RECIPE", 99)
        found = build_archive(["a_world"], deposits, out, workplace)
        assert states(found) == {"a_world": "done"}
        assert (content_digest(out / "a_world", without="record.json") == whole) == (damage != "input")

    def test_a_failed_remake_leaves_the_old_folder(self, deposits: Path, workplace: Workplace, tmp_path: Path) -> None:
        out = tmp_path / "archive"
        build_archive(["a_world"], deposits, out, workplace)
        (deposits / "a_world/landslides.tif").write_bytes(b"II*\x00" + b"\x00" * 40)
        assert states(build_archive(["a_world"], deposits, out, workplace)) == {"a_world": "failed"}
        assert read_event_folder(out / "a_world").inventory is not None

    def test_killed_at_any_moment_the_next_run_ends_the_same(
        self, deposits: Path, workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        build_archive(["a_world"], deposits, tmp_path / "whole", workplace)
        whole = content_digest(tmp_path / "whole/a_world")
        for step in ("_write_record", "_set_aside", "_write_journal"):
            out = tmp_path / step

            def kill(*_: Any, **__: Any) -> None:
                raise KeyboardInterrupt

            with monkeypatch.context() as patched:
                patched.setattr(collect, step, kill)
                with pytest.raises(KeyboardInterrupt):
                    build_archive(["a_world"], deposits, out, workplace)
            build_archive(["a_world"], deposits, out, workplace)
            assert content_digest(out / "a_world") == whole
            assert [p.name for p in out.iterdir() if p.name.startswith(".")] == [".lock"]

    def test_one_builder_at_a_time(self, deposits: Path, workplace: Workplace, tmp_path: Path) -> None:
        out = tmp_path / "archive"
        out.mkdir()
        with (out / ".lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(Busy, match="another process"):
                build_archive(["a_world"], deposits, out, workplace)

    def test_no_rights_is_an_outcome(
        self, deposits: Path, workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: Any, **__: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("headscarp.pipeline.ingest.write_polygons", full)
        found = build_archive(["a_world", "c_world"], deposits, tmp_path / "archive", workplace)
        assert states(found) == {"a_world": "failed", "c_world": "failed"}
        assert {o.exit_code for o in found} == {6}


class TestDeposits:
    def test_names_are_checked(self, world: World, folder: Path, client: UsgsClient, tmp_path: Path) -> None:
        workplace = Workplace(registry(tmp_path, world), client, sources(folder))
        deposits = deposit(tmp_path, folder)
        with pytest.raises(InvalidInput, match="event 'nowhere'"):
            build_archive(["nowhere"], deposits, tmp_path / "a", workplace)
        with pytest.raises(InvalidInput, match="expected a folder of inventories"):
            build_archive(["all"], tmp_path / "none", tmp_path / "a", workplace)
        shutil.copy(folder / "landslides.tif", deposits / f"{world.event.id}.tif")
        with pytest.raises(InvalidInput, match="expected one inventory"):
            build_archive(["all"], deposits, tmp_path / "a", workplace)

    @pytest.mark.parametrize("text", ["window_days: -1", "colour: red", "[", "date_attributes: [a, b, c]"])
    def test_options_are_checked(
        self, text: str, world: World, folder: Path, client: UsgsClient, tmp_path: Path
    ) -> None:
        deposits = deposit(tmp_path, folder)
        (deposits / "made_2021/options.yaml").write_text(text)
        with pytest.raises(InvalidInput, match=r"options\.yaml"):
            build_archive(
                ["all"], deposits, tmp_path / "a", Workplace(registry(tmp_path, world), client, sources(folder))
            )

    def test_an_earthquake_without_an_id_says_what_to_do(
        self, world: World, folder: Path, client: UsgsClient, tmp_path: Path
    ) -> None:
        workplace = Workplace(registry(tmp_path, world, unknown_2021={}), client, sources(folder))
        deposits = deposit(tmp_path, folder, "unknown_2021")
        (found,) = build_archive(["unknown_2021"], deposits, tmp_path / "a", workplace)
        assert found.state == "failed"
        assert "expected a USGS id" in found.reason

    @pytest.mark.parametrize("text", ["", "[]", '{"layers": 3, "inventory": 4}', '{"id": 1, "inventory": {"href": 5}}'])
    def test_a_broken_event_folder_fails_alone(
        self, text: str, world: World, folder: Path, client: UsgsClient, tmp_path: Path
    ) -> None:
        workplace = Workplace(registry(tmp_path, world), client, sources(folder))
        (tmp_path / "inventories/broken").mkdir(parents=True)
        (tmp_path / "inventories/broken/event.json").write_text(text)
        (found,) = build_archive(["broken"], tmp_path / "inventories", tmp_path / "a", workplace)
        assert (found.state, found.exit_code) == ("failed", 2)

    def test_real_folders_are_known_by_their_ids(self, shared_data: Path, client: UsgsClient, tmp_path: Path) -> None:
        workplace = Workplace(EarthquakeRegistry.load(), client, Sources(COSEISMIC, SourceRegistry.load()))
        found = build_archive(["kashmir_2005"], shared_data / "events", tmp_path / "archive", workplace)
        assert states(found) == {"us_usp000e12e_kashmir2005": "done"}
        assert found[0].landslides == 2137
