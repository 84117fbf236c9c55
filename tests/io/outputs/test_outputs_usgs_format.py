"""USGS files that are written: read back, read by GDAL, compared in shape with recorded ones."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from odc.geo import wh_
from odc.geo.geobox import GeoBox

from headscarp.core.event import Event, ShakeMapId, Shaking
from headscarp.errors import InvalidInput
from headscarp.io.inputs.shakemap import read_shakemap
from headscarp.io.inputs.usgs_models import parse_detail, parse_feed
from headscarp.io.outputs.shakemap_format import grid_xml, raster_zip, uncertainty_xml
from headscarp.io.outputs.usgs_format import (
    ShakeMapRelease,
    detail_feature,
    feed,
    shakemap_release,
    to_json,
    withdrawal,
)

EVENT = Event(
    id="hs2026abcd",
    title="SYNTHETIC M 7.1 - 3 km N of Null & <Island>",
    time=datetime(2026, 3, 4, 5, 6, 7, 890000, tzinfo=UTC),
    magnitude=7.1,
    longitude=179.9123,
    latitude=-15.4567,
    depth_km=12.5,
    ids=("hs2026abcd", "us7000old1"),
    rake=-91.25,
    updated=datetime(2026, 3, 4, 6, tzinfo=UTC),
    synthetic=True,
)
IDENTITY = ShakeMapId("hs", "hs2026abcd", 1772600800123)
NOW = datetime(2026, 3, 5, tzinfo=UTC)


def grid(rows: int, columns: int, *, west: float = 179.5, north: float = -15.0, step: float = 1 / 60) -> GeoBox:
    return GeoBox(wh_(columns, rows), Affine(step, 0, west, 0, -step, north), "EPSG:4326")


def rasters(shape: tuple[int, int], low: float, high: float) -> st.SearchStrategy[Any]:
    bounds = (float(np.float32(value)) for value in (low, high))
    values = st.floats(*bounds, width=32) | st.just(float("nan"))
    return hnp.arrays(np.float32, shape, elements=values)


@st.composite
def shakings(draw: st.DrawFn) -> Shaking:
    shape = draw(st.tuples(st.integers(2, 6), st.integers(2, 6)))
    pga = draw(rasters(shape, 1e-4, 3.0))
    pga[0, 0] = 0.25
    optional = {
        "pgv": draw(st.none() | rasters(shape, 1e-3, 300)),
        "pga_ln_std": draw(st.none() | rasters(shape, 0, 1.5)),
        "pgv_ln_std": draw(st.none() | rasters(shape, 0, 1.5)),
        "vs30": draw(st.none() | rasters(shape, 100, 2000)),
    }
    west = draw(st.floats(-180, 185))
    north = draw(st.floats(-70, 80))
    return Shaking(
        grid(*shape, west=west, north=north, step=draw(st.sampled_from([1 / 120, 1 / 60, 0.025]))), pga, **optional
    )


def same(mine: Any, theirs: Any, rtol: float) -> None:
    assert (mine is None) == (theirs is None)
    if mine is not None:
        np.testing.assert_allclose(mine, theirs, rtol=rtol, equal_nan=True)


def of_event(event: Event = EVENT) -> Shaking:
    pga = np.linspace(0.01, 0.9, 30, dtype=np.float32).reshape(5, 6)
    return Shaking(grid(5, 6), pga, pgv=pga * 90, pga_ln_std=pga * 0 + 0.5, pgv_ln_std=pga * 0 + 0.6, vs30=pga * 1000)


class TestRoundTrips:
    @given(shakings())
    def test_raster_zip(self, shaking: Shaking) -> None:
        again = read_shakemap({"raster.zip": raster_zip(shaking)})
        same(shaking.pga, again.pga, 2e-6)
        same(shaking.pgv, again.pgv, 2e-6)
        same(shaking.pga_ln_std, again.pga_ln_std, 0)
        same(shaking.pgv_ln_std, again.pgv_ln_std, 0)
        assert again.grid.shape == shaking.grid.shape
        assert again.grid.transform.almost_equals(shaking.grid.transform, precision=1e-9)

    @given(shakings())
    def test_grid_and_uncertainty_xml(self, shaking: Shaking) -> None:
        printed = {"version": "1", "source": "hs", "processed": NOW}
        files = {"grid.xml": grid_xml(EVENT, shaking, **printed)}  # type: ignore[arg-type]
        if shaking.pga_ln_std is not None or shaking.pgv_ln_std is not None:
            files["uncertainty.xml"] = uncertainty_xml(EVENT, shaking, **printed)  # type: ignore[arg-type]
        again = read_shakemap(files)
        for name in ("pga", "pgv", "pga_ln_std", "pgv_ln_std", "vs30"):
            same(getattr(shaking, name), getattr(again, name), 6e-4)
        assert again.grid.transform.almost_equals(shaking.grid.transform, precision=2e-6)

    def test_gdal_reads_the_rasters(self, tmp_path: Path) -> None:
        shaking = of_event()
        (tmp_path / "raster.zip").write_bytes(raster_zip(shaking))
        with rasterio.open(f"zip://{tmp_path}/raster.zip!pga_mean.flt") as file:
            np.testing.assert_allclose(np.exp(file.read(1)), shaking.pga, rtol=1e-6)
            assert file.transform.almost_equals(shaking.grid.transform, precision=1e-9)

    def test_equal_shaking_gives_equal_bytes(self) -> None:
        assert raster_zip(of_event()) == raster_zip(of_event())

    def test_zero_shaking_survives(self) -> None:
        pga = np.array([[0, 0.5], [0.25, np.nan]], dtype=np.float32)
        again = read_shakemap({"raster.zip": raster_zip(Shaking(grid(2, 2), pga))})
        np.testing.assert_array_equal(again.pga, pga)

    @pytest.mark.parametrize(
        "box",
        [
            GeoBox(wh_(6, 5), Affine(30, 0, 5e5, 0, -30, 5e6), "EPSG:32632"),
            GeoBox(wh_(6, 5), Affine(0.1, 0, 0, 0, 0.1, 0), "EPSG:4326"),
        ],
    )
    def test_other_grids_are_refused(self, box: GeoBox) -> None:
        with pytest.raises(InvalidInput, match="north-up grid in EPSG:4326"):
            raster_zip(replace(of_event(), grid=box))

    def test_event(self) -> None:
        release = shakemap_release(EVENT, of_event(), IDENTITY, version="3", weight=77)
        detail = parse_detail(to_json(detail_feature(EVENT, [release])), "written")
        assert replace(detail.event, updated=None, url=None) == replace(EVENT, updated=None)
        product = detail.preferred_shakemap
        assert product is not None
        assert (product.id, product.version, product.weight) == (IDENTITY, "3", 77)
        assert {path.rpartition("/")[2] for path in product.contents} == {
            "raster.zip",
            "grid.xml",
            "uncertainty.xml",
            "info.json",
        }

    @given(st.timedeltas(timedelta(days=-40_000), timedelta(days=40_000)))
    def test_times_to_the_millisecond(self, after: timedelta) -> None:
        time = NOW + after
        again = parse_detail(to_json(detail_feature(replace(EVENT, time=time, updated=None))), "written").event.time
        assert timedelta(0) <= time - again < timedelta(milliseconds=1)

    def test_withdrawal_supersedes(self) -> None:
        release = shakemap_release(EVENT, of_event(), IDENTITY)
        gone = withdrawal(replace(IDENTITY, update_time=IDENTITY.update_time + 1))
        detail = parse_detail(to_json(detail_feature(EVENT, [release, gone])), "written")
        assert detail.shakemaps == ()
        assert len(detail.versions) == 2

    def test_feed(self) -> None:
        other = replace(EVENT, id="hs2", ids=(), time=NOW, magnitude=4.0, depth_km=1.0)
        details = [detail_feature(EVENT, [shakemap_release(EVENT, of_event(), IDENTITY)]), detail_feature(other)]
        entries = parse_feed(to_json(feed(details, "4.5_day", generated=NOW)), "feed")
        assert [e.id for e in entries] == ["hs2", "hs2026abcd"]
        assert "shakemap" in entries[1].products
        assert "shakemap" not in entries[0].products
        assert entries[1].ids == EVENT.ids
        assert parse_feed(to_json(feed([], "all_hour", generated=NOW)), "feed") == ()


class TestMarking:
    def test_a_synthetic_event_says_so_everywhere(self) -> None:
        event = replace(EVENT, title="M 7.1 - Null Island")
        release = shakemap_release(event, of_event(), IDENTITY)
        detail = detail_feature(event, [release])
        assert detail["properties"]["title"].startswith("SYNTHETIC M 7.1")
        assert parse_detail(to_json(detail), "x").event.synthetic
        assert release.product["properties"]["event-type"] == "SCENARIO"
        xml = next(data for path, data in release.files.items() if path.endswith("grid.xml"))
        assert b'shakemap_event_type="SCENARIO"' in xml
        assert b"SYNTHETIC" in xml
        real = replace(event, synthetic=False)
        assert not parse_detail(to_json(detail_feature(real)), "x").event.synthetic


class TestShapes:
    """Whatever is written has the keys of something recorded, in the same order."""

    @pytest.fixture
    def recorded(self, shared_data: Path) -> dict[str, Any]:
        path = next((shared_data / "usgs/responses").glob("129_*"))
        content: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
        return content

    @pytest.fixture
    def release(self) -> ShakeMapRelease:
        return shakemap_release(EVENT, of_event(), IDENTITY)

    def test_detail(self, recorded: dict[str, Any], release: ShakeMapRelease) -> None:
        written = detail_feature(EVENT, [release])
        assert list(written) == list(recorded)
        assert list(written["properties"]) == list(recorded["properties"])
        assert written["geometry"].keys() == recorded["geometry"].keys()
        assert set(written["properties"]["products"]) <= set(recorded["properties"]["products"])

    @pytest.mark.parametrize("kind", ["shakemap", "origin", "moment-tensor"])
    def test_products(self, recorded: dict[str, Any], release: ShakeMapRelease, kind: str) -> None:
        written = detail_feature(EVENT, [release])["properties"]["products"][kind][0]
        theirs = recorded["properties"]["products"][kind][0]
        assert list(written) == list(theirs)
        assert set(written["properties"]) <= set(theirs["properties"])
        assert all(isinstance(value, str) for value in written["properties"].values())
        assert {type(written[key]) for key in ("updateTime", "preferredWeight")} == {int}

    def test_contents(self, recorded: dict[str, Any], release: ShakeMapRelease) -> None:
        theirs = recorded["properties"]["products"]["shakemap"][0]
        for path, item in release.product["contents"].items():
            assert list(item) == list(theirs["contents"][path])
            assert item["contentType"] == theirs["contents"][path]["contentType"]
            place = theirs["contents"][path]["url"].replace(theirs["code"], "hs2026abcd")
            place = place.replace("/atlas/", "/hs/").replace(str(theirs["updateTime"]), str(IDENTITY.update_time))
            assert item["url"] == place
            assert item["url"].removeprefix("https://earthquake.usgs.gov/") in release.files

    def test_withdrawal(self, shared_data: Path) -> None:
        path = next((shared_data / "usgs/responses").glob("008_*"))
        recorded = json.loads(gzip.decompress(path.read_bytes()))["properties"]["products"]["shakemap"]
        theirs = next(p for p in recorded if p["status"] == "DELETE")
        written = withdrawal(IDENTITY).product
        assert list(written) == list(theirs)
        assert written["contents"] == theirs["contents"] == []

    def test_feed(self, shared_data: Path, release: ShakeMapRelease) -> None:
        packed = (shared_data / "usgs/feeds/comfortable_2.5_month_2020.geojson.gz").read_bytes()
        recorded = json.loads(gzip.decompress(packed))
        written = feed([detail_feature(EVENT, [release])], "2.5_month", generated=NOW)
        assert set(written) - {"bbox"} == set(recorded) - {"bbox"}
        assert list(written["metadata"]) == list(recorded["metadata"])
        assert written["metadata"]["title"] == recorded["metadata"]["title"]
        assert written["metadata"]["url"] == recorded["metadata"]["url"]
        assert list(written["features"][0]) == list(recorded["features"][0])
        assert list(written["features"][0]["properties"]) == list(recorded["features"][0]["properties"])

    def test_grid_xml(self, shared_data: Path, release: ShakeMapRelease) -> None:
        recorded = ET.fromstring(gzip.decompress((shared_data / "shakemaps/us1000dyad_v1_sm4.xml.gz").read_bytes()))
        path = next(path for path in release.files if path.endswith("/grid.xml"))
        written = ET.fromstring(release.files[path])
        assert written.tag == recorded.tag
        assert set(written.attrib) == set(recorded.attrib)
        for name in ("event", "grid_specification"):
            mine, theirs = (root.find(f"{{*}}{name}") for root in (written, recorded))
            assert mine is not None
            assert theirs is not None
            assert set(mine.attrib) == set(theirs.attrib)
        units = {field.get("name"): field.get("units") for field in recorded.findall("{*}grid_field")}
        mine_units = {field.get("name"): field.get("units") for field in written.findall("{*}grid_field")}
        assert {name: mine_units[name] for name in ("LON", "LAT", "PGA", "PGV")} == {
            name: units[name] for name in ("LON", "LAT", "PGA", "PGV")
        }

    def test_info_json(self, shared_data: Path, release: ShakeMapRelease) -> None:
        path = next((shared_data / "usgs/responses").glob("003_*"))
        recorded = json.loads(gzip.decompress(path.read_bytes()))
        info = next(data for path, data in release.files.items() if path.endswith("info.json"))

        def within(written: Any, theirs: Any) -> None:
            if isinstance(written, dict):
                assert set(written) <= set(theirs) | {"faultfiles"}
                for key in set(written) & set(theirs):
                    within(written[key], theirs[key])

        within(json.loads(info), recorded)
