"""The page around the map in a real browser: lists, words, failures."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from headscarp.core.palette import SCORE
from headscarp.core.status import Status
from headscarp.io.store import LocalStore
from headscarp.viewer import page_files
from tests.viewer.bucket import Bucket, serve
from tests.viewer.catalogues import edit, publish_version, write_catalogue
from tests.viewer.conftest import COLLECTION, DATELINE, OLD, QUAKE, SYNTHETIC, item_key
from tests.viewer.visitor import Visitor

pytestmark = pytest.mark.service


def alert(visitor: Visitor) -> str:
    return visitor.text("[role=alert]")


def test_the_list_is_newest_first_and_says_what_is_synthetic(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket)
    rows = visitor.page.locator(".event")
    shown = [rows.nth(i).get_attribute("data-event") for i in range(rows.count())]
    assert set(shown[:2]) == {QUAKE.id, SYNTHETIC.id}
    assert shown[2:] == [DATELINE.id, OLD.id]
    assert visitor.texts(".badge") == ["SYNTHETIC"]
    words = visitor.text(f"[data-event={QUAKE.id}]")
    assert all(part in words for part in ("6.8", QUAKE.title, "22 Nov 2026", "2 versions"))
    assert "SYNTHETIC" in visitor.text(f"[data-event={SYNTHETIC.id}]")


def test_the_list_does_not_load_the_map_library(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket)
    assert not any("maplibre-gl" in key and key.endswith(".mjs") for key in bucket.requests)
    visitor.page.click(f"[data-event={OLD.id}] a")
    visitor.until("__headscarp.view === 'event'")
    visitor.wait()
    assert any(key.endswith("maplibre-gl.mjs") for key in bucket.requests)


def test_nothing_is_asked_of_other_sites(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={QUAKE.id}&compare=1")
    foreign = [a for a in visitor.addresses if not a.startswith((bucket.url, "data:", "blob:"))]
    assert foreign == []


def test_the_page_is_under_a_megabyte_when_compressed() -> None:
    assert sum(len(gzip.compress(file.path.read_bytes())) for file in page_files()) < 1_000_000


def test_an_event_in_words(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={QUAKE.id}")
    assert visitor.text("h1") == QUAKE.title
    assert visitor.texts("#version option") == [
        "2 of 2, latest · 22 Nov 2026, 06:50 UTC",
        "1 of 2, superseded · 22 Nov 2026, 06:30 UTC",
    ]
    legend = visitor.texts(".legend > ul:first-of-type > li")
    assert legend == [b.words for b in reversed(SCORE.bins)]
    silences = visitor.text(".legend > ul:last-of-type")
    assert all(status.words in silences for status in Status)
    facts = visitor.text(".facts")
    expected = ["not an observation", "uncalibrated score", "us hs2026test, version 2", "0.834 g", "683 km²", "10.5 km"]
    expected += [
        "lithology: no source covers this place",
        "fcn 1",
        "degraded: it wants lithology",
        "nowicki jessee 2018",
        "38.660° N, 20.600° E",
        "20.5 s",
    ]
    assert [part for part in expected if part not in facts] == []
    assert visitor.page.locator(".epicentre").count() == 1


def test_every_download_is_there(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={QUAKE.id}")
    hrefs = visitor.page.eval_on_selector_all(".downloads a", "links => links.map(link => link.href)")
    own = [href for href in hrefs if href.startswith(bucket.url)]
    assert {Path(href).suffix for href in own} == {".tif", ".pmtiles", ".json", ".png"}
    assert all((bucket.folder / href.removeprefix(f"{bucket.url}/")).is_file() for href in own)
    assert QUAKE.event.url in hrefs


def test_an_older_version_says_so_and_leads_to_the_latest(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={QUAKE.id}&version={QUAKE.run(1)}")
    assert "SUPERSEDED" in visitor.text(".banner.superseded")
    visitor.page.click(".banner.superseded a")
    visitor.until(f"__headscarp.product.id === '{QUAKE.run(2)}'")
    visitor.wait()
    assert visitor.page.locator(".banner").count() == 0


def test_the_item_links_to_its_own_page(visitor: Visitor, bucket: Bucket) -> None:
    item = json.loads((bucket.folder / item_key(QUAKE, 1)).read_text())
    (href,) = (link["href"] for link in item["links"] if link["rel"] == "alternate")
    visitor.page.goto(f"{bucket.url}/{item_key(QUAKE, 1).rpartition('/')[0]}/{href}")
    visitor.wait()
    assert visitor.page.evaluate("__headscarp.product.id") == str(QUAKE.run(1))


def test_a_synthetic_event_is_unmistakable(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={SYNTHETIC.id}")
    assert visitor.text(".banner.synthetic strong") == "SYNTHETIC"
    assert visitor.page.locator(".banner.synthetic").bounding_box()["width"] == 900  # type: ignore[index]
    assert visitor.text("h1").startswith("SYNTHETIC")


def test_a_withdrawn_event_is_unmistakable(visitor: Visitor, own_bucket: Bucket) -> None:
    folder = own_bucket.folder
    edit(folder / COLLECTION / OLD.id / "catalog.json", lambda c: c.update({"headscarp:withdrawn": True}))
    assert visitor.open(own_bucket).texts(f"[data-event={OLD.id}] .badge") == ["WITHDRAWN"]
    visitor.open(own_bucket, f"#event={OLD.id}")
    assert "WITHDRAWN" in visitor.text(".banner.withdrawn")


def test_a_version_published_meanwhile_is_announced(visitor: Visitor, tmp_path: Path) -> None:
    folder = write_catalogue(tmp_path, OLD)
    with serve(folder) as bucket:
        visitor.open(bucket, f"#event={OLD.id}")
        assert visitor.page.locator(".banner").count() == 0
        publish_version(LocalStore(tmp_path / "store"), tmp_path / "scratch", OLD, 2)
        visitor.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        visitor.page.wait_for_selector(".banner.superseded a")
        assert visitor.page.locator("#version option").count() == 2


def test_before_anything_is_published(visitor: Visitor, own_bucket: Bucket) -> None:
    (own_bucket.folder / "catalog.json").unlink()
    visitor.open(own_bucket)
    assert "Nothing has been published here yet" in visitor.text("[role=status]")


def test_a_catalogue_without_events(visitor: Visitor, own_bucket: Bucket) -> None:
    edit(own_bucket.folder / COLLECTION / "collection.json", lambda c: c.update(links=[]))
    visitor.open(own_bucket)
    assert "Nothing has been published here yet" in visitor.text("[role=status]")


@pytest.mark.parametrize("status", [403, 404, 500])
def test_missing_tiles_leave_the_rest_of_the_page(visitor: Visitor, bucket: Bucket, status: int) -> None:
    bucket.broken[item_key(OLD, 1).rpartition("/")[0] + "/hazard.pmtiles"] = status
    visitor.open(bucket, f"#event={OLD.id}")
    assert "This map could not be loaded" in alert(visitor)
    assert visitor.page.locator(".downloads a").count() > 5


def test_a_version_without_tiles(visitor: Visitor, own_bucket: Bucket) -> None:
    edit(own_bucket.folder / item_key(OLD, 1), lambda item: item["assets"].pop("tiles"))
    visitor.open(own_bucket, f"#event={OLD.id}")
    assert "This map has no tiles in this version" in alert(visitor)


def test_a_version_without_the_usgs_model(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={DATELINE.id}&compare=1")
    assert visitor.page.is_disabled("button.compare")
    assert visitor.page.evaluate("__headscarp.compareMap") is None


def test_a_failing_store_is_reported_and_can_be_tried_again(visitor: Visitor, bucket: Bucket) -> None:
    bucket.broken[f"{COLLECTION}/collection.json"] = 503
    visitor.open(bucket)
    assert "collection.json was refused (HTTP 503)" in alert(visitor)
    bucket.broken.clear()
    visitor.page.click("text=Try again")
    visitor.page.wait_for_selector(".event")


def test_one_broken_event_does_not_hide_the_others(visitor: Visitor, bucket: Bucket) -> None:
    bucket.broken[f"{COLLECTION}/{OLD.id}/catalog.json"] = 500
    visitor.open(bucket)
    assert visitor.page.locator(".event").count() == 4
    assert "was refused" in visitor.text(f"[data-event={OLD.id}] [role=alert]")


def test_tiles_that_fail_later_are_reported(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={OLD.id}&lon=84.73&lat=28.23&z=9")
    bucket.broken[item_key(OLD, 1).rpartition("/")[0] + "/hazard.pmtiles"] = 500
    visitor.page.evaluate("__headscarp.map.jumpTo({ zoom: 12 })")
    visitor.page.wait_for_selector("[role=alert]")
    assert "Part of the map could not be loaded" in alert(visitor)


def test_a_browser_without_webgl_still_shows_the_rest(visitor: Visitor, bucket: Bucket) -> None:
    visitor.page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    visitor.open(bucket, f"#event={OLD.id}")
    assert "This browser cannot draw the map" in alert(visitor)
    assert visitor.page.locator(".downloads a").count() > 5
    visitor.complaints.clear()


def test_moving_on_before_an_event_is_loaded(visitor: Visitor, bucket: Bucket) -> None:
    bucket.slow[f"{COLLECTION}/{OLD.id}/catalog.json"] = 1.0
    visitor.page.goto(f"{bucket.url}/index.html#event={OLD.id}")
    visitor.page.evaluate(f"location.hash = '#event={QUAKE.id}'")
    visitor.until(f"__headscarp.product?.id === '{QUAKE.run(2)}'")
    visitor.wait()
    visitor.page.wait_for_timeout(1200)
    assert visitor.text("h1") == QUAKE.title
    assert visitor.page.locator(".map canvas").count() == 1


def test_moving_on_before_a_version_is_loaded(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={QUAKE.id}")
    bucket.slow[item_key(QUAKE, 1)] = 1.0
    visitor.page.select_option("#version", str(QUAKE.run(1)))
    visitor.page.evaluate(f"location.hash = '#event={OLD.id}'")
    visitor.until(f"__headscarp.product?.id === '{OLD.run(1)}'")
    visitor.wait()
    visitor.page.wait_for_timeout(1200)
    assert visitor.text("h1") == OLD.title
    assert visitor.page.evaluate("__headscarp.product.id") == str(OLD.run(1))


def test_no_network(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket)
    visitor.page.context.set_offline(True)
    visitor.page.evaluate(f"location.hash = '#event={OLD.id}'")
    visitor.until("__headscarp.view === 'error'")
    assert "could not be loaded: no connection" in alert(visitor)


@pytest.mark.parametrize(
    ("address", "words"),
    [("#event=nosuch", "no event “nosuch”"), (f"#event={OLD.id}&version=nosuch", "no version “nosuch”")],
)
def test_addresses_of_nothing(visitor: Visitor, bucket: Bucket, address: str, words: str) -> None:
    visitor.open(bucket, address)
    assert words in alert(visitor)
    visitor.page.click("text=All earthquakes")
    visitor.page.wait_for_selector(".event")


def test_a_broken_item_is_reported(visitor: Visitor, own_bucket: Bucket) -> None:
    path = own_bucket.folder / item_key(OLD, 1)
    path.write_text(path.read_text()[:100])
    visitor.open(own_bucket, f"#event={OLD.id}")
    assert "is not readable JSON" in alert(visitor)


def test_text_of_the_catalogue_is_never_markup(visitor: Visitor, own_bucket: Bucket) -> None:
    evil = "<img src=x onerror=\"document.title='owned'\">"
    edit(own_bucket.folder / COLLECTION / OLD.id / "catalog.json", lambda c: c.update(title=evil))
    bad = {"rel": "via", "href": "javascript:alert(1)", "title": "click me"}
    edit(own_bucket.folder / item_key(OLD, 1), lambda item: item["links"].append(bad))
    visitor.open(own_bucket, f"#event={OLD.id}")
    assert visitor.text("h1") == evil
    assert visitor.page.locator("a[href^='javascript']").count() == 0
    assert "click me" in visitor.text(".downloads")


@pytest.mark.parametrize(
    "address", ["", f"#event={SYNTHETIC.id}&compare=1", f"#event={QUAKE.id}&version={QUAKE.run(1)}"]
)
def test_phones(browser: Browser, bucket: Bucket, address: str) -> None:
    with Visitor.at(browser, width=360, height=740) as visitor:
        visitor.open(bucket, address)
        assert visitor.page.evaluate("document.documentElement.scrollWidth") == 360
        small = visitor.page.eval_on_selector_all(
            "button:not(.maplibregl-ctrl button), select", "all => all.filter(one => one.offsetHeight < 40).length"
        )
        assert small == 0
        assert visitor.complaints == []


def test_everything_is_reached_by_keyboard(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={QUAKE.id}")
    reached = []
    for _ in range(30):
        visitor.page.keyboard.press("Tab")
        reached.append(
            visitor.page.evaluate(
                """() => {
                    const one = document.activeElement;
                    return [one.id || one.className || one.tagName, getComputedStyle(one).outlineStyle];
                }"""
            )
        )
    names = [name for name, _ in reached]
    for wanted in ("skip", "brand", "version", "opacity", "compare", "fit", "maplibregl-canvas"):
        assert wanted in names, (wanted, names)
    assert [name for name, outline in reached if outline == "none" and name != "BODY"] == []


def test_what_shows_says_what_it_is(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={QUAKE.id}&compare=1")
    nameless = visitor.page.eval_on_selector_all(
        "a, button, select, input, canvas.maplibregl-canvas, [role=img]",
        """all => all.filter(one => !(one.getAttribute('aria-label') || one.title || one.textContent.trim()
            || (one.labels && one.labels.length))).map(one => one.outerHTML)""",
    )
    assert nameless == []
    assert visitor.page.locator("h1").count() == 1
    assert visitor.page.get_attribute("html", "lang") == "en"


def test_many_events_come_a_page_at_a_time(visitor: Visitor, own_bucket: Bucket) -> None:
    folder = own_bucket.folder / COLLECTION
    event = json.loads((folder / OLD.id / "catalog.json").read_text())
    children = []
    for number in range(100):
        (folder / f"many{number}").mkdir()
        facts = event["headscarp:event"] | {"time": f"2026-01-01T00:{number // 60:02}:{number % 60:02}Z"}
        text = json.dumps(event | {"title": f"Quake {number}", "headscarp:event": facts})
        (folder / f"many{number}" / "catalog.json").write_text(text)
        children.append({"rel": "child", "href": f"./many{number}/catalog.json"})
    edit(folder / "collection.json", lambda c: c.update(links=children))
    visitor.open(own_bucket)
    assert visitor.texts(".event h2")[:2] == ["Quake 99", "Quake 98"]
    visitor.page.click("button.more")
    visitor.until("document.querySelectorAll('.event').length === 80")
    visitor.page.click("button.more")
    visitor.until("document.querySelectorAll('.event').length === 100")
    assert visitor.texts(".event h2")[-1] == "Quake 0"
