"""The map in a real browser: known colours at known places."""

from __future__ import annotations

import pytest

from headscarp.core.palette import ALPHA, COVERAGE, GROUND, RGB, SCORE, Palette
from headscarp.core.status import Status
from tests.viewer.bucket import Bucket
from tests.viewer.catalogues import DOUBTFUL, MIDDLE, MIDDLE_BY_VERSION, PATCHES, SILENT, edit
from tests.viewer.conftest import DATELINE, OLD, QUAKE, SYNTHETIC, item_key
from tests.viewer.visitor import Visitor

pytestmark = pytest.mark.service
WHITE = (255, 255, 255)
LAND = GROUND.rgb(Status.VALID)
FIRST, LAST, SEA = (150, 150), (150, 450), (450, 450)


def on_ground(palette: Palette, value: float, opacity: float = 1.0, ground: RGB = LAND) -> tuple[int, ...]:
    """The colour of a value over a ground, that of valid land unless told."""
    rgb = next(b.rgb for b in reversed(palette.bins) if value >= b.lower)
    alpha = ALPHA / 255 * opacity
    return tuple(round(alpha * v + (1 - alpha) * below) for v, below in zip(rgb, ground, strict=True))


def close(found: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return all(abs(a - b) <= 3 for a, b in zip(found, expected, strict=True))


def test_colours_of_the_latest_version(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={QUAKE.id}")
    for place, value in {**PATCHES, MIDDLE: MIDDLE_BY_VERSION[1]}.items():
        expected = on_ground(SCORE, value)
        found = visitor.colour(QUAKE.position(*place))
        assert close(found, expected), (place, found, expected)
    outside = visitor.colour(QUAKE.position(-15, 300))
    assert not any(close(outside, colour) for colour in (WHITE, *(shade.rgb for shade in GROUND.shades)))


@pytest.mark.parametrize("which", ["map", "compareMap"])
def test_what_has_no_colour_has_the_shade_of_its_reason(visitor: Visitor, bucket: Bucket, which: str) -> None:
    visitor.open(bucket, f"#event={QUAKE.id}&compare=1")
    bare = (60, 300)
    reasons = {**SILENT, DOUBTFUL: Status.OUT_OF_DOMAIN, bare: Status.VALID}
    shown = {status: visitor.colour(QUAKE.position(*place), which) for place, status in reasons.items()}
    if which == "compareMap":  # 0.002 is the lowest class of coverage: only what has no value lies bare
        shown = {status: colour for status, colour in shown.items() if status in SILENT.values()}
    assert all(close(found, GROUND.rgb(status)) for status, found in shown.items()), shown
    visitor.page.fill("#opacity", "20")
    visitor.settle()
    assert close(visitor.colour(QUAKE.position(*SEA), which), shown[Status.SEA])


def test_shades_are_explained_in_the_words_of_the_codes(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={QUAKE.id}")
    rows = visitor.page.locator(".shades li")
    order = [Status.VALID, Status.NODATA, Status.SEA, Status.WEAK_SHAKING, Status.OUT_OF_DOMAIN]
    assert rows.count() == len(order)
    for index, status in enumerate(order):
        assert rows.nth(index).inner_text().startswith(status.words)
        swatch = "one => getComputedStyle(one).backgroundColor"
        drawn = rows.nth(index).locator(".swatch").evaluate(swatch)
        assert drawn == f"rgb{GROUND.rgb(status)}"
    assert visitor.page.locator(".swatch.clear").count() == 0


def test_a_version_without_status_tiles_is_shown_on_white(visitor: Visitor, own_bucket: Bucket) -> None:
    edit(own_bucket.folder / item_key(QUAKE, 1), lambda item: item["assets"].pop("status_tiles"))
    visitor.open(own_bucket, f"#event={QUAKE.id}&version={QUAKE.run(1)}&compare=1")
    assert close(visitor.colour(QUAKE.position(*SEA)), WHITE)
    assert close(visitor.colour(QUAKE.position(*LAST)), on_ground(SCORE, PATCHES[LAST], ground=WHITE))
    assert visitor.page.locator(".swatch.clear").count() == 1
    assert Status.SEA.words in visitor.text(".legend")
    visitor.page.select_option("#version", str(QUAKE.run(2)))
    visitor.until(f"__headscarp.product.id === '{QUAKE.run(2)}'")
    visitor.wait().settle()
    assert close(visitor.colour(QUAKE.position(*SEA), "compareMap"), GROUND.rgb(Status.SEA))
    visitor.page.go_back()
    visitor.until(f"__headscarp.product.id === '{QUAKE.run(1)}'")
    visitor.wait().settle()
    assert close(visitor.colour(QUAKE.position(*SEA)), WHITE)


def test_lost_status_tiles_are_reported_and_leave_the_map(visitor: Visitor, bucket: Bucket) -> None:
    bucket.broken[item_key(OLD, 1).rpartition("/")[0] + "/status.pmtiles"] = 404
    visitor.open(bucket, f"#event={OLD.id}&compare=1")
    assert visitor.texts(".map-trouble [role=alert]")[0].startswith("The layer of places without a value")
    assert len(visitor.texts(".map-trouble [role=alert]")) == 1
    assert close(visitor.colour(OLD.position(*LAST)), on_ground(SCORE, PATCHES[LAST], ground=WHITE))


def test_an_older_version_shows_its_own_tiles(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={QUAKE.id}&version={QUAKE.run(1)}")
    assert close(visitor.colour(QUAKE.position(*MIDDLE)), on_ground(SCORE, MIDDLE_BY_VERSION[0]))


def test_choosing_a_version_changes_map_and_address(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={QUAKE.id}")
    visitor.page.select_option("#version", str(QUAKE.run(1)))
    visitor.until(f"__headscarp.product.id === '{QUAKE.run(1)}'")
    visitor.wait().settle()
    assert f"version={QUAKE.run(1)}" in visitor.page.url
    assert close(visitor.colour(QUAKE.position(*MIDDLE)), on_ground(SCORE, MIDDLE_BY_VERSION[0]))
    visitor.page.go_back()
    visitor.until(f"__headscarp.product.id === '{QUAKE.run(2)}'")
    visitor.wait().settle()
    assert close(visitor.colour(QUAKE.position(*MIDDLE)), on_ground(SCORE, MIDDLE_BY_VERSION[1]))


def test_compare_shows_the_usgs_model_beside_under_one_camera(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={QUAKE.id}&compare=1")
    for place in (FIRST, LAST):
        position, value = QUAKE.position(*place), PATCHES[place]
        assert close(visitor.colour(position), on_ground(SCORE, value))
        assert close(visitor.colour(position, "compareMap"), on_ground(COVERAGE, value * 0.1))
    assert visitor.texts(".legend h2") == [f"This map: {SCORE.title}", f"USGS model: {COVERAGE.title}"]
    assert visitor.texts("figcaption") == ["This map: fcn 1", "USGS model: nowicki jessee 2018"]
    visitor.page.locator(".map canvas").last.focus()
    visitor.page.keyboard.press("ArrowRight")
    visitor.page.wait_for_timeout(500)
    visitor.settle()
    first, second = visitor.camera("map"), visitor.camera("compareMap")
    assert first["lng"] == pytest.approx(second["lng"], abs=1e-9)
    assert first["lng"] > QUAKE.longitude + 0.01


def test_compare_is_switched_by_its_button(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={QUAKE.id}")
    assert visitor.page.evaluate("__headscarp.compareMap") is None
    visitor.page.click("button.compare")
    visitor.until("__headscarp.compareMap !== null")
    visitor.wait()
    assert visitor.page.get_attribute("button.compare", "aria-pressed") == "true"
    assert "compare=1" in visitor.page.url
    visitor.page.click("button.compare")
    visitor.until("__headscarp.compareMap === null")
    assert visitor.page.locator(".map canvas:visible").count() == 1


def test_opacity(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={OLD.id}")
    position = OLD.position(*LAST)
    for percent in (100, 50, 0):
        visitor.page.fill("#opacity", str(percent))
        visitor.settle()
        found, expected = visitor.colour(position), on_ground(SCORE, PATCHES[LAST], percent / 100)
        assert close(found, expected), (percent, found, expected)


def test_a_deep_link_sets_the_camera_and_moving_rewrites_it(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={OLD.id}&lon=84.75&lat=28.2&z=11.5")
    camera = visitor.camera()
    assert (camera["lng"], camera["lat"], camera["zoom"]) == pytest.approx((84.75, 28.2, 11.5), abs=1e-6)
    visitor.page.locator(".map canvas").first.focus()
    visitor.page.keyboard.press("ArrowUp")
    visitor.until("!location.hash.includes('lat=28.2000')")
    visitor.page.click("button.fit")
    visitor.until("!location.hash.includes('lon=')")
    visitor.wait().settle()
    west, south, east, north = visitor.camera()["bounds"]
    assert (west, south) < OLD.position(600, 0) and (east, north) > OLD.position(0, 600)


def test_an_event_across_the_antimeridian_is_whole(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={DATELINE.id}")
    west, _, east, _ = visitor.camera()["bounds"]
    assert east - west < 1.0
    assert west < 180 < east or west < -180 < east
    sides = {place: DATELINE.position(*place) for place in PATCHES}
    assert {round(longitude) for longitude, _ in sides.values()} == {-180, 180}
    for place, position in sides.items():
        assert close(visitor.colour(position), on_ground(SCORE, PATCHES[place])), place
    assert close(visitor.colour(DATELINE.position(*SEA)), GROUND.rgb(Status.SEA))


def test_the_colour_under_a_click_is_said_in_words(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={SYNTHETIC.id}&compare=1")
    visitor.page.mouse.click(*visitor.screen(SYNTHETIC.position(*LAST)))
    visitor.until("document.querySelector('.reading').textContent.includes('This map:')")
    said = visitor.text(".reading")
    assert SCORE.bins[-1].words in said
    assert COVERAGE.bins[3].words in said
    assert f"Status: {Status.VALID.words}" in said
    visitor.page.mouse.click(*visitor.screen(SYNTHETIC.position(*SEA)))
    visitor.until("document.querySelector('.reading').textContent.includes('no colour')")
    assert f"Status: {Status.SEA.words}" in visitor.text(".reading")


def test_enter_reads_the_centre_of_the_map(visitor: Visitor, bucket: Bucket) -> None:
    longitude, latitude = OLD.position(*FIRST)
    visitor.open(bucket, f"#event={OLD.id}&lon={longitude:.4f}&lat={latitude:.4f}&z=12")
    visitor.page.locator(".map canvas").first.focus()
    visitor.page.keyboard.press("Enter")
    visitor.until("document.querySelector('.reading').textContent.includes('This map:')")
    assert SCORE.bins[0].words in visitor.text(".reading")
