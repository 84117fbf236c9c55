"""Cubes of analytic terrain, of broken sources, and of real event folders."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import CRS, Geod, Transformer
from scipy.interpolate import RegularGridInterpolator

from headscarp.core.event import Event, Shaking
from headscarp.core.grid import Bounds, Extent, event_extent, snapped_grid
from headscarp.core.pci.kernels import KERNELS, Kernel
from headscarp.core.pci.table import Table
from headscarp.core.tiling import Window
from headscarp.errors import InvalidInput, NotFound, SourceUnavailable
from headscarp.io.cubes.cube import Cube
from headscarp.io.inputs.folder import EventFolder, read_event_folder
from headscarp.io.inputs.rasters import RasterLayer
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.store import LocalStore
from headscarp.pipeline.cube import build_cube
from headscarp.pipeline.plan import kernel_groups
from headscarp.tables.coseismic import COSEISMIC

QUICK = Table("quick", tuple(r for r in COSEISMIC if r.kernel not in {"hydrology", "river_distance", "relief"}))
QUAKE = Event("xx1", "M 7.0 Somewhere", datetime(2020, 5, 1, tzinfo=UTC), 7.0, 21.0, 38.9, 10.0, rake=90.0)
SLOPE = np.degrees(np.arctan(0.25))


def write(path: Path, values: np.ndarray, transform: Affine, crs: str = "EPSG:32634") -> str:
    height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=1, dtype=values.dtype, crs=crs, transform=transform
    ) as target:
        target.write(values, 1)
    return str(path)


@pytest.fixture
def world(tmp_path: Path) -> dict[str, Any]:
    """A plane that rises eastward out of the sea, 200 x 180 pixels, with rock and land cover."""
    transform = Affine(30, 0, 499_020, 0, -30, 4_306_020)
    x = np.arange(300, dtype=np.float32) * 30
    z = np.tile(0.25 * (x - 3000), (280, 1)).astype(np.float32)
    rock = np.full((280, 300), 5, np.uint8)
    rock[:140] = 99
    cover = np.full((280, 300), 10, np.uint8)
    layers = {
        "dem": {"href": write(tmp_path / "dem.tif", z, transform), "unit": "m", "epoch": "2021"},
        "lithology": {"href": write(tmp_path / "rock.tif", rock, transform), "scheme": "glim"},
        "land_cover": {
            "href": write(tmp_path / "cover.tif", cover, transform),
            "scheme": "worldcover",
            "epoch": "2019",
        },
    }
    coarse = GeoBox(wh_(24, 24), Affine(1 / 60, 0, 20.8, 0, -1 / 60, 39.1), "EPSG:4326")
    pga = np.full((24, 24), 0.3, np.float32)
    grid = GeoBox(wh_(200, 180), transform * Affine.translation(50, 50), "EPSG:32634")
    return {
        "event": QUAKE,
        "shaking": Shaking(coarse, pga, pgv=pga * 100, attributes={"format": "test"}),
        "extent": Extent(grid, cut_by_shakemap_edge=True),
        "table": QUICK,
        "registry": SourceRegistry.load().with_overrides(layers, others="not in the test"),
        "lineage": {"source": "test"},
        "workers": 1,
        "timeout_s": 2.0,
    }


def rounding(channel: str) -> float:
    """Largest error of a stored value."""
    return 0.5 * (COSEISMIC[channel].precision or 0.0)


def everything(cube: Cube) -> Window:
    return Window(0, 0, *cube.grid.shape)


def test_a_plane_has_its_slope_up_to_the_coast(tmp_path: Path, world: dict[str, Any]) -> None:
    steps: list[tuple[int, int]] = []
    cube = build_cube(LocalStore(tmp_path), "c.zarr", progress=lambda *at: steps.append(at), **world)
    slope, elevation, land, pga, east, rake = cube.read(
        ("slope", "elevation", "land", "pga", "aspect_east", "rake_sin"), everything(cube)
    )
    sea = np.arange(200) <= 50
    np.testing.assert_array_equal(land, np.where(sea, 0, 1)[None].repeat(180, axis=0))
    np.testing.assert_array_equal(elevation[:, sea], 0)
    np.testing.assert_allclose(slope[:, 52:], SLOPE, rtol=1e-5, atol=rounding("slope"))
    np.testing.assert_allclose(east[:, 52:], -1, rtol=1e-5, atol=rounding("aspect_east"))
    for feature in (slope, pga, east, rake):
        assert np.isnan(feature[:, sea]).all()
    np.testing.assert_allclose(pga[:, ~sea], 0.3, rtol=1e-6)
    np.testing.assert_allclose(rake[:, ~sea], 1, atol=1e-6)
    assert steps == [(1, 3), (2, 3), (3, 3)]
    said = cube.attributes
    assert said["headscarp:land_km2"] == pytest.approx(180 * 149 * 900e-6)
    assert said["headscarp:cut_by_shakemap_edge"] is True
    assert said["headscarp:valid_fraction"]["slope"] == 1.0
    assert said["headscarp:dem_after_event"] is True
    assert said["headscarp:peak_pga"] == pytest.approx(0.3)


def test_reasons_are_recorded_and_values_out_of_range_are_unknown(tmp_path: Path, world: dict[str, Any]) -> None:
    cube = build_cube(LocalStore(tmp_path), "c.zarr", **world)
    assert cube.missing["soil"] == "not in the test"
    assert cube.missing["vs30"] == "the ShakeMap has no vs30"
    assert cube.missing["fault_distance"] == "not in the test"
    rock, cover = cube.read(("lithology", "land_cover"), everything(cube))
    assert np.isnan(rock[:90]).all()
    assert (rock[90:, 51:] == 5).all()
    assert (cover[:, 51:] == 10).all()
    said = cube.attributes
    assert said["headscarp:rejected_pixels"] == {"lithology": 140 * 199}
    assert said["headscarp:valid_fraction"]["lithology"] == 0.5
    files = said["headscarp:sources"]["dem"]["files"]
    assert [len(identity["sha256"]) for identity in files.values()] == [64]


@pytest.mark.parametrize(
    ("layer", "change", "reason"),
    [
        ("land_cover", {"epoch": "2021"}, "observed 2021, not before the earthquake of 2020-05-01"),
        ("land_cover", {"epoch": "2019/2020-05-01"}, "not before the earthquake"),
        ("lithology", {"scheme": "local, 9 unnamed classes"}, "scheme 'local, 9 unnamed classes' is not 'glim'"),
        ("lithology", {"scheme": None}, "scheme None is not 'glim'"),
        ("land_cover", {"href": "http://127.0.0.1:9/cover.tif"}, "127.0.0.1:9"),
    ],
)
def test_unfit_layers_are_missing(
    tmp_path: Path, world: dict[str, Any], layer: str, change: dict[str, Any], reason: str
) -> None:
    spec = world["registry"][layer].model_dump(exclude_unset=True) | change
    world["registry"] = world["registry"].with_overrides({layer: spec})
    cube = build_cube(LocalStore(tmp_path), "c.zarr", **world)
    assert reason in cube.missing[layer]
    assert np.isnan(cube.read((layer,), everything(cube))).all()


def test_derived_channels_name_what_they_lack(tmp_path: Path, world: dict[str, Any]) -> None:
    world["event"] = Event("xx1", "M 7", QUAKE.time, 7.0, 21.0, 38.9, 10.0)
    cube = build_cube(LocalStore(tmp_path), "c.zarr", **world)
    assert cube.missing["rake_cos"] == "the event has no rake"


@pytest.mark.parametrize(
    ("dem", "error", "words"),
    [
        ({"href": "http://127.0.0.1:9/dem.tif"}, SourceUnavailable, "127.0.0.1:9"),
        ({"href": "/nowhere/dem.tif"}, InvalidInput, "no such file"),
        ({"href": "/nowhere/dem.gpkg", "kind": "raster", "unit": "ft"}, InvalidInput, "no such file"),
    ],
)
def test_without_elevation_there_is_no_cube(
    tmp_path: Path, world: dict[str, Any], dem: dict[str, Any], error: type[Exception], words: str
) -> None:
    world["registry"] = world["registry"].with_overrides({"dem": dem})
    with pytest.raises(error, match=words):
        build_cube(LocalStore(tmp_path), "c.zarr", **world)
    with pytest.raises(NotFound):
        Cube.open(LocalStore(tmp_path), "c.zarr")


def test_a_registry_without_dem_and_an_extent_without_land(tmp_path: Path, world: dict[str, Any]) -> None:
    store = LocalStore(tmp_path)
    no_dem = world | {"registry": SourceRegistry.load().with_overrides({}, others="nothing at all")}
    with pytest.raises(InvalidInput, match="no elevation: nothing at all"):
        build_cube(store, "c.zarr", **no_dem)
    sea = GeoBox(wh_(40, 40), Affine(30, 0, 499_020, 0, -30, 4_306_020), "EPSG:32634")
    with pytest.raises(InvalidInput, match="no land in the extent"):
        build_cube(store, "c.zarr", **world | {"extent": Extent(sea, False)})
    with pytest.raises(NotFound):
        Cube.open(store, "c.zarr")


def test_weak_shaking_is_told_apart_from_missing(tmp_path: Path, world: dict[str, Any]) -> None:
    shaking = world["shaking"]
    world["shaking"] = Shaking(shaking.grid, np.full((24, 24), 0.01, np.float32))
    cube = build_cube(LocalStore(tmp_path), "c.zarr", **world)
    land, pga, slope = cube.read(("land", "pga", "slope"), everything(cube))
    np.testing.assert_allclose(pga, 0.01, rtol=1e-5)
    assert np.isnan(slope).all()
    assert np.isnan(land).all()
    assert cube.attributes["headscarp:skipped_blocks"] == {"PGA below 0.02 g": 2}
    assert cube.missing["slope"].startswith("not made: PGA is below 0.02 g")


def test_a_layer_whose_host_goes_away_leaves_a_recorded_gap(
    tmp_path: Path, world: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: RasterLayer, grid: GeoBox, resampling: str) -> np.ndarray:
        raise SourceUnavailable(f"layer {self.name}: the host went away")

    monkeypatch.setattr(RasterLayer, "codes", gone)
    cube = build_cube(LocalStore(tmp_path), "c.zarr", **world)
    assert cube.attributes["headscarp:gaps"]["lithology"]["blocks"] == 2
    assert cube.missing["lithology"].endswith("the host went away")
    assert "slope" not in cube.missing


def test_a_dem_that_breaks_halfway_leaves_nothing_and_the_next_try_succeeds(
    tmp_path: Path, world: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path)
    with monkeypatch.context() as patch:

        def gone(self: RasterLayer, grid: GeoBox, resampling: str) -> np.ndarray:
            raise SourceUnavailable("the host went away")

        patch.setattr(RasterLayer, "elevation", gone)
        with pytest.raises(SourceUnavailable):
            build_cube(store, "c.zarr", **world)
        with pytest.raises(NotFound):
            Cube.open(store, "c.zarr")
    assert build_cube(store, "c.zarr", **world).attributes["headscarp:complete"] is True


def test_each_kernel_runs_once_per_block(
    tmp_path: Path, world: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def counted(name: str, function: Callable[..., Any], *args: Any) -> Any:
        calls.append(name)
        return function(*args)

    for name, kernel in list(KERNELS.items()):
        monkeypatch.setitem(KERNELS, name, Kernel(functools.partial(counted, name, kernel.function), kernel.version))
    cube = build_cube(LocalStore(tmp_path), "c.zarr", **world)
    assert len(cube.attributes["headscarp:lattice"]["computed"]) == 2
    static = [g.kernel for g in kernel_groups(QUICK) if g.kernel not in {"fault_distance", "focal_mechanism"}]
    assert sorted(calls) == sorted([*static, *static, "focal_mechanism"])


def test_kernels_come_after_what_they_read() -> None:
    order = [group.kernel for group in kernel_groups(COSEISMIC)]
    assert order.index("terrain") < order.index("hydrology") < order.index("river_distance")
    assert len(order) == len(set(order))


def test_sources_in_the_wrong_unit_are_refused(tmp_path: Path, world: dict[str, Any]) -> None:
    spec = world["registry"]["lithology"].model_dump(exclude_unset=True) | {"unit": "km"}
    world["registry"] = world["registry"].with_overrides({"lithology": spec})
    with pytest.raises(InvalidInput, match="expected unit 'code', found 'km'"):
        build_cube(LocalStore(tmp_path), "c.zarr", **world)


def test_synthetic_events_say_so(tmp_path: Path, world: dict[str, Any]) -> None:
    event = Event("xx1", "a made-up quake", QUAKE.time, 7.0, 21.0, 38.9, 10.0, synthetic=True)
    cube = build_cube(LocalStore(tmp_path), "c.zarr", **world | {"event": event})
    assert cube.attributes["title"].startswith("SYNTHETIC ")
    assert cube.attributes["headscarp:synthetic"] is True


def build_folder(folder: EventFolder, store: LocalStore, extent: Extent, *, workers: int = 2) -> Cube:
    registry = SourceRegistry.load().with_overrides(folder.layers, others="not in the event folder")
    return build_cube(
        store, f"{folder.event.id}-{workers}.zarr", event=folder.event, shaking=folder.shaking, extent=extent,
        table=COSEISMIC, registry=registry, lineage={}, workers=workers, block=512,
    )  # fmt: skip


@pytest.fixture(scope="module")
def lefkada(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[EventFolder, Cube, Extent]:
    """The north of the island and the mainland behind it, in some dozen blocks."""
    folder = read_event_folder(shared_data / "events/us_us10003ywp_lefkada2015_nolabel")
    whole = event_extent(folder.shaking, folder.event.longitude, folder.event.latitude)
    box = whole.grid.boundingbox
    bounds = Bounds(box.left, 4_296_000, box.right, 4_308_000)
    extent = Extent(snapped_grid(bounds, CRS.from_user_input(str(whole.grid.crs))), False)
    return folder, build_folder(folder, LocalStore(tmp_path_factory.mktemp("lefkada")), extent), extent


def test_lefkada_has_the_land_of_its_dem(lefkada: tuple[EventFolder, Cube, Extent]) -> None:
    folder, cube, extent = lefkada
    with rasterio.open(folder.layers["dem"]["href"]) as dataset:
        first, last = dataset.index(20.6, 38.95)[0], dataset.index(20.6, 38.78)[0]
        elevations = dataset.read(1)[first:last]
        columns, rows = np.meshgrid(np.arange(dataset.width) + 0.5, np.arange(first, last) + 0.5)
        lon, lat = dataset.transform * (columns, rows)
        step = dataset.res[0] / 2
    x, y = Transformer.from_crs(4326, str(cube.grid.crs), always_xy=True).transform(lon, lat)
    box = extent.grid.boundingbox
    inside = (elevations > 0) & (x > box.left) & (x < box.right) & (y > box.bottom) & (y < box.top)
    geod = Geod(ellps="WGS84")
    latitudes = np.unique(lat[:, 0])[::50]
    cells = [abs(geod.polygon_area_perimeter([-step, step, step, -step], [v - step, v - step, v + step, v + step])[0])
             for v in latitudes]  # fmt: skip
    area = np.interp(lat[inside], latitudes, cells).sum() / 1e6
    assert cube.attributes["headscarp:land_km2"] == pytest.approx(area, rel=2e-3)


def test_lefkada_is_plausible_and_says_what_it_lacks(lefkada: tuple[EventFolder, Cube, Extent]) -> None:
    _, cube, _ = lefkada
    slope, relief, land = cube.read(("slope", "relief", "land"), everything(cube))
    assert set(cube.missing) == {
        "pga_ln_std", "pgv_ln_std", "lithology", "soil", "land_cover", "ndvi", "fault_distance", "rake_sin", "rake_cos",
    }  # fmt: skip
    assert np.isnan(slope[land == 0]).all()
    on_land = slope[land == 1]
    assert np.isfinite(on_land).all()
    assert 5 < np.median(on_land) < 20
    assert 50 < on_land.max() < 85
    assert np.nanmax(relief) < 1600
    assert cube.attributes["headscarp:rejected_pixels"] == {}


def test_lefkada_shaking_agrees_with_scipy(lefkada: tuple[EventFolder, Cube, Extent]) -> None:
    folder, cube, _ = lefkada
    pga, land = cube.read(("pga", "land"), everything(cube))
    coarse = folder.shaking.grid
    rows, columns = np.nonzero(land == 1)
    lon, lat = Transformer.from_crs(str(cube.grid.crs), 4326, always_xy=True).transform(
        *(cube.grid.transform * (columns + 0.5, rows + 0.5))
    )
    x, _ = coarse.transform * (np.arange(coarse.shape.x) + 0.5, np.zeros(coarse.shape.x))
    _, y = coarse.transform * (np.zeros(coarse.shape.y), np.arange(coarse.shape.y) + 0.5)
    within = (lon > x[0]) & (lon < x[-1]) & (lat < y[0]) & (lat > y[-1])
    oracle = RegularGridInterpolator((y[::-1], x), np.log(folder.shaking.pga.astype(float))[::-1])
    expected = np.exp(oracle((lat[within], lon[within])))
    assert within.mean() > 0.95
    np.testing.assert_allclose(pga[land == 1][within], expected, rtol=1e-4)


def test_the_number_of_workers_changes_nothing(lefkada: tuple[EventFolder, Cube, Extent], tmp_path: Path) -> None:
    folder, cube, extent = lefkada
    alone = build_folder(folder, LocalStore(tmp_path), extent, workers=1)
    assert alone.attributes["headscarp:content_digest"] == cube.attributes["headscarp:content_digest"]


@pytest.mark.parametrize(
    ("name", "land_km2", "missing"),
    [
        ("us_usp000e12e_kashmir2005", 378.0, {"lithology": "'local, 9 unnamed classes' is not 'glim'"}),
        ("us_us20002926_gorkha2015_30m", 509.1, {"pgv": "the ShakeMap has no pgv", "faults": ""}),
    ],
)
def test_other_real_folders(
    shared_data: Path, tmp_path: Path, name: str, land_km2: float, missing: dict[str, str]
) -> None:
    folder = read_event_folder(shared_data / "events" / name)
    with rasterio.open(folder.layers["dem"]["href"]) as dataset:
        grid = snapped_grid(Bounds(*dataset.bounds), CRS.from_user_input(dataset.crs))
    cube = build_folder(folder, LocalStore(tmp_path), Extent(grid, False))
    assert cube.attributes["headscarp:land_km2"] == pytest.approx(land_km2, rel=0.01)
    slope, pga = cube.read(("slope", "pga"), everything(cube))
    assert 20 < np.nanmedian(slope) < 40
    assert np.isfinite(pga[np.isfinite(slope)]).all()
    for channel, reason in missing.items():
        assert reason in cube.missing.get(channel, "")
    if "faults" in folder.layers:
        (distance,) = cube.read(("fault_distance",), everything(cube))
        assert 0 <= np.nanmin(distance) < 2000
