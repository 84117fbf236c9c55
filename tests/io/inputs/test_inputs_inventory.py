"""Inventories from file to frozen value: fates, dates, extent, criteria, and everything that may be wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.warp import transform_bounds

from headscarp.core.grid import Bounds, utm_crs
from headscarp.errors import InvalidInput
from headscarp.io.inputs.folder import read_event_folder
from headscarp.io.inputs.inventory import POINT_REACH_M, LandslideInventory, Place, read_inventory
from headscarp.io.inputs.inventory_criteria import overlap_share, staircases
from headscarp.io.inputs.inventory_dates import InventoryOptions
from headscarp.io.inputs.inventory_extent import hull_extent
from tests.io.inputs.inventories import (
    AREA,
    FORMATS,
    PLACE,
    UTM,
    moved,
    slide,
    write_cells,
    write_geojson,
    write_vector,
)

BY_YEAR = InventoryOptions(date_attributes=("year",))


def fates(inventory: LandslideInventory) -> dict[tuple[str, str], int]:
    return {(tally.fate, tally.reason): tally.features for tally in inventory.tallies}


def verdicts(inventory: LandslideInventory) -> list[str]:
    return [criterion.verdict for criterion in inventory.criteria]


def write(tmp_path: Path, shapes: Sequence[Any], years: Sequence[Any] | None = None, **options: Any) -> Path:
    return write_vector(tmp_path / "a.gpkg", shapes, None if years is None else {"year": years}, **options)


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "events/us_usp000e12e_kashmir2005"


@pytest.fixture(scope="module")
def place(folder: Path) -> Place:
    event = read_event_folder(folder).event
    crs = utm_crs(event.longitude, event.latitude)
    with rasterio.open(folder / "aw3d30.tif") as dem:
        return Place(crs, Bounds(*transform_bounds(dem.crs, crs.to_wkt(), *dem.bounds)), "the DEM", event.time)


class TestKashmir:
    def test_the_years_part_it_as_the_folder_says(self, folder: Path, place: Place) -> None:
        dated = read_inventory(folder / "landslides.gpkg", place, InventoryOptions(date_attributes=("Year_obs",)))
        asked = read_inventory(
            folder / "landslides.gpkg", place, InventoryOptions(coseismic="Year_obs in [2005, 2006]", extent="event")
        )
        assert sum(dated.periods.values()) == 3004
        assert dated.periods == {
            "coseismic": 2138, "before the earthquake": 107, "first seen too long after the earthquake": 759,
        }  # fmt: skip
        assert asked.periods["coseismic"] == 2138
        assert fates(dated)["refused", "drawn twice"] == 1
        assert len(dated.coseismic) == len(asked.coseismic) == 2137
        assert len(dated.ignore) == len(asked.ignore) == 866
        assert dated.area_km2 == pytest.approx(5.0144, abs=1e-3)
        assert dated.notes and "160 landslides" in dated.notes[0]
        assert verdicts(dated) == ["met", "not contradicted", "met"]

    def test_every_polygon_comes_out_valid_and_inside_what_was_mapped(self, folder: Path, place: Place) -> None:
        found = read_inventory(folder / "landslides.gpkg", place, InventoryOptions(date_attributes=("Year_obs",)))
        assert shapely.is_valid(found.coseismic).all()
        assert shapely.covers(found.extent.geometry.buffer(1e-3), found.coseismic).all()
        assert found.extent.assumed
        assert 300 < found.extent.area_km2 < 378

    def test_a_model_that_draws_around_pixels_fails_the_third_criterion(self, shared_data: Path) -> None:
        path = shared_data / "events/us_usp000g650_wenchuan2008_1km/landslides_2009_bhuyan.gpkg"
        crs = utm_crs(103.3, 31.0)
        place = Place(crs, Bounds(342_000, 3_430_000, 366_000, 3_475_000), "the DEM", PLACE.origin)
        found = read_inventory(path, place, InventoryOptions(extent="event"))
        assert fates(found)["repaired", "self-crossing outline"] == 22
        assert shapely.is_valid(found.coseismic).all()
        assert verdicts(found)[2] == "not met"


class TestFates:
    @pytest.mark.parametrize("name", FORMATS)
    def test_formats_agree(self, name: str, tmp_path: Path) -> None:
        shapes = [slide(k, k % 3) for k in range(9)]
        path = write_vector(tmp_path / name, shapes, {"year": [2005] * 6 + [2000, 2009, 2006]})
        found = read_inventory(path, PLACE, BY_YEAR)
        assert fates(found)["accepted", "coseismic"] == 7
        assert len(found.ignore) == 2
        assert found.area_km2 == pytest.approx(7 * slide(0).area / 1e6, rel=1e-5)

    def test_no_feature_is_lost(self, tmp_path: Path) -> None:
        shapes = [
            slide(0), slide(0), slide(1), slide(2), slide(3), shapely.Point(346_000, 3_831_000),
            shapely.Polygon([(346_400, 3_831_000), (346_600, 3_831_200), (346_600, 3_831_000), (346_400, 3_831_200)]),
            shapely.box(346_000, 3_832_000, 347_000, 3_832_000.4), slide(500),
        ]  # fmt: skip
        years = [2005, 2005, 2000, 2012, 0, 2005, 2006, 2005, 2005]
        found = read_inventory(write(tmp_path, shapes, years), PLACE, BY_YEAR)
        assert fates(found) == {
            ("accepted", "coseismic"): 2,
            ("repaired", "self-crossing outline"): 1,
            ("ignored", "before the earthquake"): 1,
            ("ignored", "first seen too long after the earthquake"): 1,
            ("ignored", "without a date"): 1,
            ("refused", "drawn twice"): 1,
            ("refused", "point or line, not a polygon"): 1,
            ("refused", "sliver"): 1,
            ("refused", "outside the DEM"): 1,
        }
        total = sum(n for (fate, _), n in fates(found).items() if fate != "repaired")
        assert total == len(shapes) == sum(found.periods.values())

    def test_ground_around_points_is_unknown(self, tmp_path: Path) -> None:
        point = shapely.Point(349_000, 3_831_000)
        found = read_inventory(write(tmp_path, [slide(0), point]), PLACE, InventoryOptions())
        (around,) = found.ignore
        assert shapely.area(around) == pytest.approx(np.pi * POINT_REACH_M**2, rel=0.05)
        assert verdicts(found)[0] == "doubtful"

    def test_a_landslide_seen_twice_at_two_times_stays_coseismic(self, tmp_path: Path) -> None:
        found = read_inventory(write(tmp_path, [slide(0), slide(0)], [2005, 2010]), PLACE, BY_YEAR)
        assert (len(found.coseismic), len(found.ignore)) == (1, 1)

    def test_the_value_is_frozen(self, tmp_path: Path) -> None:
        found = read_inventory(write(tmp_path, [slide(0)]), PLACE, InventoryOptions())
        with pytest.raises(dataclasses.FrozenInstanceError):
            found.quality = "human"  # type: ignore[misc]

    def test_named_ground_is_neither_landslide_nor_mapped(self, tmp_path: Path) -> None:
        shapes = [slide(0), slide(1), slide(5)]
        named = write_vector(tmp_path / "cloud.gpkg", [shapely.box(345_050, 3_829_000, 345_900, 3_832_000)])
        options = InventoryOptions(extent="event", ignore=named)
        found = read_inventory(write(tmp_path, shapes), PLACE, options)
        assert fates(found)["ignored", "on ground named as unknown"] == 1
        assert len(found.coseismic) == 2
        assert shapely.area(found.coseismic).sum() < 2 * slide(0).area - 1
        whole = (AREA.east - AREA.west) * (AREA.north - AREA.south)
        assert shapely.area(found.extent.geometry) == pytest.approx(whole - 850 * 3000)
        assert shapely.area(shapely.intersection(found.coseismic[0], shapely.box(345_050, 0, 345_900, 1e7))) < 1e-6


class TestDates:
    def test_two_attributes_give_a_range(self, tmp_path: Path) -> None:
        fields = {
            "begin": ["2005-01-01", "2005-10-20", "2000-01-01"],
            "end": ["2005-09-30", "2006-06-01", "2005-12-01"],
        }
        path = write_vector(tmp_path / "a.gpkg", [slide(0), slide(1), slide(2)], fields)
        found = read_inventory(path, PLACE, InventoryOptions(date_attributes=("begin", "end")))
        assert found.periods == {"before the earthquake": 1, "coseismic": 2}

    def test_the_window_is_stated_and_obeyed(self, tmp_path: Path) -> None:
        path = write(tmp_path, [slide(0), slide(1)], [2005, 2008])
        long = InventoryOptions(date_attributes=("year",), window_days=3 * 365)
        assert len(read_inventory(path, PLACE, BY_YEAR).coseismic) == 1
        found = read_inventory(path, PLACE, long)
        assert len(found.coseismic) == 2
        assert "2008-10-07" in found.dating

    def test_without_dates_all_is_assumed_and_said(self, tmp_path: Path) -> None:
        found = read_inventory(write(tmp_path, [slide(0)]), PLACE, InventoryOptions())
        assert found.dating.startswith("assumed")

    def test_a_query_of_texts_and_its_negation(self, tmp_path: Path) -> None:
        path = write_vector(tmp_path / "a.gpkg", [slide(0), slide(1), slide(2)], {"trigger": ["1", "2", "3"]})
        for query, count in (("trigger in [1, 3]", 2), ("trigger not in [1, 3]", 1)):
            assert len(read_inventory(path, PLACE, InventoryOptions(coseismic=query)).coseismic) == count

    def test_few_wrong_dates_are_ignored_many_are_refused(self, tmp_path: Path) -> None:
        shapes = [slide(k) for k in range(20)]
        found = read_inventory(write(tmp_path, shapes, [2005] * 19 + [20055]), PLACE, BY_YEAR)
        assert fates(found)["ignored", "with a date that cannot be"] == 1
        path = write_vector(tmp_path / "b.gpkg", shapes, {"year": [2005] * 15 + [20055] * 5})
        with pytest.raises(InvalidInput, match=r"year: expected dates up to 2026-06-01, found \['20055'\]"):
            read_inventory(path, PLACE, BY_YEAR, today=date(2026, 6, 1))

    def test_dates_to_come_cannot_be(self, tmp_path: Path) -> None:
        path = write(tmp_path, [slide(0), slide(1)], [2005, 2031])
        with pytest.raises(InvalidInput, match="expected dates up to"):
            read_inventory(path, PLACE, BY_YEAR, today=date(2026, 6, 1))

    @pytest.mark.parametrize(
        ("years", "options", "words"),
        [
            ([1999, 2000], BY_YEAR, "first seen from 2005-10-08 to 2006-10-08, found 2 before the earthquake"),
            ([0, 0], BY_YEAR, "year: expected dates, found none"),
            ([2005, 2005], InventoryOptions(date_attributes=("Year",)), r"attribute 'Year', found \['year'\]"),
            ([2005, 2005], InventoryOptions(coseismic="year = 2005"), "expected a query like"),
            ([2005, 2005], InventoryOptions(coseismic="year in [2005]", date_attributes=("year",)), "found both"),
            ([2005, 2005], InventoryOptions(date_attributes=("year",) * 3), "one or two date attributes"),
        ],
    )  # fmt: skip
    def test_refusals(self, years: list[int], options: InventoryOptions, words: str, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match=words):
            read_inventory(write(tmp_path, [slide(0), slide(1)], years), PLACE, options)


class TestPlace:
    def test_elsewhere(self, tmp_path: Path) -> None:
        far = [shapely.affinity.translate(slide(0), 90_000, 0)]
        with pytest.raises(InvalidInput, match=r"inside the DEM, 73\.2\d+ to .* found 74\.\d+ to"):
            read_inventory(write(tmp_path, far), PLACE, InventoryOptions())

    def test_exchanged_axes_are_noticed(self, tmp_path: Path) -> None:
        swapped = [shapely.transform(s, lambda xy: xy[:, ::-1]) for s in moved([slide(0)], "EPSG:4326")]
        with pytest.raises(InvalidInput, match="longitude and latitude seem to be exchanged"):
            read_inventory(write(tmp_path, swapped, crs="EPSG:4326"), PLACE, InventoryOptions())

    def test_metres_in_degrees_and_degrees_in_metres(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match=r"expected degrees, as WGS 84 has.*wrong CRS"):
            read_inventory(write(tmp_path, [slide(0)], crs="EPSG:4326"), PLACE, InventoryOptions())
        degrees = write_vector(tmp_path / "b.gpkg", moved([slide(0)], "EPSG:4326"), crs="EPSG:32643")
        with pytest.raises(InvalidInput, match=r"expected metres, as WGS 84 / UTM zone 43N has.*wrong CRS"):
            read_inventory(degrees, PLACE, InventoryOptions())

    def test_places_that_no_point_on_earth_has(self, tmp_path: Path) -> None:
        far = [shapely.affinity.translate(slide(0), 1e9, 1e9)]
        with pytest.raises(InvalidInput, match=r"wrong CRS|inside the DEM"):
            read_inventory(write(tmp_path, far), PLACE, InventoryOptions())

    def test_only_points_fail_the_first_criterion(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="expected polygons, found none among 2 features: point or line"):
            read_inventory(
                write(tmp_path, [shapely.Point(1e5, 3e6), shapely.Point(1e5, 4e6)]), PLACE, InventoryOptions()
            )

    @pytest.mark.filterwarnings("ignore:Non closed ring:RuntimeWarning")
    def test_geometries_that_no_library_writes(self, tmp_path: Path) -> None:
        ring = [list(xy) for xy in slide(0).exterior.coords]
        unclosed = {"type": "Polygon", "coordinates": [ring[:-1]]}
        short = {"type": "Polygon", "coordinates": [ring[:2]]}
        whole = {"type": "Polygon", "coordinates": [ring]}
        path = write_geojson(tmp_path / "a.geojson", [whole, unclosed, short, None])
        found = read_inventory(path, PLACE, InventoryOptions())
        assert len(found.coseismic) == 1
        assert sum(n for (fate, _), n in fates(found).items() if fate == "refused") == 3


class TestExtent:
    def test_given_polygons_are_taken_as_they_are(self, tmp_path: Path) -> None:
        box = shapely.box(344_000, 3_829_000, 348_000, 3_832_000)
        extent = write_vector(tmp_path / "extent.gpkg", [box])
        found = read_inventory(write(tmp_path, [slide(0)]), PLACE, InventoryOptions(extent=extent))
        assert not found.extent.assumed
        assert found.extent.area_km2 == pytest.approx(12.0)

    def test_the_extent_of_another_inventory_is_refused(self, tmp_path: Path) -> None:
        extent = write_vector(tmp_path / "extent.gpkg", [shapely.box(341_000, 3_821_000, 342_000, 3_822_000)])
        with pytest.raises(InvalidInput, match="found 100% of it outside"):
            read_inventory(write(tmp_path, [slide(0)]), PLACE, InventoryOptions(extent=extent))

    def test_an_extent_of_points_is_none(self, tmp_path: Path) -> None:
        extent = write_vector(tmp_path / "extent.gpkg", [shapely.Point(345_000, 3_830_000)])
        with pytest.raises(InvalidInput, match="expected polygons, found none among 1"):
            read_inventory(write(tmp_path, [slide(0)]), PLACE, InventoryOptions(extent=extent))

    def test_the_hull_holds_everything_and_not_much_more(self) -> None:
        shapes = np.array([slide(k % 10, k // 10) for k in range(100)])
        hull = hull_extent(shapes).geometry
        assert shapely.covers(hull.buffer(1e-6), shapes).all()
        assert shapely.area(hull) <= shapely.area(shapely.convex_hull(shapely.union_all(shapes))) + 1e-6
        assert shapely.covers(hull_extent(shapes[:1]).geometry.buffer(1e-6), shapes[0])

    def test_cells_that_are_nodata_were_not_mapped(self, tmp_path: Path) -> None:
        cells = np.zeros((40, 40), dtype=np.uint8)
        cells[5:8, 5:9], cells[:, 30:] = 1, 255
        path = write_cells(tmp_path / "a.tif", cells, nodata=255)
        found = read_inventory(path, PLACE, InventoryOptions())
        assert found.extent.area_km2 == pytest.approx(40 * 30 * 900 / 1e6)
        assert found.area_km2 == pytest.approx(12 * 900 / 1e6)
        assert verdicts(found)[0] == "not met"
        with pytest.raises(InvalidInput, match="attributes to date by, found a raster"):
            read_inventory(path, PLACE, BY_YEAR)


class TestCriteria:
    def test_points_blown_up_to_discs_are_seen(self, tmp_path: Path) -> None:
        discs = [shapely.Point(345_000 + 300 * k, 3_830_000).buffer(50) for k in range(20)]
        assert verdicts(read_inventory(write(tmp_path, discs), PLACE, InventoryOptions()))[1:] == ["not met", "not met"]

    def test_amalgamated_and_overlapping_polygons_are_seen(self, tmp_path: Path) -> None:
        parts = [shapely.MultiPolygon([slide(k), slide(k, 3)]) for k in range(0, 20, 2)]
        assert verdicts(read_inventory(write(tmp_path, parts), PLACE, InventoryOptions()))[1] == "doubtful"
        pairs = [shapely.affinity.translate(slide(k), dx, 0) for k in range(10) for dx in (0, 30)]
        found = read_inventory(write_vector(tmp_path / "b.gpkg", pairs), PLACE, InventoryOptions())
        assert verdicts(found)[2] == "doubtful"

    def test_staircases(self) -> None:
        step = shapely.Polygon([(0, 0), (60, 0), (60, 30), (30, 30), (30, 60), (0, 60)])
        shapes = np.array([step, slide(0), shapely.box(0, 0, 9, 9), shapely.affinity.rotate(step, 10)])
        assert staircases(shapes).tolist() == [True, False, True, False]

    def test_overlap_is_counted_once_per_pair(self) -> None:
        boxes = np.array([shapely.box(0, 0, 10, 10), shapely.box(5, 0, 15, 10), shapely.box(100, 0, 110, 10)])
        assert overlap_share(boxes) == pytest.approx(50 / 300)


def test_the_place_has_its_crs() -> None:
    assert PLACE.crs == UTM
