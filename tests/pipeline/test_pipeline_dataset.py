"""Training scenes: labels lie where the inventory says, and channels are those of a response."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from headscarp.core.learning.labels import soft_label
from headscarp.errors import InvalidInput
from headscarp.io.inputs.folder import Inventory, read_event_folder
from headscarp.io.store import open_store
from headscarp.ml.windows import Scene
from headscarp.pipeline.dataset import landslide_masks, mapped_extent, model_inputs, read_scene, split
from headscarp.pipeline.world import write_world
from headscarp.tables.coseismic import COSEISMIC, PAPER_CHANNELS
from headscarp.world.generate import World, make_world

GRID = GeoBox.from_bbox((300_000, 3_800_000, 301_200, 3_800_900), "EPSG:32643", resolution=30)


def write_polygons(path: Path, polygons: list[shapely.Geometry], years: list[int], *, crs: str = "EPSG:32643") -> Path:
    """An inventory file with a year for each polygon."""
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array(polygons, dtype=object)),
        [np.array(years)],
        ["Year_obs"],
        driver="GPKG",
        geometry_type="Polygon",
        crs=crs,
    )
    return path


def blobs(seed: int, count: int = 6) -> list[shapely.Geometry]:
    """Ellipses of one to ten pixels somewhere on the grid."""
    rng = np.random.default_rng(seed)
    centres = np.column_stack([rng.uniform(300_100, 301_100, count), rng.uniform(3_800_100, 3_800_800, count)])
    return [shapely.affinity.scale(shapely.Point(c).buffer(1.0), *rng.uniform(20, 160, 2)) for c in centres]


def exact_share(polygons: list[shapely.Geometry], grid: GeoBox) -> np.ndarray:
    """Share of each pixel inside the polygons, by exact intersection."""
    union, (height, width), t = shapely.union_all(polygons), grid.shape, grid.transform
    boxes = [
        shapely.box(t.c + x * t.a, t.f + (y + 1) * t.e, t.c + (x + 1) * t.a, t.f + y * t.e)
        for y in range(height)
        for x in range(width)
    ]
    return (shapely.area(shapely.intersection(boxes, union)) / (t.a * -t.e)).reshape(height, width)


@pytest.mark.parametrize("crs", ["EPSG:32643", "EPSG:4326"])
def test_a_landslide_pixel_is_covered_by_half(tmp_path: Path, crs: str) -> None:
    polygons = blobs(1)
    to_file = Transformer.from_crs("EPSG:32643", crs, always_xy=True)
    stored = shapely.transform(np.array(polygons), lambda xy: np.column_stack(to_file.transform(xy[:, 0], xy[:, 1])))
    path = write_polygons(tmp_path / "slides.gpkg", list(stored), [2005] * len(polygons), crs=crs)
    slides, ignored = landslide_masks(Inventory(path, "human"), GRID)
    share = exact_share(polygons, GRID)
    clear = np.abs(share - 0.5) > 0.1
    np.testing.assert_array_equal(slides[clear], (share >= 0.5)[clear])
    assert slides.sum() > 20
    assert not ignored.any()


def test_polygons_of_other_years_are_ignored_ground_and_not_background(tmp_path: Path) -> None:
    polygons = blobs(2, count=8)
    years = [2005, 2006, 1999, 2012, 2005, 2008, 2005, 2006]
    path = write_polygons(tmp_path / "slides.gpkg", polygons, years)
    inventory = Inventory(path, "human", coseismic="Year_obs in [2005, 2006]", ignore="Year_obs not in [2005, 2006]")
    slides, ignored = landslide_masks(inventory, GRID)
    now = exact_share([p for p, y in zip(polygons, years, strict=True) if y in {2005, 2006}], GRID)
    other = exact_share([p for p, y in zip(polygons, years, strict=True) if y not in {2005, 2006}], GRID)
    assert slides[now > 0.6].all()
    assert not slides[now < 0.4].any()
    assert ignored[(other > 0) & ~slides].all()
    assert not (ignored & slides).any()
    assert not ignored[other == 0].any()


@pytest.mark.parametrize("query", ["Year_obs in [2005); DROP TABLE landslides", "Year_obs == 2005", "", "in [1]"])
def test_refuses_queries_it_does_not_know(tmp_path: Path, query: str) -> None:
    path = write_polygons(tmp_path / "slides.gpkg", blobs(3), [2005] * 6)
    with pytest.raises(InvalidInput, match=r"slides\.gpkg.*expected a query"):
        landslide_masks(Inventory(path, "human", coseismic=query), GRID)


def test_sources_of_derived_channels_are_found_in_the_table() -> None:
    found = {channel.name: channel for channel in model_inputs(COSEISMIC, PAPER_CHANNELS)}
    assert tuple(found) == PAPER_CHANNELS
    terrain = ("slope", "aspect_east", "relief", "tpi", "twi", "river_distance")
    assert {found[name].source for name in terrain} == {"dem"}
    assert found["fault_distance"].source == "faults"
    assert found["pga"].source == "shaking"
    assert found["pga"].transform == "ln"
    assert found["lithology"].classes == 16
    assert found["slope"].classes == 0


@pytest.fixture(scope="module")
def world() -> World:
    """A small world that is not the demonstration's."""
    return make_world(301, shape=(160, 160))


