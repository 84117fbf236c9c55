"""The map in a real browser: known colours at known places."""

from __future__ import annotations

import pytest

from headscarp.core.palette import ALPHA, COVERAGE, SCORE, Palette
from tests.viewer.bucket import Bucket
from tests.viewer.catalogues import MIDDLE, MIDDLE_BY_VERSION, PATCHES
from tests.viewer.conftest import DATELINE, OLD, QUAKE, SYNTHETIC
from tests.viewer.visitor import Visitor

pytestmark = pytest.mark.service
WHITE = (255, 255, 255)
FIRST, LAST, SEA = (150, 150), (150, 450), (450, 450)


def on_white(palette: Palette, value: float, opacity: float = 1.0) -> tuple[int, ...]:
    """The colour of a value over white ground."""
    rgb = next(b.rgb for b in reversed(palette.bins) if value >= b.lower)
    alpha = ALPHA / 255 * opacity
    return tuple(round(alpha * v + (1 - alpha) * 255) for v in rgb)


def close(found: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return all(abs(a - b) <= 3 for a, b in zip(found, expected, strict=True))


def test_colours_of_the_latest_version(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={QUAKE.id}")
    for place, value in {**PATCHES, MIDDLE: MIDDLE_BY_VERSION[1]}.items():
        expected = WHITE if place == SEA else on_white(SCORE, value)
        found = visitor.colour(QUAKE.position(*place))
        assert close(found, expected), (place, found, expected)
    outside = visitor.colour(QUAKE.position(-15, 300))
    assert not close(outside, WHITE)


def test_an_older_version_shows_its_own_tiles(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={QUAKE.id}&version={QUAKE.run(1)}")
    assert close(visitor.colour(QUAKE.position(*MIDDLE)), on_white(SCORE, MIDDLE_BY_VERSION[0]))


def test_choosing_a_version_changes_map_and_address(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={QUAKE.id}")
    visitor.page.select_option("#version", str(QUAKE.run(1)))
    visitor.until(f"__headscarp.product.id === '{QUAKE.run(1)}'")
    visitor.wait().settle()
    assert f"version={QUAKE.run(1)}" in visitor.page.url
    assert close(visitor.colour(QUAKE.position(*MIDDLE)), on_white(SCORE, MIDDLE_BY_VERSION[0]))
    visitor.page.go_back()
    visitor.until(f"__headscarp.product.id === '{QUAKE.run(2)}'")
    visitor.wait().settle()
    assert close(visitor.colour(QUAKE.position(*MIDDLE)), on_white(SCORE, MIDDLE_BY_VERSION[1]))


def test_compare_shows_the_usgs_model_beside_under_one_camera(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={QUAKE.id}&compare=1")
    for place in (FIRST, LAST):
        position, value = QUAKE.position(*place), PATCHES[place]
        assert close(visitor.colour(position), on_white(SCORE, value))
        assert close(visitor.colour(position, "compareMap"), on_white(COVERAGE, value * 0.1))
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
        found, expected = visitor.colour(position), on_white(SCORE, PATCHES[LAST], percent / 100)
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
        expected = WHITE if place == SEA else on_white(SCORE, PATCHES[place])
        assert close(visitor.colour(position), expected), place


def test_the_colour_under_a_click_is_said_in_words(visitor: Visitor, bucket: Bucket) -> None:
    visitor.open(bucket, f"#event={SYNTHETIC.id}&compare=1")
    visitor.page.mouse.click(*visitor.screen(SYNTHETIC.position(*LAST)))
    visitor.until("document.querySelector('.reading').textContent.includes('This map:')")
    said = visitor.text(".reading")
    assert SCORE.bins[-1].words in said
    assert COVERAGE.bins[3].words in said
    visitor.page.mouse.click(*visitor.screen(SYNTHETIC.position(*SEA)))
    visitor.until("document.querySelector('.reading').textContent.includes('no colour')")


def test_enter_reads_the_centre_of_the_map(visitor: Visitor, bucket: Bucket) -> None:
    longitude, latitude = OLD.position(*FIRST)
    visitor.open(bucket, f"#event={OLD.id}&lon={longitude:.4f}&lat={latitude:.4f}&z=12")
    visitor.page.locator(".map canvas").first.focus()
    visitor.page.keyboard.press("Enter")
    visitor.until("document.querySelector('.reading').textContent.includes('This map:')")
    assert SCORE.bins[0].words in visitor.text(".reading")
