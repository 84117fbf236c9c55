"""The replayed USGS service, asked by the real client over a real socket."""

from __future__ import annotations

import gzip
import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox

from headscarp.core.event import Event, ShakeMapId, Shaking
from headscarp.demo.publications import (
    Publication,
    publication,
    recorded_script,
    shakemap_script,
    withdrawn,
)
from headscarp.demo.replay import ReplayServer
from headscarp.errors import Deleted, InvalidInput, NotFound, SourceUnavailable
from headscarp.io.inputs.shakemap import fetch_shakemap
from headscarp.io.inputs.usgs import UsgsClient
from headscarp.io.outputs.usgs_format import ShakeMapRelease, shakemap_release, withdrawal

EVENT = Event(
    "hs1", "SYNTHETIC M 7.0", datetime(2026, 1, 2, tzinfo=UTC), 7.0, 10.0, 46.0, 9.0, ids=("hs1",), synthetic=True
)
SMALL = replace(EVENT, id="hs2", ids=("hs2",), magnitude=4.449)
QUERY = "/fdsnws/event/1/query"


def release(update_time: int, peak: float, *, version: str = "1", event: Event = EVENT) -> ShakeMapRelease:
    pga = np.linspace(0.01, peak, 12, dtype=np.float32).reshape(3, 4)
    box = GeoBox(wh_(4, 3), Affine(0.1, 0, 9.8, 0, -0.1, 46.2), "EPSG:4326")
    identity = ShakeMapId("hs", event.id, update_time)
    return shakemap_release(event, Shaking(box, pga, pgv=pga * 80), identity, version=version)


SCRIPT = (
    *shakemap_script(EVENT, [(600.0, release(1000, 0.3)), (7200.0, release(2000, 0.5))]),
    publication(SMALL, after_s=60.0),
    withdrawn(EVENT, after_s=90_000.0),
)


def client(server: ReplayServer, **options: int) -> UsgsClient:
    return UsgsClient(server.url, timeout_s=5, sleep=lambda _: None, **options)


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    with ReplayServer(SCRIPT) as running:
        yield running


class TestScript:
    def test_an_event_through_its_life(self, server: ReplayServer) -> None:
        reader = client(server)
        with pytest.raises(NotFound):
            reader.detail("hs1")
        assert reader.feed("4.5_day") == ()
        server.publish_next()
        assert reader.detail("hs1").preferred_shakemap is None
        assert server.advance(700) == 2
        first = reader.detail("hs1").preferred_shakemap
        assert first is not None
        assert fetch_shakemap(reader, first)[0].peak_pga == pytest.approx(0.3)
        assert server.advance(7200) == 1
        second = reader.detail("hs1").preferred_shakemap
        assert second is not None
        shaking, digests = fetch_shakemap(reader, second)
        assert shaking.peak_pga == pytest.approx(0.5)
        assert list(digests) == ["raster.zip"]
        assert fetch_shakemap(reader, first)[0].peak_pga == pytest.approx(0.3)
        assert server.publish_next() is not None
        with pytest.raises(Deleted):
            reader.detail("hs1")
        assert reader.feed("4.5_day") == ()
        assert server.publish_next() is None
        assert server.next_due_s() is None

    def test_feeds_by_magnitude(self, server: ReplayServer) -> None:
        server.advance(700)
        reader = client(server)
        sizes = {name: {e.id for e in reader.feed(f"{name}_week")} for name in ("all", "2.5", "4.5", "significant")}
        assert sizes == {"all": {"hs1", "hs2"}, "2.5": {"hs1", "hs2"}, "4.5": {"hs1"}, "significant": {"hs1"}}

    def test_superseded_versions_on_demand(self, server: ReplayServer) -> None:
        server.advance(7200)
        plain = httpx.get(f"{server.url}{QUERY}?eventid=hs1&format=geojson").json()
        whole = httpx.get(f"{server.url}{QUERY}?eventid=hs1&format=geojson&includesuperseded=true").json()
        assert [p["updateTime"] for p in plain["properties"]["products"]["shakemap"]] == [2000]
        assert [p["updateTime"] for p in whole["properties"]["products"]["shakemap"]] == [1000, 2000]

    def test_changed_id(self) -> None:
        renamed = replace(EVENT, id="us7000abcd", ids=("hs1", "us7000abcd"))
        with ReplayServer([publication(EVENT), publication(renamed, after_s=1)]) as server:
            server.advance(1)
            reader = client(server)
            assert reader.detail("hs1").event.id == "us7000abcd"
            assert reader.detail("us7000abcd").event.ids == ("hs1", "us7000abcd")
            assert [e.id for e in reader.feed("all_day")] == ["us7000abcd"]

    def test_withdrawn_shakemap(self) -> None:
        gone = withdrawal(ShakeMapId("hs", "hs1", 3000))
        with ReplayServer([publication(EVENT, [release(1000, 0.3), gone])]) as server:
            server.publish_next()
            assert client(server).detail("hs1").shakemaps == ()

    def test_in_real_time(self) -> None:
        with ReplayServer(SCRIPT) as server:
            server.play(speed=1e6)
            deadline = time.monotonic() + 5
            while server.next_due_s() is not None and time.monotonic() < deadline:
                time.sleep(0.01)
            with pytest.raises(Deleted):
                client(server).detail("hs1")

    def test_stopping_ends_a_waiting_play(self) -> None:
        server = ReplayServer(SCRIPT)
        server.start()
        server.play(speed=1e-6)
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 3
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url)

    def test_stopping_what_never_started(self) -> None:
        ReplayServer(SCRIPT).stop()

    def test_only_loopback(self) -> None:
        with pytest.raises(InvalidInput, match="loopback"):
            ReplayServer(SCRIPT, host="0.0.0.0")


