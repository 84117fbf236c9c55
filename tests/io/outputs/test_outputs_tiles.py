"""PMTiles decoded with the reference reader and Pillow, at known longitudes and latitudes."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from PIL import Image
from pmtiles.reader import MmapSource, Reader, all_tiles
from pmtiles.tile import Compression, TileType
from pyproj import Transformer

from headscarp.core.palette import COVERAGE, GROUND, SCORE, ColourScheme, Palette
from headscarp.core.status import Status
from headscarp.core.types import Codes, Raster
from headscarp.io.outputs.tiles import Pyramid, tilejson, write_pmtiles


def grid_of(width: int, height: int, *, epsg: int = 32634, x: float = 500000.0, y: float = 4300020.0) -> GeoBox:
    return GeoBox(wh_(width, height), Affine(30.0, 0.0, x, 0.0, -30.0, y), f"EPSG:{epsg}")


def draw(folder: Path, data: Raster | Codes, grid: GeoBox, palette: ColourScheme = SCORE) -> tuple[Path, Pyramid]:
    raster, archive = folder / "in.tif", folder / "out.pmtiles"
    profile = {"driver": "GTiff", "height": data.shape[0], "width": data.shape[1], "count": 1, "dtype": data.dtype}
    nodata = np.nan if data.dtype == np.float32 else 0
    with rasterio.open(raster, "w", crs=str(grid.crs), transform=grid.transform, nodata=nodata, **profile) as file:
        file.write(data, 1)
    return archive, write_pmtiles(raster, archive, palette=palette, grid=grid, title="test")


def read_tiles(archive: Path) -> Iterator[tuple[tuple[int, int, int], np.ndarray]]:
    """Every tile as (256, 256, 4) RGBA."""
    with archive.open("rb") as file:
        for place, data in all_tiles(MmapSource(file)):
            yield place, np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def header(archive: Path) -> dict[str, object]:
    with archive.open("rb") as file:
        return dict(Reader(MmapSource(file)).header())


def colour_at(archive: Path, zoom: int, longitude: float, latitude: float) -> tuple[int, ...]:
    """What a map client shows at a place: (0, 0, 0, 0) where there is no tile."""
    across = 2**zoom
    x = (longitude + 180.0) / 360.0 * across
    y = (1.0 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2.0 * across
    with archive.open("rb") as file:
        data = Reader(MmapSource(file)).get(zoom, int(x) % across, int(y))
    if data is None:
        return (0, 0, 0, 0)
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    return tuple(image.getpixel((int(x % 1 * 256), int(y % 1 * 256))))  # type: ignore[arg-type]


def place(grid: GeoBox, row: float, column: float) -> tuple[float, float]:
    to_degrees = Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True)
    t = grid.transform
    longitude, latitude = to_degrees.transform(t.c + t.a * column, t.f + t.e * row)
    return longitude, latitude


def rgba(palette: Palette, value: float) -> tuple[int, ...]:
    return tuple(int(v) for v in palette.rgba(np.array([[value]], np.float32))[0, 0])


@pytest.mark.parametrize("palette", [SCORE, COVERAGE])
def test_colours_at_known_places(tmp_path: Path, palette: Palette) -> None:
    grid = grid_of(800, 600)
    data = np.full((600, 800), 0.0, np.float32)
    blocks = {(100, 100): 0.95, (100, 500): 0.3, (400, 100): 0.12, (400, 500): np.nan, (300, 350): 0.06}
    for (row, column), value in blocks.items():
        data[row : row + 60, column : column + 60] = value
    archive, pyramid = draw(tmp_path, data, grid, palette)
    for (row, column), value in blocks.items():
        for zoom in range(pyramid.maxzoom - 2, pyramid.maxzoom + 1):
            shown = colour_at(archive, zoom, *place(grid, row + 30, column + 30))
            assert shown == rgba(palette, value), (row, column, zoom)
    assert colour_at(archive, pyramid.maxzoom, *place(grid, 20, 20)) == (0, 0, 0, 0)


def test_status_colours_at_known_places(tmp_path: Path) -> None:
    grid = grid_of(800, 600)
    codes = np.full((600, 800), Status.VALID, np.uint8)
    blocks = dict(zip([(100, 100), (100, 500), (400, 100), (400, 500)], set(Status) - {Status.VALID}, strict=True))
    for (row, column), status in blocks.items():
        codes[row : row + 60, column : column + 60] = status
    archive, pyramid = draw(tmp_path, codes, grid, GROUND)
    for (row, column), status in {**blocks, (20, 20): Status.VALID, (300, 350): Status.VALID}.items():
        for zoom in range(pyramid.maxzoom - 2, pyramid.maxzoom + 1):
            shown = colour_at(archive, zoom, *place(grid, row + 30, column + 30))
            assert shown == (*GROUND.rgb(status), 255), (row, column, zoom)
    assert colour_at(archive, pyramid.maxzoom, *place(grid, -8, 400)) == (0, 0, 0, 0)
    with archive.open("rb") as file:
        metadata = Reader(MmapSource(file)).metadata()
    assert metadata["legend"] == GROUND.legend()
    assert metadata["downsampling"] == "first found of out_of_domain, valid, weak_shaking, nodata, sea"


def test_a_single_pixel_of_land_in_the_sea_is_seen_at_every_zoom_and_no_colour_is_mixed(tmp_path: Path) -> None:
    codes = np.full((1500, 1700), Status.SEA, np.uint8)
    codes[777, 1234] = Status.VALID
    archive, pyramid = draw(tmp_path, codes, grid_of(1700, 1500), GROUND)
    colours: dict[int, set[tuple[int, ...]]] = {}
    for (zoom, _, _), image in read_tiles(archive):
        colours.setdefault(zoom, set()).update(map(tuple, np.unique(image.reshape(-1, 4), axis=0).tolist()))
    expected = {(0, 0, 0, 0), (*GROUND.rgb(Status.SEA), 255), (*GROUND.rgb(Status.VALID), 255)}
    assert colours == dict.fromkeys(range(pyramid.minzoom, pyramid.maxzoom + 1), expected)


def test_every_coloured_pixel_lies_on_valid_ground(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    codes = np.where(rng.random((700, 900)) < 0.05, Status.VALID, rng.choice([0, 2, 3], (700, 900))).astype(np.uint8)
    score = np.where(codes == Status.VALID, np.float32(0.4), np.float32(np.nan))
    images = {}
    for name, data, palette in (("map", score, SCORE), ("ground", codes, GROUND)):
        (tmp_path / name).mkdir()
        images[name] = dict(read_tiles(draw(tmp_path / name, data, grid_of(900, 700), palette)[0]))
    for where, image in images["map"].items():
        beneath = images["ground"][where][image[..., 3] > 0]
        assert (beneath == (*GROUND.rgb(Status.VALID), 255)).all()


def test_edges_lie_where_they_should_to_a_pixel(tmp_path: Path) -> None:
    grid = grid_of(700, 700)
    data = np.full((700, 700), np.nan, np.float32)
    data[:, 350:] = 0.9
    archive, pyramid = draw(tmp_path, data, grid)
    for row in (40.5, 350.5, 650.5):
        assert colour_at(archive, pyramid.maxzoom, *place(grid, row, 348.5)) == (0, 0, 0, 0)
        assert colour_at(archive, pyramid.maxzoom, *place(grid, row, 351.5)) == rgba(SCORE, 0.9)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pixels=st.lists(st.tuples(st.integers(0, 439), st.integers(0, 559)), min_size=1, max_size=6, unique=True),
    latitude=st.sampled_from([20_000.0, 3_300_000.0, 5_500_000.0, 7_000_000.0]),
    easting=st.sampled_from([180_000.0, 500_000.0, 810_000.0]),
)
def test_a_single_hot_pixel_is_seen_at_every_zoom(
    tmp_path: Path, pixels: list[tuple[int, int]], latitude: float, easting: float
) -> None:
    grid = grid_of(560, 440, x=easting, y=latitude)
    data = np.full((440, 560), 0.12, np.float32)
    for pixel in pixels:
        data[pixel] = 0.9
    archive, pyramid = draw(tmp_path, data, grid)
    hot = np.array(rgba(SCORE, 0.9), np.uint8)
    seen = dict.fromkeys(range(pyramid.minzoom, pyramid.maxzoom + 1), 0)
    for (zoom, _, _), image in read_tiles(archive):
        seen[zoom] += int((image == hot).all(axis=2).sum())
    spread = {(r // 64, c // 64) for r, c in pixels}
    assert all(count >= 1 for count in seen.values())
    assert seen[pyramid.maxzoom] >= len(spread)


def test_each_level_is_the_maximum_of_the_one_below(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    data = np.where(rng.random((900, 1100)) < 0.02, rng.random((900, 1100)), 0.0).astype(np.float32)
    archive, pyramid = draw(tmp_path, data, grid_of(1100, 900))
    ranks = {tuple(colour): rank for rank, colour in enumerate(SCORE.table.tolist())}
    tiles = {
        place: np.vectorize(lambda *c: ranks[c])(*np.moveaxis(image, 2, 0)) for place, image in read_tiles(archive)
    }
    assert pyramid.maxzoom - pyramid.minzoom >= 3
    for (zoom, x, y), codes in tiles.items():
        if zoom == pyramid.maxzoom:
            continue
        below = np.zeros((512, 512), int)
        for dy, dx in np.ndindex(2, 2):
            child = tiles.get((zoom + 1, 2 * x + dx, 2 * y + dy))
            if child is not None:
                below[dy * 256 : (dy + 1) * 256, dx * 256 : (dx + 1) * 256] = child
        np.testing.assert_array_equal(codes, below.reshape(256, 2, 256, 2).max(axis=(1, 3)))


def test_deep_tiles_agree_with_an_exact_projection_of_every_sample(tmp_path: Path) -> None:
    """Oracle: each of 2 x 2 samples per pixel projected by pyproj; GDAL itself is 0.1 % off by its approximations."""
    yy, xx = np.mgrid[0:500, 0:500]
    data = ((np.sin(xx / 37.0) * np.cos(yy / 23.0) + 1) / 2).astype(np.float32)
    grid = grid_of(500, 500, x=600000.0)
    archive, pyramid = draw(tmp_path, data, grid)
    padded = np.pad(SCORE.classes(data), 1)
    to_grid = Transformer.from_crs("EPSG:3857", str(grid.crs), always_xy=True)
    half = math.pi * 6378137.0
    size = 2 * half / 2**pyramid.maxzoom
    offsets = (np.arange(512) + 0.5) / 512 * size
    wrong = total = 0
    for (zoom, x, y), image in read_tiles(archive):
        if zoom == pyramid.maxzoom:
            easting, northing = to_grid.transform(*np.meshgrid(x * size - half + offsets, half - y * size - offsets))
            columns = np.clip(np.floor((easting - 600000.0) / 30.0), -1, 500).astype(int) + 1
            rows = np.clip(np.floor((4300020.0 - northing) / 30.0), -1, 500).astype(int) + 1
            expected = SCORE.table[padded[rows, columns].reshape(256, 2, 256, 2).max(axis=(1, 3))]
            wrong += int((image != expected).any(axis=2).sum())
            total += int(expected[..., 3].astype(bool).sum())
    assert total > 200_000
    assert wrong <= 5


def test_header_and_metadata(tmp_path: Path) -> None:
    grid = grid_of(800, 600)
    archive, pyramid = draw(tmp_path, np.full((600, 800), 0.5, np.float32), grid)
    found = header(archive)
    assert found["tile_type"] == TileType.PNG
    assert found["tile_compression"] == Compression.NONE
    assert found["clustered"] is True
    assert (found["min_zoom"], found["max_zoom"]) == (pyramid.minzoom, pyramid.maxzoom)
    west, north = place(grid, 0, 0)
    assert found["min_lon_e7"] == pytest.approx(west * 1e7, abs=2e4)
    assert found["max_lat_e7"] == pytest.approx(north * 1e7, abs=2e4)
    with archive.open("rb") as file:
        metadata = Reader(MmapSource(file)).metadata()
    assert metadata["legend"] == SCORE.legend()
    assert metadata["downsampling"] == "max"


def test_empty_tiles_are_left_out_and_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    data = np.full((1500, 1500), np.nan, np.float32)
    data[10:20, 10:20] = 0.7
    archive, pyramid = draw(tmp_path, data, grid_of(1500, 1500))
    first = archive.read_bytes()
    deepest = [place for place, image in read_tiles(archive) if place[0] == pyramid.maxzoom]
    assert len(deepest) <= 2
    assert all((image[..., 3] > 0).any() for _, image in read_tiles(archive))
    assert draw(tmp_path, data, grid_of(1500, 1500))[0].read_bytes() == first


def test_a_map_with_nothing_to_show_is_still_an_archive(tmp_path: Path) -> None:
    archive, pyramid = draw(tmp_path, np.full((300, 300), 0.01, np.float32), grid_of(300, 300))
    tiles = list(read_tiles(archive))
    assert len(tiles) == 1
    assert not tiles[0][1][..., 3].any()
    assert tiles[0][0][0] == pyramid.minzoom


@pytest.mark.parametrize(
    ("epsg", "easting", "northing"), [(32760, 760000.0, 8_000_010.0), (32701, 120000.0, 8_000_010.0)]
)
def test_a_grid_across_the_antimeridian(tmp_path: Path, epsg: int, easting: float, northing: float) -> None:
    grid = grid_of(4000, 500, epsg=epsg, x=easting, y=northing)
    data = np.full((500, 4000), 0.12, np.float32)
    data[200:300, 100:160] = 0.7
    data[200:300, 3840:3900] = 0.9
    archive, pyramid = draw(tmp_path, data, grid)
    west, east = place(grid, 250, 130), place(grid, 250, 3870)
    assert west[0] > 170 > -170 > east[0]
    for zoom in range(pyramid.maxzoom - 2, pyramid.maxzoom + 1):
        assert colour_at(archive, zoom, *west) == rgba(SCORE, 0.7)
        assert colour_at(archive, zoom, *east) == rgba(SCORE, 0.9)
    found = header(archive)
    assert (found["min_lon_e7"], found["max_lon_e7"]) == (-1_800_000_000, 1_800_000_000)
    document = tilejson(pyramid, url="https://example.org/x.pmtiles", title="t", palette=SCORE)
    assert document["bounds"][0] < document["bounds"][2]
    deepest = [x for (zoom, x, _), _ in read_tiles(archive) if zoom == pyramid.maxzoom]
    assert len(deepest) < 80
    assert {x < 2 ** (pyramid.maxzoom - 1) for x in deepest} == {True, False}


def test_tilejson_is_what_the_specification_asks_for(tmp_path: Path) -> None:
    _, pyramid = draw(tmp_path, np.full((600, 800), 0.5, np.float32), grid_of(800, 600))
    document = tilejson(pyramid, url="https://example.org/catalog/hazard.pmtiles", title="M 7", palette=SCORE)
    assert document["tilejson"] == "3.0.0"
    assert document["tiles"] == ["pmtiles://https://example.org/catalog/hazard.pmtiles/{z}/{x}/{y}"]
    west, south, east, north = document["bounds"]
    longitude, latitude, zoom = document["center"]
    assert west <= longitude <= east
    assert south <= latitude <= north
    assert document["minzoom"] <= zoom <= document["maxzoom"] <= 30
    assert "not calibrated" in document["legend"]


@pytest.mark.parametrize(("northing", "zoom"), [(20_000.0, 12), (4_430_000.0, 12), (6_700_000.0, 11)])
def test_the_deepest_level_is_the_one_nearest_to_thirty_metres(northing: float, zoom: int) -> None:
    assert Pyramid.of(grid_of(900, 600, y=northing)).maxzoom == zoom
