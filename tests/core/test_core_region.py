"""Belt and climate: known places, the events of the paper, and the corners of the map."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from headscarp.core.belts import BeltRule, Belts, Boundary, boundaries_of
from headscarp.core.event import Shaking
from headscarp.core.region import (
    Case,
    Climate,
    Region,
    assigned_region,
    blend,
    climate_around,
    climate_of_shaking,
    decide,
    koeppen_lookup,
    region_at,
)
from headscarp.tables.regions import BELTS, CASES, OROGENS, REGIONAL_MODELS


def climate(**shares: float) -> Climate:
    return Climate({"Eq": 0.0, "Te": 0.0, "Co": 0.0} | shares, "test")


def decided(distances: Mapping[str, float], found: Climate | None, override: str | None = None) -> Region:
    return decide(distances, found, regional_models=REGIONAL_MODELS, override=override)


# -- the rule ---------------------------------------------------------------------------------------------------------


def test_a_clear_case_gets_one_model() -> None:
    found = decided({"AH": 20.0, "CP": 3000.0}, climate(Te=0.9, Co=0.1))
    assert (found.code, found.weights, found.flags) == ("TeAH", {"TeAH": 1.0}, ())


@pytest.mark.parametrize("code", ["CoAH", "CoCP", "EqAH"])
def test_regions_without_a_model_of_their_own_get_the_global_one(code: str) -> None:
    found = decided({code[2:]: 0.0}, climate(**{code[:2]: 1.0}))
    assert (found.code, found.weights, found.flags) == (code, {"global": 1.0}, ("global_model",))


def test_half_cold_is_temperate_and_ambiguous() -> None:
    found = decided({"AH": 0.0, "CP": 9000.0}, climate(Te=0.4, Co=0.6))
    assert found.code == "TeAH"
    assert found.ambiguous
    assert found.weights == pytest.approx({"TeAH": 0.4, "global": 0.6})
    assert decided({"AH": 0.0}, climate(Te=0.3, Co=0.7)).code == "CoAH"


def test_two_belts_that_are_about_as_near_are_both_asked() -> None:
    found = decided({"AH": 120.0, "CP": 60.0}, climate(Te=0.9, Co=0.1))
    assert found.code == "TeCP"
    assert found.weights == pytest.approx({"TeCP": 0.45, "TeAH": 0.45, "global": 0.1})
    assert decided({"AH": 170.0, "CP": 60.0}, climate(Te=0.9, Co=0.1)).weights == {"TeCP": 1.0}


def test_beyond_reach_of_both_belts_the_global_model_predicts() -> None:
    found = decided({"AH": 501.0, "CP": 560.0}, climate(Te=1.0))
    assert (found.code, found.weights, found.flags) == (None, {"global": 1.0}, ("outside_belts", "global_model"))


def test_without_land_the_global_model_predicts() -> None:
    found = decided({"AH": 0.0, "CP": 900.0}, None)
    assert (found.code, found.weights, found.flags) == (None, {"global": 1.0}, ("no_land", "global_model"))


def test_an_override_wins_and_is_flagged() -> None:
    found = decided({"AH": 0.0, "CP": 9000.0}, climate(Te=0.8, Co=0.2), override="CoAH")
    assert (found.code, found.weights, found.flags) == ("CoAH", {"global": 1.0}, ("region_override", "global_model"))
    assert found.climate is not None
    assert found.climate.shares["Te"] == 0.8
    with pytest.raises(ValueError, match="expected a region"):
        decided({"AH": 0.0}, None, override="TeXX")


@settings(max_examples=60, deadline=None)
@given(
    near=st.floats(0, 700),
    far=st.floats(0, 700),
    parts=st.tuples(st.floats(0.01, 1), st.floats(0, 1), st.floats(0, 1)),
)
def test_weights_always_sum_to_one(near: float, far: float, parts: tuple[float, float, float]) -> None:
    shares = dict(zip(("Eq", "Te", "Co"), np.array(parts) / sum(parts), strict=True))
    found = decided({"AH": near, "CP": far}, climate(**shares))
    assert sum(found.weights.values()) == pytest.approx(1.0)
    assert set(found.weights) <= {*REGIONAL_MODELS, "global"}
    assert json.loads(json.dumps(found.to_json()))["flags"] == list(found.flags)


# -- climate ----------------------------------------------------------------------------------------------------------


def world(paint: Callable[[np.ndarray, np.ndarray], np.ndarray], step: float = 0.1) -> Callable[..., np.ndarray]:
    """A climate map of the whole Earth painted from longitude and latitude."""
    lon, lat = np.meshgrid(np.arange(-180, 180, step) + step / 2, 90 - np.arange(0, 180, step) - step / 2)
    return koeppen_lookup(paint(lon, lat).astype(np.uint8), west=-180.0, north=90.0, step=step)


def test_a_lookup_wraps_and_knows_the_poles() -> None:
    look = world(lambda lon, lat: np.where(lon > 170, 1, np.where(lon < -170, 5, np.where(lat < -80, 4, 0))))
    lon = np.array([179.95, -179.95, 180.05, 540.05, -189.95, 0.0, 0.0, 0.0])
    lat = np.array([0.0, 0.0, 0.0, 0.0, 0.0, -90.0, 90.0, 0.0])
    assert look(lon, lat).tolist() == [1, 5, 5, 5, 1, 4, 0, 0]


def test_outside_a_part_of_the_map_there_is_no_land() -> None:
    look = koeppen_lookup(np.full((10, 10), 3, np.uint8), west=10.0, north=50.0, step=0.5)
    assert look(np.array([12.0, 9.9, 15.1, 12.0, 12.0]), np.array([47.0, 47.0, 47.0, 50.1, 44.9])).tolist() == [
        3,
        0,
        0,
        0,
        0,
    ]


def test_the_box_reaches_across_the_date_line() -> None:
    look = world(lambda lon, _: np.where(lon > 0, 1, 3))
    found = climate_around(180.0, 0.0, look)
    assert found is not None
    assert found.shares == pytest.approx({"Eq": 0.5, "Te": 0.5, "Co": 0.0}, abs=0.01)


def test_the_box_grows_until_it_meets_land() -> None:
    look = world(lambda lon, _: np.where(lon > 10.7, 4, 0))
    found = climate_around(10.0, 0.0, look)
    assert found is not None
    assert "2 degrees" in found.land
    assert climate_around(5.0, 0.0, look) is None


@pytest.mark.parametrize("latitude", [90.0, -90.0])
def test_the_poles_have_a_climate(latitude: float) -> None:
    found = climate_around(33.0, latitude, world(lambda lon, _: np.full_like(lon, 5)))
    assert found is not None
    assert found.main == "Co"


def shaking(pga: np.ndarray, west: float, north: float, crs: str = "EPSG:4326", step: float = 0.1) -> Shaking:
    return Shaking(GeoBox(pga.shape, Affine(step, 0, west, 0, -step, north), crs), pga.astype(np.float32))


def test_the_land_that_was_shaken_decides() -> None:
    look = world(lambda lon, lat: np.where(lon < 10, 0, np.where(lat > 45, 4, 3)))
    pga = np.full((40, 40), 0.03)
    pga[:10, 20:] = 0.3  # strong in the north east, all of it land, all of it north of 45
    found = climate_of_shaking(shaking(pga, 8.0, 47.0), look)
    assert found is not None
    assert found.shares == pytest.approx({"Eq": 0.0, "Te": 0.0, "Co": 1.0})
    assert "0.12 g" in found.land


def test_weaker_shaking_decides_where_the_strong_is_at_sea() -> None:
    look = world(lambda lon, _: np.where(lon < 10, 0, 3))
    pga = np.full((40, 40), 0.06)
    pga[:, :20] = 0.5
    pga[0, 0] = np.nan
    found = climate_of_shaking(shaking(pga, 8.0, 47.0), look)
    assert found is not None
    assert "0.05 g" in found.land
    assert climate_of_shaking(shaking(np.full((4, 4), 0.5), 2.0, 47.0), look) is None


def test_area_counts_not_pixels() -> None:
    look = world(lambda _, lat: np.where(lat > 60, 4, 3))
    found = climate_of_shaking(shaking(np.full((200, 10), 0.5), 0.0, 70.0), look)
    assert found is not None
    north, south = (np.sin(np.radians(b)) - np.sin(np.radians(a)) for a, b in ((60, 70), (50, 60)))
    assert found.shares["Co"] == pytest.approx(north / (north + south), abs=1e-3)


def test_a_projected_shakemap_is_looked_up_where_it_lies() -> None:
    look = world(lambda lon, _: np.where(lon < 9.0, 3, 4))
    pga = np.full((20, 20), 0.5)
    found = climate_of_shaking(shaking(pga, 400_000.0, 5_000_000.0, "EPSG:32632", 1000.0), look)
    assert found is not None
    assert found.shares["Te"] == pytest.approx(1.0)  # west of the zone's meridian at 9 degrees


def nowhere() -> Belts:
    line = Boundary(frozenset({"AA", "BB"}), np.array([[0.0, -60.0], [1.0, -60.0]]))
    return Belts([line], [BeltRule(name="X", plates=frozenset({"AA"}), both=False)], {})


def test_a_place_needs_a_latitude() -> None:
    with pytest.raises(ValueError, match="a latitude"):
        region_at(0.0, 91.0, belts=nowhere(), climate=world(lambda lon, _: lon * 0), regional_models=REGIONAL_MODELS)


# -- blending ---------------------------------------------------------------------------------------------------------


def test_scores_are_averaged_by_their_log_odds() -> None:
    low, high = np.full((2, 2), 0.1, np.float32), np.full((2, 2), 0.9, np.float32)
    np.testing.assert_allclose(blend([low, high], [0.5, 0.5]), 0.5, atol=1e-6)
    np.testing.assert_allclose(blend([low, high], [1.0, 0.0]), low, atol=1e-6)
    np.testing.assert_allclose(blend([low], [0.3]), low, atol=1e-6)
    low[0, 0] = np.nan
    assert np.isnan(blend([low, high], [0.5, 0.5])).sum() == 1
    with pytest.raises(ValueError, match="positive weight"):
        blend([low], [0.5, 0.5])


# -- real plates and climate ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def belts(shared_data: Path) -> Belts:
    plates = json.loads((shared_data / "global/PB2002_boundaries.json").read_text())
    return Belts(boundaries_of(plates), BELTS, OROGENS)


@pytest.fixture(scope="module")
def koeppen(shared_data: Path) -> Callable[..., np.ndarray]:
    """Reads the window that the asked places span."""
    source = rasterio.open(shared_data / "global/koppen_main_class_30as.tif")

    def look_up(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
        out = np.zeros(lon.shape, np.uint8)
        wrapped = (lon + 180.0) % 360.0 - 180.0
        for half in (wrapped < 0, wrapped >= 0):
            if half.any():
                rows = (int((90 - lat[half].max()) * 120) - 1, int((90 - lat[half].min()) * 120) + 2)
                cols = (int((wrapped[half].min() + 180) * 120) - 1, int((wrapped[half].max() + 180) * 120) + 2)
                rows, cols = (max(rows[0], 0), min(rows[1], 21600)), (max(cols[0], 0), min(cols[1], 43200))
                part = koeppen_lookup(
                    source.read(1, window=(rows, cols)),
                    west=-180 + cols[0] / 120,
                    north=90 - rows[0] / 120,
                    step=1 / 120,
                )
                out[half] = part(wrapped[half], lat[half])
        return out

    return look_up


Place = Callable[..., Region]


@pytest.fixture(scope="module")
def place(belts: Belts, koeppen: Callable[..., np.ndarray]) -> Place:
    def at(lon: float, lat: float, **more: object) -> Region:
        return region_at(lon, lat, belts=belts, climate=koeppen, regional_models=REGIONAL_MODELS, **more)

    return at


@pytest.mark.parametrize("case", [c for c in CASES if c.name != "Gorkha 2015"], ids=lambda c: c.name)
def test_the_papers_test_events_come_out_as_in_the_paper(case: Case, place: Place) -> None:
    assert place(case.longitude, case.latitude).code == case.region


def test_the_papers_scenario_comes_out_as_in_the_paper(place: Place) -> None:
    found = place(102.30, 28.54)
    assert found.code == "TeAH"
    assert found.weights["TeAH"] > 0.6


def test_gorkha_is_ambiguous_by_the_rule_and_cold_by_assignment(place: Place) -> None:
    gorkha = next(c for c in CASES if c.name == "Gorkha 2015")
    by_rule = place(gorkha.longitude, gorkha.latitude)
    assert by_rule.ambiguous
    assert 0.2 < by_rule.weights["global"] < 0.4
    assigned = assigned_region(CASES, gorkha.day, gorkha.longitude + 0.3, gorkha.latitude)
    found = place(gorkha.longitude, gorkha.latitude, override=assigned)
    assert (found.code, found.weights) == ("CoAH", {"global": 1.0})


def test_gorkhas_footprint_and_its_slides_are_temperate_on_this_map(shared_data: Path, koeppen: Callable) -> None:
    folder = shared_data / "events/us_us20002926_gorkha2015_90m"
    with rasterio.open(folder / "pga_pgv_vs30_1_120deg.tif") as source:
        grid = GeoBox(source.shape, source.transform, "EPSG:4326")
        found = climate_of_shaking(Shaking(grid, source.read(1)), koeppen)
    assert found is not None
    assert found.shares["Te"] == pytest.approx(0.70, abs=0.01)
    with rasterio.open(folder / "label_90m.tif") as source:
        rows, cols = np.nonzero(source.read(1)[::4, ::4] == 1)
        x, y = source.transform @ (cols * 4 + 0.5, rows * 4 + 0.5)
        lon, lat = Transformer.from_crs(source.crs, "EPSG:4326", always_xy=True).transform(x, y)
    assert np.mean(koeppen(np.asarray(lon), np.asarray(lat)) == 3) == pytest.approx(0.84, abs=0.02)


def test_nobody_assigned_other_events() -> None:
    assert assigned_region(CASES, date(2015, 5, 12), 86.07, 27.81) is None
    assert assigned_region(CASES, date(2015, 4, 25), 90.0, 28.0) is None


@pytest.mark.parametrize(
    ("name", "lon", "lat", "code"),
    [
        ("Kashmir 2005", 73.588, 34.539, "TeAH"),
        ("Wenchuan 2008", 103.322, 31.002, "TeAH"),
        ("Lushan 2013", 102.95, 30.30, "TeAH"),
        ("Ludian 2014", 103.40, 27.20, "TeAH"),
        ("Friuli 1976", 13.2, 46.3, "TeAH"),
        ("Lefkada 2015", 20.60, 38.67, "TeAH"),
        ("Kahramanmaras 2023", 37.0, 37.2, "TeAH"),
        ("Racha 1991", 43.4, 42.5, "CoAH"),
        ("Yushu 2010", 96.6, 33.2, "CoAH"),
        ("Sikkim 2011", 88.1, 27.7, "CoAH"),
        ("Jiuzhaigou 2017", 103.855, 33.193, "CoAH"),
        ("Iburi 2018", 141.929, 42.686, "CoCP"),
        ("Northridge 1994", -118.54, 34.21, "TeCP"),
        ("Kobe 1995", 135.0, 34.6, "TeCP"),
        ("Chi-Chi 1999", 120.8, 23.85, "TeCP"),
        ("Kumamoto 2016", 130.8, 32.8, "TeCP"),
        ("Aysen 2007", -73.1, -45.3, "TeCP"),
        ("Palu 2018", 119.84, -0.18, "EqCP"),
        ("Haiti 2010", -72.57, 18.44, "EqCP"),
        ("Porgera 2018", 142.8, -6.1, "EqCP"),
        ("Reykjavik", -21.0, 64.0, None),
        ("New York", -74.0, 40.7, None),
    ],
)
def test_candidate_events_lie_where_the_specification_lists_them(
    name: str, lon: float, lat: float, code: str | None, place: Place
) -> None:
    assert place(lon, lat).code == code


def test_an_epicentre_at_sea_is_judged_by_the_land_it_shook(place: Place) -> None:
    at_sea = place(142.37, 38.30)
    assert at_sea.code is not None
    assert "box of" in at_sea.climate.land
    # the same with a ShakeMap that reaches the coast of Miyagi and Fukushima
    pga = np.full((300, 300), 0.03)
    pga[:, :170] = 0.4
    found = place(142.37, 38.30, shaking=shaking(pga, 140.2, 39.5, step=1 / 120))
    assert "0.12 g" in found.climate.land
    assert found.distances_km["CP"] < 500


@pytest.mark.parametrize("latitude", [90.0, -90.0])
def test_at_the_poles_the_global_model_predicts(latitude: float, place: Place) -> None:
    assert place(0.0, latitude).weights == {"global": 1.0}


def test_the_date_line_changes_nothing(place: Place) -> None:
    east, west, turned = place(179.9999, -17.0), place(-179.9999, -17.0), place(180.0001, -17.0)
    assert east.code == west.code == turned.code == "EqCP"
    assert west.distances_km == pytest.approx(turned.distances_km, abs=1e-6)
    assert east.distances_km == pytest.approx(west.distances_km, abs=0.05)
