"""Event folders: the real ones, and everything that may be wrong with one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from headscarp.core.event import ShakeMapId
from headscarp.errors import BadRaster, BadShakeMap, HeadscarpError, InvalidInput, NotAnEvent
from headscarp.io.inputs.folder import EventFolder, read_event_folder

EVENT = {
    "id": "made2026",
    "title": "SYNTHETIC M 7",
    "time": "2026-01-01T00:00:00Z",
    "magnitude": 7.0,
    "longitude": 10.0,
    "latitude": 46.0,
    "depth_km": 10.0,
    "layers": {
        "pga": {"href": "pga.tif", "band": 1, "unit": "g"},
        "pgv": {"href": "pga.tif", "band": 2, "unit": "cm/s"},
        "dem": {"href": "dem.tif", "unit": "m", "note": "bare"},
        "slope_reference": {"href": "dem.tif"},
    },
}
Maker = Callable[..., Path]


def write_tif(path: Path, bands: NDArray[Any], *, crs: str | None = "EPSG:32632", **profile: Any) -> None:
    profile = {"transform": from_origin(500_000, 5_100_000, 30, 30), "dtype": bands.dtype} | profile
    count, height, width = bands.shape
    with rasterio.open(path, "w", driver="GTiff", count=count, height=height, width=width, crs=crs, **profile) as file:
        file.write(bands)


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    """Write an event folder with changes to its event.json, return it."""

    def build(layers: dict[str, Any] | None = None, **changes: Any) -> Path:
        folder = tmp_path / "events" / "made"
        folder.mkdir(parents=True, exist_ok=True)
        ramp = np.linspace(0.1, 0.6, 12, dtype=np.float32).reshape(3, 4)
        write_tif(folder / "pga.tif", np.stack([ramp, ramp * 100]))
        write_tif(folder / "dem.tif", np.ones((1, 3, 4), dtype=np.int16))
        content = EVENT | changes
        content["layers"] = {**EVENT["layers"], **(layers or {})}  # type: ignore[dict-item]
        content = {key: value for key, value in content.items() if value is not ...}
        (folder / "event.json").write_text(json.dumps(content))
        return folder

    return build


class TestRealFolders:
    @pytest.mark.parametrize(
        ("name", "event_id", "peak", "crs", "layers"),
        [
            ("us_us10003ywp_lefkada2015_nolabel", "us10003ywp", 0.188623, 4326, {"dem"}),
            ("us_us20002926_gorkha2015_30m", "us20002926", 0.293717, 32645, {"dem", "water", "roads"}),
            ("us_us20002926_gorkha2015_90m", "us20002926", 0.329107, 4326, {"dem", "water", "roads"}),
            ("us_us2000h8ty_iburi2018", "us2000h8ty", 1.235867, 4326, {"dem"}),
            ("us_usp000e12e_kashmir2005", "usp000e12e", 0.871534, 4326, {"dem", "lithology", "land_cover", "faults"}),
            ("us_usp000g650_wenchuan2008_30m", "wenchuan2008", 0.623237, 4326, {"dem"}),
        ],
    )
    def test_facts(self, shared_data: Path, name: str, event_id: str, peak: float, crs: int, layers: set[str]) -> None:
        folder = read_event_folder(shared_data / "events" / name)
        assert folder.event.id == event_id
        assert folder.shaking.peak_pga == pytest.approx(peak, abs=1e-6)
        assert folder.shaking.grid.crs is not None
        assert folder.shaking.grid.crs.epsg == crs
        assert set(folder.layers) == layers
        assert all(Path(layer["href"]).is_file() for layer in folder.layers.values())
        listed = json.loads((shared_data / "events" / name / "event.json").read_text())["layers"]
        assert (folder.shaking.pgv is None) == ("pgv" not in listed)
        assert (folder.shaking.vs30 is None) == ("vs30" not in listed)

    def test_shaking_lies_where_gdal_says(self, shared_data: Path) -> None:
        path = shared_data / "events/us_usp000e12e_kashmir2005"
        folder = read_event_folder(path)
        with rasterio.open(path / "pga_pgv_vs30_gmm.tif") as file:
            for band, mine in enumerate((folder.shaking.pga, folder.shaking.pgv, folder.shaking.vs30), start=1):
                np.testing.assert_array_equal(mine, file.read(band))
            assert tuple(folder.shaking.grid.extent.boundingbox) == pytest.approx(tuple(file.bounds))
        assert folder.layers["lithology"]["scheme"] == "local, 9 unnamed classes"

    def test_inventories(self, shared_data: Path) -> None:
        def inventory(name: str) -> Any:
            return read_event_folder(shared_data / "events" / name).inventory

        kashmir = inventory("us_usp000e12e_kashmir2005")
        assert (kashmir.coseismic, kashmir.ignore) == ("Year_obs in [2005, 2006]", "Year_obs not in [2005, 2006]")
        assert kashmir.href.name == "landslides.gpkg"
        wenchuan = inventory("us_usp000g650_wenchuan2008_30m")
        assert wenchuan.ignore_href.name == "ignore_30m.tif"
        assert wenchuan.polygons.parent.name == "us_usp000g650_wenchuan2008_1km"
        assert inventory("us_us2000h8ty_iburi2018").quality == "weak"
        assert inventory("us_us10003ywp_lefkada2015_nolabel") is None

    def test_terrain_alone_is_nothing_to_respond_to(self, shared_data: Path) -> None:
        with pytest.raises(InvalidInput, match=r"layers: expected pga, found \['dem', 'slope_reference'\]"):
            read_event_folder(shared_data / "events/us_us2000a5x1_jiuzhaigou2017_nolabel")

    def test_a_table_is_no_event(self, shared_data: Path) -> None:
        with pytest.raises(NotAnEvent, match=r"1km/event\.json: expected an event folder"):
            read_event_folder(shared_data / "events/us_usp000g650_wenchuan2008_1km")


class TestReading:
    def test_values(self, make: Maker) -> None:
        folder = read_event_folder(make(rake=90.0, synthetic=True))
        assert folder.event.time == datetime(2026, 1, 1, tzinfo=UTC)
        assert (folder.event.rake, folder.event.synthetic, folder.event.ids) == (90.0, True, ("made2026",))
        assert folder.shaking.pgv is not None
        assert folder.shaking.pgv.max() == pytest.approx(60)
        assert set(folder.layers) == {"dem"}
        assert folder.layers["dem"]["note"] == "bare"
        assert folder.layers["dem"]["band"] == 1

    def test_percent_and_nodata(self, make: Maker) -> None:
        folder = make({"pga": {"href": "percent.tif", "unit": "%g"}, "pgv": {"href": "percent.tif", "unit": "cm/s"}})
        percent = np.array([[[50.0, -9999.0], [25.0, np.nan]]], dtype=np.float32)
        write_tif(folder / "percent.tif", percent, nodata=-9999.0)
        np.testing.assert_allclose(read_event_folder(folder).shaking.pga, [[0.5, np.nan], [0.25, np.nan]])

    def test_identity_follows_content(self, make: Maker) -> None:
        def identity() -> ShakeMapId:
            return read_event_folder(make()).shakemap_id

        first = identity()
        assert first == identity()
        assert first.source == "folder"
        assert first.update_time == 1767225600000
        assert first.code.startswith("made2026-")
        folder = make()
        write_tif(folder / "dem.tif", np.full((1, 3, 4), 2, dtype=np.int16))
        assert read_event_folder(folder).shakemap_id.code != first.code

    def test_identity_does_not_depend_on_the_place(self, make: Maker, tmp_path: Path) -> None:
        folder = make()
        copy = shutil.copytree(folder, tmp_path / "elsewhere" / "other")
        assert read_event_folder(copy).shakemap_id == read_event_folder(folder).shakemap_id

    def test_files_beside_the_folder_are_within_reach(self, make: Maker) -> None:
        folder = make({"faults": {"href": "../shared/faults.gpkg"}})
        (folder.parent / "shared").mkdir()
        (folder.parent / "shared/faults.gpkg").write_bytes(b"x")
        assert read_event_folder(folder).layers["faults"]["href"] == str(folder.parent / "shared/faults.gpkg")


class TestRefusals:
    def read(self, folder: Path) -> EventFolder:
        return read_event_folder(folder)

    @pytest.mark.parametrize(
        "href",
        [
            "../../outside.tif",
            "/etc/passwd",
            "file:///etc/passwd",
            "http://10.0.0.1/x",
            "s3://b/x",
            "pga\x00.tif",
            "none.tif",
        ],
    )
    def test_layers_out_of_reach(self, make: Maker, tmp_path: Path, href: str) -> None:
        (tmp_path / "outside.tif").write_bytes(b"x")
        with pytest.raises(InvalidInput, match=r"layers\.dem: expected"):
            self.read(make({"dem": {"href": href}}))
        with pytest.raises(InvalidInput, match=r"inventory\.ignore_href: expected"):
            self.read(make(inventory={"href": "dem.tif", "quality": "x", "ignore_href": href}))

    def test_links_out_of_reach(self, make: Maker, tmp_path: Path) -> None:
        (tmp_path / "outside.tif").write_bytes(b"x")
        folder = make({"dem": {"href": "link.tif"}})
        (folder / "link.tif").symlink_to(tmp_path / "outside.tif")
        with pytest.raises(InvalidInput, match="expected a path inside"):
            self.read(folder)

    @pytest.mark.parametrize(
        ("changes", "place"),
        [
            ({"id": "../x"}, "id"),
            ({"time": "2026-01-01T00:00:00"}, "time"),
            ({"magnitude": "big"}, "magnitude"),
            ({"latitude": 91}, "latitude"),
            ({"depth_km": ...}, "depth_km"),
            ({"rake": 400}, "rake"),
        ],
    )
    def test_bad_descriptions(self, make: Maker, changes: dict[str, Any], place: str) -> None:
        with pytest.raises(NotAnEvent, match=rf"event\.json: {place}: "):
            self.read(make(**changes))

    @pytest.mark.parametrize("text", ["", "[]", "{", "null", "x" * 2_000_000])
    def test_no_description(self, make: Maker, text: str) -> None:
        folder = make()
        (folder / "event.json").write_text(text)
        with pytest.raises(NotAnEvent, match=r"event\.json"):
            self.read(folder)

    def test_absent(self, tmp_path: Path) -> None:
        with pytest.raises(NotAnEvent):
            self.read(tmp_path / "nowhere")

    def test_layers_without_unit(self, make: Maker) -> None:
        with pytest.raises(BadShakeMap, match="pga: expected a unit out of"):
            self.read(make({"pga": {"href": "pga.tif"}}))

    def test_band_that_is_not_there(self, make: Maker) -> None:
        with pytest.raises(BadRaster, match=r"expected band 3 .* found 2 bands"):
            self.read(make({"pgv": {"href": "pga.tif", "band": 3, "unit": "cm/s"}}))

    def test_other_grid(self, make: Maker) -> None:
        folder = make({"pgv": {"href": "pgv.tif", "unit": "cm/s"}})
        write_tif(folder / "pgv.tif", np.ones((1, 3, 5), dtype=np.float32))
        with pytest.raises(BadRaster, match="pgv: expected the grid of pga"):
            self.read(folder)

    @pytest.mark.parametrize(
        ("profile", "message"),
        [
            ({"crs": None}, "expected a CRS"),
            ({"transform": rasterio.Affine(30, 0, 0, 0, 30, 0)}, "from north to south"),
            ({"transform": rasterio.Affine(30, 5, 0, 5, -30, 0)}, "from north to south"),
        ],
    )
    def test_rasters_that_cannot_be_placed(self, make: Maker, profile: dict[str, Any], message: str) -> None:
        folder = make({"pgv": {"href": "dem.tif", "unit": "cm/s"}})
        write_tif(folder / "pga.tif", np.ones((2, 3, 4), dtype=np.float32), **profile)
        with pytest.raises(BadRaster, match=message):
            self.read(folder)

    def test_a_virtual_raster_reads_nothing_else(self, make: Maker, tmp_path: Path) -> None:
        folder = make()
        write_tif(tmp_path / "secret.tif", np.ones((1, 2, 2), dtype=np.float32))
        source = f"<SimpleSource><SourceFilename>{tmp_path / 'secret.tif'}</SourceFilename></SimpleSource>"
        band = f'<VRTRasterBand dataType="Float32" band="1">{source}</VRTRasterBand>'
        (folder / "pga.tif").write_text(f'<VRTDataset rasterXSize="2" rasterYSize="2">{band}</VRTDataset>')
        with pytest.raises(BadRaster, match=r"pga\.tif: expected a whole GeoTIFF"):
            self.read(folder)

    @pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, 35.0])
    def test_shaking_that_cannot_be_true(self, make: Maker, value: float) -> None:
        folder = make()
        write_tif(folder / "pga.tif", np.full((2, 3, 4), value, dtype=np.float32))
        with pytest.raises(BadShakeMap):
            self.read(folder)

    @pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
    def test_cut_rasters(self, make: Maker) -> None:
        folder = make()
        whole = (folder / "pga.tif").read_bytes()
        for keep in range(0, len(whole), 7):
            (folder / "pga.tif").write_bytes(whole[:keep])
            with pytest.raises(HeadscarpError):
                self.read(folder)