class TestProtocol:
    @pytest.mark.parametrize(
        ("target", "status"),
        [
            (f"{QUERY}?eventid=hs1&format=geojson", 200),
            (f"{QUERY}?eventid=nothing&format=geojson", 404),
            (f"{QUERY}?eventid=nothing", 204),
            (f"{QUERY}?eventid=nothing&format=quakeml", 204),
            (f"{QUERY}?format=geojson", 400),
            (f"{QUERY}?eventid=hs1&format=geojson&includedeleted=true&includesuperseded=true", 400),
            ("/earthquakes/feed/v1.0/detail/hs1.geojson", 200),
            ("/earthquakes/feed/v1.0/detail/nothing.geojson", 404),
            ("/earthquakes/feed/v1.0/summary/all_day.geojson", 200),
            ("/earthquakes/feed/v1.0/summary/all_year.geojson", 404),
            ("/product/shakemap/hs1/hs/1000/download/grid.xml", 200),
            ("/product/shakemap/hs1/hs/2000/download/grid.xml", 404),
            ("/product/../../etc/passwd", 404),
            ("/", 404),
        ],
    )
    def test_status(self, server: ReplayServer, target: str, status: int) -> None:
        server.advance(700)
        assert httpx.get(server.url + target).status_code == status

    def test_withdrawn_events_on_demand(self, server: ReplayServer) -> None:
        server.advance(1e9)
        assert httpx.get(f"{server.url}{QUERY}?eventid=hs1&format=geojson").status_code == 409
        whole = httpx.get(f"{server.url}{QUERY}?eventid=hs1&format=geojson&includedeleted=true")
        assert whole.json()["properties"]["status"] == "deleted"

    def test_headers(self, server: ReplayServer) -> None:
        server.advance(700)
        detail = httpx.get(f"{server.url}{QUERY}?eventid=hs1&format=geojson").headers
        assert detail["cache-control"] == "public, max-age=60"
        assert "etag" not in detail
        assert "last-modified" in detail
        file = httpx.get(f"{server.url}/product/shakemap/hs1/hs/1000/download/raster.zip").headers
        assert file["cache-control"] == "public, max-age=315360000"
        assert file["content-type"] == "application/zip"
        assert "etag" in file
        assert httpx.head(server.url).text == ""

    def test_addresses_lead_back_here(self, server: ReplayServer) -> None:
        server.advance(700)
        for target in (f"{QUERY}?eventid=hs1&format=geojson", "/earthquakes/feed/v1.0/summary/all_day.geojson"):
            body = httpx.get(server.url + target).text
            assert "earthquake.usgs.gov" not in body
            assert server.url in body

    def test_scripted_failures(self, server: ReplayServer) -> None:
        server.advance(700)
        server.fail_next(2)
        assert client(server).detail("hs1").event.id == "hs1"
        server.fail_next(2, status=200)
        assert client(server).detail("hs1").event.id == "hs1"
        server.fail_next(2)
        with pytest.raises(SourceUnavailable, match="503"):
            client(server, attempts=2).detail("hs1")

    def test_readers_never_see_half_a_publication(self) -> None:
        steps = [publication(EVENT, [release(t, 0.3) for t in range(1, n + 1)], after_s=n) for n in range(1, 12)]
        seen: list[int] = []
        errors: list[Exception] = []
        with ReplayServer(steps) as server:
            server.publish_next()

            def read() -> None:
                reader = client(server)
                try:
                    while not seen or seen[-1] < 11:
                        product = reader.detail("hs1").preferred_shakemap
                        assert product is not None
                        fetch_shakemap(reader, product)
                        seen.append(product.id.update_time)
                except Exception as error:  # noqa: BLE001  reported below
                    errors.append(error)

            threads = [threading.Thread(target=read) for _ in range(3)]
            for thread in threads:
                thread.start()
            while server.publish_next() is not None:
                time.sleep(0.01)
            for thread in threads:
                thread.join(timeout=30)
        assert not errors
        assert max(seen) == 11


