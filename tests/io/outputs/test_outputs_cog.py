"""COGs read back by rasterio, rio-cogeo and rioxarray: values, colours, overviews, nodata."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rioxarray
from affine import Affine
from rio_cogeo import cog_validate

from headscarp.core.palette import COVERAGE, SCORE, palette_for
from headscarp.core.status import Status
from headscarp.errors import BadRaster, StoreError
from headscarp.io.outputs.cog import summarise, write_status_cog, write_value_cog, write_visual_cog

TRANSFORM = Affine(30.0, 0.0, 450000.0, 0.0, -30.0, 4300020.0)
TAGS = {"SYNTHETIC": "YES", "TIFFTAG_IMAGEDESCRIPTION": "SYNTHETIC test"}


def write(path: Path, data: np.ndarray, *, nodata: float, crs: str | None = "EPSG:32634") -> Path:
    profile = {"driver": "GTiff", "height": data.shape[0], "width": data.shape[1], "count": 1, "dtype": data.dtype}
    with rasterio.open(path, "w", crs=crs, nodata=nodata, transform=TRANSFORM, tiled=True, **profile) as file:
        file.write(data, 1)
    return path


@pytest.fixture
def values() -> np.ndarray:
    """(1100, 1300) scores with a NaN margin, a NaN hole, and one hot pixel."""
    rng = np.random.default_rng(5)
    data = rng.random((1100, 1300), np.float32) * 0.09
    data[:, :200] = np.nan
    data[500:520, 700:740] = np.nan
    data[801, 901] = 0.95
    data[100:200, 300:400] = 0.6
    return data


@pytest.fixture
def hazard(tmp_path: Path, values: np.ndarray) -> Path:
    source = write(tmp_path / "in.tif", values, nodata=np.nan)
    target = tmp_path / "hazard.tif"
    write_value_cog(source, target, name="score", tags=TAGS)
    return target


def test_values_are_kept_bit_for_bit_and_the_file_is_a_valid_cog(hazard: Path, values: np.ndarray) -> None:
    with rasterio.open(hazard) as file:
        np.testing.assert_array_equal(file.read(1), values)
        assert file.crs.to_epsg() == 32634
        assert file.transform == TRANSFORM
        assert np.isnan(file.nodata)
        assert file.descriptions == ("score",)
        assert file.tags()["SYNTHETIC"] == "YES"
        assert file.overviews(1) == [2, 4]
    assert cog_validate(hazard) == (True, [], [])


def test_overviews_are_averages_of_the_valid_pixels(hazard: Path, values: np.ndarray) -> None:
    with rasterio.open(hazard, overview_level=0) as file:
        overview = file.read(1)
    quads = values.reshape(550, 2, 650, 2).transpose(0, 2, 1, 3).reshape(550, 650, 4)
    valid = np.isfinite(quads)
    count = valid.sum(axis=2)
    with np.errstate(invalid="ignore"):
        expected = np.where(count > 0, np.where(valid, quads, 0).sum(axis=2) / count, np.nan)
    np.testing.assert_allclose(overview, expected, rtol=1e-5, equal_nan=True)
    assert overview[400, 450] == pytest.approx(values[800:802, 900:902].mean(), rel=1e-5)


def test_equal_input_gives_equal_bytes(hazard: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.tif"
    write_value_cog(tmp_path / "in.tif", again, name="score", tags=TAGS)
    assert again.read_bytes() == hazard.read_bytes()
    pictures = [tmp_path / "a.tif", tmp_path / "b.tif"]
    for picture in pictures:
        write_visual_cog(hazard, picture, palette=SCORE, tags=TAGS)
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


@pytest.mark.parametrize("quantity", ["score", "coverage"])
def test_the_picture_shows_the_palette_at_every_level(hazard: Path, tmp_path: Path, quantity: str) -> None:
    palette = palette_for(quantity)  # type: ignore[arg-type]
    picture = tmp_path / "visual.tif"
    write_visual_cog(hazard, picture, palette=palette, tags=TAGS)
    assert cog_validate(picture) == (True, [], [])
    for level in (None, 0, 1):
        where = {} if level is None else {"overview_level": level}
        with rasterio.open(hazard, **where) as file, rasterio.open(picture, **where) as drawn:
            np.testing.assert_array_equal(np.moveaxis(drawn.read(), 0, -1), palette.rgba(file.read(1)))
            assert [c.name for c in drawn.colorinterp] == ["red", "green", "blue", "alpha"]
            assert drawn.tags()["SYNTHETIC"] == "YES"


def test_picture_at_known_places(hazard: Path, tmp_path: Path) -> None:
    picture = tmp_path / "visual.tif"
    write_visual_cog(hazard, picture, palette=SCORE, tags=TAGS)
    places = [TRANSFORM @ (x + 0.5, y + 0.5) for x, y in ((901, 801), (350, 150), (10, 10), (720, 510))]
    with rasterio.open(picture) as file:
        hot, warm, margin, hole = (tuple(int(v) for v in pixel) for pixel in file.sample(places))
    assert hot == (68, 1, 84, 179)
    assert warm == (42, 120, 142, 179)
    assert margin == hole == (0, 0, 0, 0)


def test_edges_fall_into_the_class_above(tmp_path: Path) -> None:
    edges = np.array(COVERAGE.edges, np.float32)
    row = np.concatenate([edges, np.nextafter(edges, np.float32(0)), [np.nan, 0.0, 1.0]]).astype(np.float32)
    source = write(tmp_path / "edges.tif", np.tile(row, (16, 1)), nodata=np.nan)
    write_value_cog(source, tmp_path / "v.tif", name="coverage", tags={})
    write_visual_cog(tmp_path / "v.tif", tmp_path / "p.tif", palette=COVERAGE, tags={})
    with rasterio.open(tmp_path / "p.tif") as file:
        np.testing.assert_array_equal(np.moveaxis(file.read(), 0, -1)[0], COVERAGE.rgba(row[None])[0])


def test_status_overviews_hold_the_most_frequent_code(tmp_path: Path) -> None:
    codes = np.full((1200, 1200), Status.VALID, np.uint8)
    codes[:, 601:] = Status.SEA
    codes[::7, ::7] = Status.OUT_OF_DOMAIN
    source = write(tmp_path / "in.tif", codes, nodata=0)
    write_status_cog(source, tmp_path / "status.tif", tags=TAGS)
    assert cog_validate(tmp_path / "status.tif") == (True, [], [])
    with rasterio.open(tmp_path / "status.tif") as file:
        np.testing.assert_array_equal(file.read(1), codes)
        assert file.tags()["STATUS_2"] == Status.SEA.words
    with rasterio.open(tmp_path / "status.tif", overview_level=0) as file:
        assert set(np.unique(file.read(1))) <= {Status.VALID, Status.SEA, Status.OUT_OF_DOMAIN}
        assert (file.read(1)[:, :300] == Status.VALID).mean() > 0.95


def test_rioxarray_sees_crs_and_masks_nodata(hazard: Path, values: np.ndarray) -> None:
    with rioxarray.open_rasterio(hazard, masked=True) as data:
        assert data.rio.crs.to_epsg() == 32634
        assert float(data[0, 801, 901]) == pytest.approx(0.95)
        assert int(data.isnull().sum()) == int(np.isnan(values).sum())


def test_the_summary_agrees_with_numpy(hazard: Path, values: np.ndarray) -> None:
    summary = summarise(hazard)
    finite = values[np.isfinite(values)].astype(np.float64)
    assert (summary.count, summary.total) == (finite.size, values.size)
    assert (summary.minimum, summary.maximum) == (finite.min(), finite.max())
    assert summary.mean == pytest.approx(finite.mean(), rel=1e-9)


def test_a_map_without_any_value_has_no_range(tmp_path: Path) -> None:
    source = write(tmp_path / "in.tif", np.full((64, 64), np.nan, np.float32), nodata=np.nan)
    write_value_cog(source, tmp_path / "out.tif", name="score", tags={})
    summary = summarise(tmp_path / "out.tif")
    assert summary.count == 0
    assert np.isnan([summary.minimum, summary.maximum, summary.mean]).all()


@pytest.mark.parametrize(
    ("data", "nodata", "crs", "message"),
    [
        (np.zeros((8, 8), np.float64), np.nan, "EPSG:32634", "float32"),
        (np.zeros((8, 8), np.float32), -9999.0, "EPSG:32634", "nodata NaN"),
        (np.zeros((8, 8), np.float32), np.nan, None, "CRS"),
    ],
)
def test_other_rasters_are_refused(
    tmp_path: Path, data: np.ndarray, nodata: float, crs: str | None, message: str
) -> None:
    source = write(tmp_path / "in.tif", data, nodata=nodata, crs=crs)
    with pytest.raises(BadRaster, match=message):
        write_value_cog(source, tmp_path / "out.tif", name="score", tags={})


def test_a_missing_and_a_broken_file_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\x00" + b"\x00" * 40)
    for path in (tmp_path / "none.tif", broken):
        with pytest.raises(BadRaster, match=path.name):
            write_value_cog(path, tmp_path / "out.tif", name="score", tags={})


def test_a_full_disk_is_an_error_of_the_store_and_not_of_the_map(tmp_path: Path, values: np.ndarray) -> None:
    source = write(tmp_path / "in.tif", values, nodata=np.nan)
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from headscarp.io.outputs.cog import write_value_cog\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "write_value_cog(Path(sys.argv[1]), Path(sys.argv[2]), name='score', tags={})\n"
    )
    command = [sys.executable, "-c", script, str(source), str(tmp_path / "out.tif")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert StoreError.__name__ in done.stderr, done.stderr
    assert done.returncode != 0