@pytest.fixture(scope="module")
def world_scene(world: World, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The same world as a training scene."""
    root = tmp_path_factory.mktemp("world")
    return read_scene(
        write_world(world, root / "event"), PAPER_CHANNELS, table=COSEISMIC, store=open_store(root / "store")
    )


def test_a_world_keeps_its_truth(world: World, world_scene: Scene) -> None:
    known = world_scene.known
    assert world_scene.synthetic
    assert known.mean() > 0.5
    assert not known[~world.land].any()
    np.testing.assert_array_equal(world_scene.slides[known], world.landslides[known])
    on = world_scene.slides & known
    assert (world_scene.label[on] == 1.0).all()
    inner = soft_label(world.landslides & world.land, world.land & np.isfinite(world.elevation))
    far = known & np.isfinite(inner)
    assert np.abs(world_scene.label[far] - inner[far]).mean() < 0.01


def test_channels_are_those_of_the_maps(world: World, world_scene: Scene) -> None:
    rock = world_scene.stack[PAPER_CHANNELS.index("lithology")]
    known = np.isfinite(rock)
    assert (rock[known] == world.lithology[known]).mean() > 0.999
    pga = world_scene.stack[PAPER_CHANNELS.index("pga")]
    assert np.nanmin(pga) >= 0.9 * np.nanmin(world.shaking.pga)
    assert np.nanmax(pga) <= 1.001 * world.shaking.peak_pga


def test_a_finished_cube_is_used_again(world: World, tmp_path: Path) -> None:
    folder, store = write_world(world, tmp_path / "event"), open_store(tmp_path / "store")
    calls: list[int] = []
    scenes, made = [], []
    for _ in range(2):
        scenes.append(
            read_scene(folder, ("slope",), table=COSEISMIC, store=store, progress=lambda done, _: calls.append(done))
        )
        made.append(len(calls))
    assert made[0] > 0
    assert made[1] == made[0]
    np.testing.assert_array_equal(scenes[0].stack, scenes[1].stack)
    assert scenes[0].statistics == scenes[1].statistics


def test_statistics_are_those_of_the_continuous_channels(world_scene: Scene) -> None:
    names = {c.name for c in model_inputs(COSEISMIC, PAPER_CHANNELS) if c.classes == 0}
    assert set(world_scene.statistics.quantiles) == names
    slope = world_scene.stack[PAPER_CHANNELS.index("slope")][world_scene.known]
    assert world_scene.statistics.quantiles["slope"][6] == pytest.approx(np.median(slope), abs=1.0)


def test_the_two_parts_of_a_split_share_nothing(world_scene: Scene) -> None:
    north, south = split(world_scene, 0.6, gap_px=20)
    assert not (north.known & south.known).any()
    assert np.flatnonzero(south.known.any(axis=1)).min() - np.flatnonzero(north.known.any(axis=1)).max() >= 40
    assert (north.known | south.known)[world_scene.known].mean() > 0.7
    assert {north.name, south.name} == {f"{world_scene.name}-north", f"{world_scene.name}-south"}


def test_a_folder_without_inventory_cannot_be_learned_from(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "events" / "us_us10003ywp_lefkada2015_nolabel"
    with pytest.raises(InvalidInput, match="inventory"):
        read_scene(folder, ("slope",), table=COSEISMIC, store=open_store(tmp_path))


def test_kashmir_has_the_landslide_area_of_its_polygons(shared_data: Path) -> None:
    event = read_event_folder(shared_data / "events" / "us_usp000e12e_kashmir2005")
    assert event.inventory is not None
    slides, ignored = landslide_masks(event.inventory, mapped_extent(event).grid)
    _, _, geometries, fields = pyogrio.raw.read(event.inventory.href, columns=["Year_obs"], force_2d=True)
    polygons = shapely.make_valid(shapely.from_wkb(geometries))
    coseismic = np.isin(fields[0], [2005, 2006])
    area = shapely.union_all(polygons[coseismic]).area
    # The smallest slides cover no pixel by half.
    assert 0.85 < slides.sum() * 900.0 / area < 1.05
    assert (
        ignored.sum() * 900.0
        > shapely.difference(shapely.union_all(polygons[~coseismic]), shapely.union_all(polygons[coseismic])).area * 0.9
    )
