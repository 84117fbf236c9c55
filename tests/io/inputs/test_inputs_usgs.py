"""USGS client: recorded responses, fault injection, properties of supersession."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headscarp.core.event import ShakeMapId
from headscarp.errors import Deleted, HeadscarpError, InvalidInput, NotAnEvent, NotFound, SourceUnavailable
from headscarp.io.inputs import usgs
from headscarp.io.inputs.usgs import UsgsClient
from headscarp.io.inputs.usgs_models import parse_detail, parse_feed
from headscarp.io.inputs.usgs_products import Content, EventDetail, ShakeMapProduct, current

BASE = "https://earthquake.usgs.gov"
Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler, **options: Any) -> UsgsClient:
    transport = httpx.MockTransport(handler)
    return UsgsClient(BASE, timeout_s=1, transport=transport, sleep=lambda _: None, **options)


def detail_json(**properties: Any) -> dict[str, Any]:
    base = {"mag": 6.6, "time": 1536170879150, "status": "reviewed", "title": "M 6.6", "ids": ",a1,b2,", "products": {}}
    return {
        "type": "Feature",
        "id": "us1",
        "properties": base | properties,
        "geometry": {"type": "Point", "coordinates": [141.9, 42.7, 35]},
    }


def answers(*responses: httpx.Response | Exception) -> tuple[Handler, list[httpx.Request]]:
    """A handler that gives one response after the other, the last one for ever, and what was asked."""
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        response = responses[min(len(asked), len(responses) - 1)]
        asked.append(request)
        if isinstance(response, Exception):
            raise response
        return httpx.Response(response.status_code, headers=response.headers, content=response.content)

    return handle, asked


@pytest.fixture(scope="module")
def recordings(shared_data: Path) -> dict[str, Path]:
    return {path.name[:3]: path for path in sorted((shared_data / "usgs/responses").iterdir())}


@pytest.fixture(scope="module")
def details(recordings: dict[str, Path]) -> dict[str, EventDetail]:
    """Recorded event details by number."""
    found = {}
    with UsgsClient(BASE, timeout_s=1) as reader:
        for number, path in recordings.items():
            if isinstance(raw := json.loads(gzip.decompress(path.read_bytes())), dict) and raw.get("type") == "Feature":
                found[number] = reader.detail_from(path)
    return found


class TestRecordings:
    def test_every_detail_is_read_and_everything_else_refused_by_name(self, recordings: dict[str, Path]) -> None:
        read, refused = 0, 0
        with UsgsClient(BASE, timeout_s=1) as reader:
            for path in recordings.values():
                raw = json.loads(gzip.decompress(path.read_bytes()))
                if isinstance(raw, dict) and raw.get("type") == "Feature":
                    detail = reader.detail_from(str(path))
                    listed = raw["properties"]["products"].get("shakemap", [])
                    assert detail.event.id == raw["id"]
                    assert {p.id.update_time for p in detail.versions} == {p["updateTime"] for p in listed}
                    read += 1
                else:
                    with pytest.raises(NotAnEvent, match=path.name) as caught:
                        reader.detail_from(path)
                    assert "type: " in str(caught.value) or "document: " in str(caught.value)
                    refused += 1
        assert (read, refused) == (15, len(recordings) - 15)
        assert refused > 100

    @pytest.mark.parametrize(("number", "count"), [("129", 13), ("032", 8), ("000", 6), ("008", 7), ("073", 10)])
    def test_superseded_versions_are_all_listed(self, details: dict[str, EventDetail], number: str, count: int) -> None:
        versions = details[number].versions
        assert len(versions) == count
        assert [v.id.update_time for v in versions] == sorted(v.id.update_time for v in versions)

    @pytest.mark.parametrize(
        ("number", "preferred", "current_count"),
        [
            ("129", ShakeMapId("atlas", "us2000h8ty", 1594401324136), 2),
            ("109", ShakeMapId("atlas", "us1000778i", 1594161996674), 3),
            ("032", ShakeMapId("nc", "nc72852151", 1501567531775), 1),
            ("008", ShakeMapId("atlas", "official20110311054624120_30", 1594161746661), 2),
        ],
    )
    def test_preferred_has_the_highest_weight(
        self, details: dict[str, EventDetail], number: str, preferred: ShakeMapId, current_count: int
    ) -> None:
        detail = details[number]
        assert detail.preferred_shakemap is not None
        assert detail.preferred_shakemap.id == preferred
        assert len(detail.shakemaps) == current_count

    def test_printed_version_does_not_decide(self, details: dict[str, EventDetail]) -> None:
        png = {p.id.source: p for p in details["073"].shakemaps}["us"]
        assert (png.id.update_time, png.version) == (1492211108406, "1")
        older = [p for p in details["073"].versions if p.id.source == "us" and p.version == "6"]
        assert older
        assert older[0].id.update_time < png.id.update_time

    def test_withdrawn_updates_are_listed_but_not_current(self, details: dict[str, EventDetail]) -> None:
        detail = details["008"]
        assert sum(p.deleted for p in detail.versions) == 2
        assert not any(p.deleted for p in detail.shakemaps)
        assert {p.id.code for p in detail.shakemaps} == {"official20110311054624120_30", "atlas20110311054624"}

    def test_facts_of_iburi(self, details: dict[str, EventDetail]) -> None:
        event, product = details["129"].event, details["129"].shakemaps[0]
        assert event.time == datetime(2018, 9, 5, 18, 7, 59, 150000, tzinfo=UTC)
        assert (event.longitude, event.latitude, event.depth_km) == (141.9294, 42.6861, 35)
        assert event.ids == ("us2000h8ty", "pt18248000", "at00pelgzo")
        assert event.rake == 102.38
        assert not event.synthetic
        raster = product.contents["download/raster.zip"]
        assert raster.length == 10052291
        assert len(base64.b64decode(raster.sha256_base64 or "")) == 32

    def test_first_motions_give_the_rake_where_there_is_no_moment_tensor(self, details: dict[str, EventDetail]) -> None:
        assert details["002"].event.rake == 65.0

    def test_changed_ids_are_aliases(self, details: dict[str, EventDetail]) -> None:
        assert {"at00ogkuoy", "us1000778i", "atlas20161113110256"} == set(details["109"].event.ids)
        assert "usc0001xgp" in details["008"].event.ids
        for detail in details.values():
            assert detail.event.id in detail.event.ids

    @pytest.mark.parametrize(
        ("name", "count"),
        [
            ("comfortable_2.5_month_2020.geojson.gz", 1921),
            ("exxamalte_all_day.json.gz", 188),
            ("usgs_latest_2.5_week.json.gz", 247),
            ("aio_earthquakes-1.json.gz", 3),
            ("aio_earthquakes-2.json.gz", 0),
        ],
    )
    def test_feeds_of_three_versions(self, shared_data: Path, name: str, count: int) -> None:
        body = gzip.decompress((shared_data / "usgs/feeds" / name).read_bytes())
        entries = parse_feed(body, name)
        assert [e.id for e in entries] == [f["id"] for f in json.loads(body)["features"]]
        assert len(entries) == count

    def test_feed_entry_values(self, shared_data: Path) -> None:
        entry = parse_feed(
            gzip.decompress((shared_data / "usgs/feeds/usgs_latest_2.5_week.json.gz").read_bytes()), "feed"
        )[0]
        assert (entry.id, entry.magnitude, entry.longitude, entry.depth_km) == ("ak13428667", 4.1, -162.8311, 13.7)
        assert "shakemap" in entry.products
        assert entry.detail_url == f"{BASE}/earthquakes/feed/v1.0/detail/ak13428667.geojson"

    def test_the_feed_that_is_no_json_is_refused_by_its_address(self, shared_data: Path) -> None:
        body = gzip.decompress((shared_data / "usgs/feeds/comfortable_response.json.gz").read_bytes())
        handle, asked = answers(httpx.Response(200, content=body))
        with pytest.raises(InvalidInput, match=r"summary/2\.5_week\.geojson: document: Invalid JSON"):
            client(handle).feed("2.5_week")
        assert len(asked) == 1

    def test_recorded_collections_are_feeds(self, recordings: dict[str, Path]) -> None:
        entries = parse_feed(gzip.decompress(recordings["015"].read_bytes()), "query")
        assert len(entries) == 488
        assert parse_feed(gzip.decompress(recordings["010"].read_bytes()), "empty") == ()


class TestSupersession:
    products = st.builds(
        ShakeMapProduct,
        id=st.builds(ShakeMapId, st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 6)),
        weight=st.integers(-3, 3),
        status=st.sampled_from(["UPDATE", "DELETE"]),
    )

    @given(st.lists(products, max_size=12, unique_by=lambda p: p.id))
    def test_against_its_definition(self, products: list[ShakeMapProduct]) -> None:
        kept = current(tuple(products))

        def superseded(p: ShakeMapProduct) -> bool:
            same = [o for o in products if (o.id.source, o.id.code) == (p.id.source, p.id.code)]
            return any(o.id.update_time > p.id.update_time for o in same)

        assert set(kept_ids := [p.id for p in kept]) == {
            p.id for p in products if not superseded(p) and p.status != "DELETE"
        }
        assert len(kept_ids) == len(set(kept_ids))
        ranks = [(-p.weight, -p.id.update_time) for p in kept]
        assert ranks == sorted(ranks)

    @given(st.permutations(list(range(5))))
    def test_the_order_of_arrival_does_not_matter(self, order: list[int]) -> None:
        products = [ShakeMapProduct(ShakeMapId("us", "c", i), 1, "UPDATE") for i in range(4)]
        products.append(ShakeMapProduct(ShakeMapId("atlas", "c", 0), 1, "UPDATE"))
        kept = current(tuple(products[i] for i in order))
        assert [str(p.id) for p in kept] == ["us-c-3", "atlas-c-0"]


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "error", "requests"),
        [
            (404, NotFound, 1),
            (204, NotFound, 1),
            (409, Deleted, 1),
            (400, InvalidInput, 1),
            (403, InvalidInput, 1),
            (503, SourceUnavailable, 4),
            (500, SourceUnavailable, 4),
            (429, SourceUnavailable, 4),
            (304, SourceUnavailable, 4),
        ],
    )
    def test_status(self, status: int, error: type[HeadscarpError], requests: int) -> None:
        handle, asked = answers(httpx.Response(status, content=b"x"))
        with pytest.raises(error, match="eventid=us1&format=geojson") as caught:
            client(handle).detail("us1")
        assert type(caught.value) is error
        assert len(asked) == requests

    @pytest.mark.parametrize(
        "failure",
        [
            httpx.Response(503),
            httpx.Response(200, content=b"<html>Service temporarily unavailable</html>"),
            httpx.Response(200, content=b"  \n"),
            httpx.ReadTimeout("slow"),
            httpx.ConnectError("refused"),
            httpx.RemoteProtocolError("peer closed connection without sending complete message body"),
        ],
    )
    def test_what_passes_is_retried(self, failure: httpx.Response | Exception) -> None:
        handle, asked = answers(failure, failure, httpx.Response(200, json=detail_json()))
        assert client(handle).detail("us1").event.magnitude == 6.6
        assert len(asked) == 3

    def test_attempts_are_bounded_and_spaced_with_jitter(self) -> None:
        handle, asked = answers(httpx.ReadTimeout("slow"))
        slept: list[float] = []
        reader = UsgsClient(BASE, timeout_s=1, transport=httpx.MockTransport(handle), attempts=6, sleep=slept.append)
        with pytest.raises(SourceUnavailable, match="ReadTimeout"):
            reader.detail("us1")
        assert len(asked) == 6
        assert len(slept) == 5
        assert len(set(slept)) > 1
        assert max(slept) <= 8

    def test_bad_json_is_not_retried(self) -> None:
        handle, asked = answers(httpx.Response(200, json=detail_json(time="yesterday")))
        with pytest.raises(InvalidInput, match=r"properties\.time: .*found 'yesterday'"):
            client(handle).detail("us1")
        assert len(asked) == 1

    def test_responses_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(usgs, "MAX_JSON_BYTES", 1000)
        handle, asked = answers(httpx.Response(200, json=detail_json(place="x" * 2000)))
        with pytest.raises(InvalidInput, match="at most 1000 bytes"):
            client(handle).detail("us1")
        assert len(asked) == 1

    def test_a_trickle_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ticks = iter(range(0, 10_000, 5))
        monkeypatch.setattr(usgs.time, "monotonic", lambda: float(next(ticks)))

        def trickle() -> Iterator[bytes]:
            for _ in range(100):
                yield b" "

        reader = client(lambda _: httpx.Response(200, content=trickle()), attempts=1)
        with pytest.raises(SourceUnavailable, match="not complete after 10 s"):
            reader.detail("us1")

    def test_withdrawn_event_in_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "event.json"
        path.write_text(json.dumps(detail_json(status="deleted")))
        assert client(answers(httpx.Response(500))[0]).detail_from(path).deleted


class TestAddresses:
    def test_the_query(self) -> None:
        handle, asked = answers(httpx.Response(200, json=detail_json()))
        client(handle).detail("us2000h8ty")
        assert str(asked[0].url) == f"{BASE}/fdsnws/event/1/query?eventid=us2000h8ty&format=geojson"

    @pytest.mark.parametrize("event_id", ["", "../x", "a b", "us1&x=1", "u" * 101, "us1\n", "é"])
    def test_malformed_ids_never_leave(self, event_id: str) -> None:
        handle, asked = answers(httpx.Response(200, json=detail_json()))
        with pytest.raises(NotAnEvent):
            client(handle).detail(event_id)
        assert not asked

    @pytest.mark.parametrize("name", ["4.5_year", "all_day/../x", "", "5.5_day"])
    def test_unknown_feeds(self, name: str) -> None:
        with pytest.raises(InvalidInput, match="feed"):
            client(answers(httpx.Response(200))[0]).feed(name)

    @pytest.mark.parametrize(
        "url",
        [
            "file:///etc/passwd",
            "ftp://earthquake.usgs.gov/x",
            "http://169.254.169.254/latest/meta-data",
            "http://localhost:8080/x",
            "https://usgs.gov.evil.example/x",
            "https://evilusgs.gov/x",
            "https://earthquake.usgs.gov@evil.example/x",
            "https://user:secret@earthquake.usgs.gov/x",
            "https://earthquake.usgs.gov:22/x",
            "https://earthquake.usgs.gov:99999/x",
            "https://[::1/x",
        ],
    )
    def test_foreign_addresses_are_refused(self, url: str) -> None:
        handle, asked = answers(httpx.Response(200, content=b"x"))
        reader = client(handle)
        with pytest.raises(InvalidInput):
            reader.download(Content(url))
        with pytest.raises(InvalidInput):
            reader.detail_from(url)
        assert not asked

    def test_redirects_are_followed_only_to_allowed_hosts(self) -> None:
        good = httpx.Response(302, headers={"Location": "https://www.usgs.gov/y"})
        handle, asked = answers(good, httpx.Response(200, content=b"data"))
        assert client(handle).download(Content(f"{BASE}/x")) == b"data"
        assert str(asked[1].url) == "https://www.usgs.gov/y"
        handle, asked = answers(httpx.Response(302, headers={"Location": "http://10.0.0.1/"}))
        with pytest.raises(InvalidInput, match=r"10\.0\.0\.1"):
            client(handle).download(Content(f"{BASE}/x"))
        assert len(asked) == 1

    def test_circles_end(self) -> None:
        handle, asked = answers(httpx.Response(302, headers={"Location": "/x"}))
        with pytest.raises(SourceUnavailable, match="redirects"):
            client(handle, attempts=1).download(Content(f"{BASE}/x"))
        assert len(asked) == 4

    @pytest.mark.parametrize("base", ["earthquake.usgs.gov", "ftp://x", "https://", ""])
    def test_base_address(self, base: str) -> None:
        with pytest.raises(InvalidInput, match="base address"):
            UsgsClient(base, timeout_s=1)

    def test_missing_and_cut_files(self, tmp_path: Path) -> None:
        reader = client(answers(httpx.Response(500))[0])
        with pytest.raises(NotAnEvent, match=r"nothing\.json"):
            reader.detail_from(tmp_path / "nothing.json")
        with pytest.raises(NotAnEvent):
            reader.detail_from(tmp_path)
        cut = tmp_path / "cut.json.gz"
        cut.write_bytes(gzip.compress(json.dumps(detail_json()).encode())[:-20])
        with pytest.raises(NotAnEvent, match=r"cut\.json\.gz"):
            reader.detail_from(cut)


class TestDownload:
    body = b"ground motion" * 100
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()

    def test_verified(self) -> None:
        handle, asked = answers(httpx.Response(200, content=self.body))
        content = Content(f"{BASE}/f", len(self.body), self.digest)
        assert client(handle).download(content) == self.body
        assert client(handle).download(Content(f"{BASE}/f")) == self.body
        assert len(asked) == 2

    @pytest.mark.parametrize("damaged", [body[:-1], body[:-1] + b"!", b""])
    def test_damage_is_retried_then_refused(self, damaged: bytes) -> None:
        content = Content(f"{BASE}/f", len(self.body), self.digest)
        handle, asked = answers(httpx.Response(200, content=damaged), httpx.Response(200, content=self.body))
        assert client(handle).download(content) == self.body
        assert len(asked) == 2
        with pytest.raises(SourceUnavailable, match="expected"):
            client(answers(httpx.Response(200, content=damaged))[0]).download(content)

    def test_compression_on_the_way_is_undone_before_checking(self) -> None:
        packed = httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=gzip.compress(self.body))

        def handle(_: httpx.Request) -> httpx.Response:
            return httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=gzip.compress(self.body))

        assert packed.content == self.body
        assert client(handle).download(Content(f"{BASE}/f", len(self.body), self.digest)) == self.body

    def test_inline_text_has_no_address(self) -> None:
        with pytest.raises(NotFound, match="inline"):
            client(answers(httpx.Response(200))[0]).download(Content(None))


class TestParsing:
    @pytest.mark.parametrize(
        ("change", "place"),
        [
            ({"mag": None}, "properties.mag"),
            ({"mag": "NaN"}, "properties.mag"),
            ({"time": 10**30}, "properties.time"),
            ({"products": {"shakemap": [{"source": "us", "code": "c"}]}}, "products.shakemap.0.updateTime"),
            (
                {"products": {"shakemap": [{"source": "../us", "code": "c", "updateTime": 1, "status": "UPDATE"}]}},
                "source",
            ),
            ({"products": {"shakemap": "none"}}, "products.shakemap"),
        ],
    )
    def test_refusals_name_the_place(self, change: dict[str, Any], place: str) -> None:
        with pytest.raises(InvalidInput, match=place.replace(".", r"\.")):
            parse_detail(json.dumps(detail_json(**change)).encode(), "somewhere")

    @pytest.mark.parametrize(("text", "expected"), [("270", -90.0), ("-180", 180.0), ("180", 180.0), ("-91.5", -91.5)])
    def test_rake_is_wrapped(self, text: str, expected: float) -> None:
        tensor = {"source": "us", "code": "c", "updateTime": 1, "status": "UPDATE"}
        products = {"moment-tensor": [tensor | {"properties": {"nodal-plane-1-rake": text}}]}
        assert parse_detail(json.dumps(detail_json(products=products)).encode(), "x").event.rake == expected

    @pytest.mark.parametrize("text", ["steep", "nan", "1e9"])
    def test_rake_that_is_no_angle(self, text: str) -> None:
        tensor = {"source": "us", "code": "c", "updateTime": 1, "status": "UPDATE"}
        products = {"moment-tensor": [tensor | {"properties": {"nodal-plane-1-rake": text}}]}
        with pytest.raises(InvalidInput, match="mechanism us c: nodal-plane-1-rake: expected degrees"):
            parse_detail(json.dumps(detail_json(products=products)).encode(), "x")

    def test_empty_maps_of_php(self) -> None:
        assert parse_detail(json.dumps(detail_json(products=[])).encode(), "x").shakemaps == ()

    @pytest.mark.parametrize(
        "body", [b"", b"[" * 100_000, b"\xff\xfe", b"null", b"[]", b'{"type":"Feature"}', b"{'a': 1}"]
    )
    def test_other_bodies(self, body: bytes) -> None:
        with pytest.raises(InvalidInput, match="somewhere"):
            parse_detail(body, "somewhere")
        with pytest.raises(InvalidInput, match="somewhere"):
            parse_feed(body, "somewhere")

    def test_mutations_raise_nothing_else(self) -> None:
        tensor = {"source": "us", "code": "c", "updateTime": 1, "status": "UPDATE"}
        tensor["properties"] = {"nodal-plane-1-rake": "90", "version": "1"}
        tensor["contents"] = {"download/grid.xml": {"url": f"{BASE}/x", "length": 3, "sha256": "x"}}
        products = {"moment-tensor": [tensor], "shakemap": [tensor]}
        whole = json.dumps(detail_json(products=products)).encode()
        generator = random.Random(0)
        refused = 0
        for _ in range(400):
            body = bytearray(whole)
            for _ in range(generator.randint(1, 3)):
                body[generator.randrange(len(body))] = generator.randrange(256)
            try:
                parse_detail(bytes(body[: generator.choice([len(body), generator.randrange(len(body))])]), "x")
            except HeadscarpError:
                refused += 1
        assert refused > 200