class TestRecordings:
    def test_recorded_events_are_served_as_recorded(self, shared_data: Path, tmp_path: Path) -> None:
        for number in ("129", "032", "109", "111"):
            shutil.copy(next((shared_data / "usgs/responses").glob(f"{number}_*")), tmp_path)
        folder = tmp_path / "product/shakemap/us2000h8ty/us/1541539192315/download"
        folder.mkdir(parents=True)
        (folder / "info.json").write_bytes(b"{}")
        script = recorded_script(tmp_path)
        assert [step.detail["id"] for step in script] == ["nc72852151", "us1000778i", "us2000h8ty"]
        with ReplayServer(script) as server:
            server.advance(0)
            reader = client(server)
            served = reader.detail("us2000h8ty")
            recorded = reader.detail_from(next(tmp_path.glob("129_*")))
            assert served.event == replace(recorded.event, url=served.event.url)
            assert [p.id for p in served.shakemaps] == [p.id for p in recorded.shakemaps]
            assert reader.detail("at00ogkuoy").event.id == "us1000778i"
            url = f"{server.url}{QUERY}?eventid=us2000h8ty&format=geojson&includesuperseded=true"
            original = gzip.decompress(next(tmp_path.glob("129_*")).read_bytes()).decode()
            assert httpx.get(url).json() == json.loads(original.replace("https://earthquake.usgs.gov", server.url))
            assert (
                httpx.get(f"{server.url}/product/shakemap/us2000h8ty/us/1541539192315/download/info.json").text == "{}"
            )
            assert len(reader.feed("all_month")) == 3

    def test_folders_without_events(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="expected recorded event details"):
            recorded_script(tmp_path)
        (tmp_path / "a.json").write_text("{")
        with pytest.raises(InvalidInput, match=r"a\.json: expected JSON"):
            recorded_script(tmp_path)

    def test_one_publication(self) -> None:
        step = publication(EVENT, [release(1000, 0.3)], after_s=5)
        assert isinstance(step, Publication)
        assert all(path.startswith("product/shakemap/hs1/hs/1000/download/") for path in step.files)
