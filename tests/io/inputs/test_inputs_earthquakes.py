"""The registry of earthquakes: what it says agrees with what is known, and mistakes in it are named."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from headscarp.errors import InvalidInput
from headscarp.io.inputs.earthquakes import REGIONS, EarthquakeRegistry

ENTRY = {
    "name": "Somewhere",
    "date": "2005-10-08",
    "magnitude": 7.6,
    "region": "TeAH",
    "status": "candidate",
    "usgs_id": "us1",
    "inventory": None,
}
TOP = {"sources": {"compiled": "by hand"}, "inventories": {"open": {"doi": "10.5066/F7H70DB4", "citation": "x"}}}


def write(tmp_path: Path, entries: dict[str, Any], **top: Any) -> Path:
    path = tmp_path / "earthquakes.yaml"
    path.write_text(yaml.safe_dump({**TOP, "earthquakes": entries, **top}))
    return path


class TestPackaged:
    @pytest.fixture
    def registry(self) -> EarthquakeRegistry:
        return EarthquakeRegistry.load()

    def test_more_than_the_38_of_the_paper(self, registry: EarthquakeRegistry) -> None:
        assert len(registry) >= 38
        assert {quake.region for quake in registry} == set(REGIONS)
        assert {q.key for q in registry if q.status == "named"} == {
            "nippes_2021", "kaikoura_2016", "denali_2002", "luding_2022", "gorkha_2015", "wenchuan_2008",
        }  # fmt: skip

    def test_every_statement_has_a_source(self, registry: EarthquakeRegistry) -> None:
        for quake in registry:
            for statement in ("name", "date", "magnitude", "region", "status", "usgs_id", "inventory"):
                assert quake.source(statement) in registry.sources
            if quake.usgs_id is not None:
                assert quake.source("usgs_id") in {"recorded", "quoted"}
            if quake.inventory is not None:
                assert quake.source("inventory") in {"repository", "release"}

    def test_what_the_paper_would_not_use_says_why(self, registry: EarthquakeRegistry) -> None:
        assert [q.key for q in registry if q.excluded] == ["minxian_2013"]
        assert all(q.magnitude >= 6 for q in registry if not q.excluded)

    def test_recorded_responses_agree(self, registry: EarthquakeRegistry, shared_data: Path) -> None:
        checked = set()
        for path in sorted((shared_data / "usgs/responses").glob("*eventid*.json.gz")):
            detail = json.loads(gzip.decompress(path.read_bytes()))
            quake = next((q for q in registry if detail.get("id") == q.usgs_id), None)
            if quake is None or detail.get("type") != "Feature":
                continue
            moment = datetime.fromtimestamp(detail["properties"]["time"] / 1000, UTC)
            assert moment.date() == quake.date
            assert abs(detail["properties"]["mag"] - quake.magnitude) < 0.1
            checked.add(quake.key)
        assert checked == {"kaikoura_2016", "iburi_2018", "northridge_1994"}
        assert checked == {q.key for q in registry if q.sources.get("usgs_id") == "recorded"}

    def test_event_folders_agree(self, registry: EarthquakeRegistry, shared_data: Path) -> None:
        checked = 0
        for path in sorted((shared_data / "events").glob("*/event.json")):
            event = json.loads(path.read_text())
            quake = next((q for q in registry if q.usgs_id == event["id"]), None)
            if quake is not None:
                assert event["time"][:10] == quake.date.isoformat()
                assert abs(event["magnitude"] - quake.magnitude) <= 0.1
                checked += 1
        assert checked == 5


class TestReading:
    def test_by_key_and_by_id(self, tmp_path: Path) -> None:
        registry = EarthquakeRegistry.load(write(tmp_path, {"somewhere_2005": ENTRY | {"inventory": "open"}}))
        assert registry["somewhere_2005"] is registry["us1"]
        public = registry.public_inventory(registry["us1"])
        assert public is not None
        assert public.doi == "10.5066/F7H70DB4"
        with pytest.raises(InvalidInput, match="elsewhere"):
            registry["elsewhere"]

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"magnitude": 5.5}, "expected magnitude 6 or the reason"),
            ({"magnitude": 12}, "earthquakes.0.magnitude"),
            ({"date": "2005-13-08"}, "earthquakes.0.date"),
            ({"date": "2006-10-08"}, "expected a key that ends in 2006"),
            ({"region": "TeXX"}, "earthquakes.0.region"),
            ({"status": "likely"}, "earthquakes.0.status"),
            ({"usgs_id": "../x"}, "earthquakes.0.usgs_id"),
            ({"inventory": "closed"}, "inventory 'closed' is not among"),
            ({"sources": {"date": "hearsay"}}, "source 'hearsay' is not among"),
            ({"sources": {"colour": "compiled"}}, "expected some of"),
            ({"doi": "10.1/x"}, "earthquakes.0.doi"),
        ],
    )
    def test_mistakes_are_named(self, changes: dict[str, Any], words: str, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match=words):
            EarthquakeRegistry.load(write(tmp_path, {"somewhere_2005": ENTRY | changes}))

    def test_an_id_belongs_to_one_earthquake(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="expected each once"):
            EarthquakeRegistry.load(write(tmp_path, {"a_2005": ENTRY, "b_2005": ENTRY}))

    def test_inventories_have_an_address_of_a_known_kind(self, tmp_path: Path) -> None:
        for wrong in ({"citation": "x"}, {"citation": "x", "doi": "F7H70DB4"}, {"citation": "x", "url": "file:///x"}):
            with pytest.raises(InvalidInput, match="inventories"):
                EarthquakeRegistry.load(write(tmp_path, {}, inventories={"open": wrong}))

    @pytest.mark.parametrize("text", ["", "[]", "a: [", "earthquakes: 3", "earthquakes: {x_2005: 3}"])
    def test_other_files(self, text: str, tmp_path: Path) -> None:
        path = tmp_path / "x.yaml"
        path.write_text(text)
        with pytest.raises(InvalidInput, match=r"x\.yaml"):
            EarthquakeRegistry.load(path)
        with pytest.raises(InvalidInput, match="cannot be read"):
            EarthquakeRegistry.load(tmp_path / "nothing.yaml")
