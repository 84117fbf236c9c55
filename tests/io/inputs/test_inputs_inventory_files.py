"""Files and archives that an inventory may come in, and those that are refused before they are opened."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
import shapely

from headscarp.errors import BadRaster, HeadscarpError, InvalidInput
from headscarp.io.inputs import inventory_files
from headscarp.io.inputs.inventory_files import file_sha256, opened, parts, read_features
from headscarp.io.inputs.inventory_raster import read_cells
from tests.io.inputs.inventories import FORMATS, slide, write_cells, write_vector


def zipped(path: Path, *members: Path, **made: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members:
            archive.write(member, member.name)
        for name, content in made.items():
            archive.writestr(name.replace("__", "."), content)
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_comes_back(name: str, tmp_path: Path) -> None:
    path = write_vector(tmp_path / name, [slide(0), slide(1)], {"year": [2005, 2009]})
    with opened(path) as file:
        found = read_features(file, columns=("year",))
    assert len(found) == 2
    assert sorted(int(v) for v in found.fields["year"]) == [2005, 2009]  # FlatGeobuf orders by place
    assert (found.crs.to_epsg() == 32643) == (path.suffix in {".gpkg", ".shp", ".fgb"})
    assert file_sha256(path) == file_sha256(path)


def test_a_shapefile_is_all_its_parts(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "a.shp", [slide(0)], {"year": [2005]})
    assert {p.suffix for p in parts(path)} >= {".shp", ".shx", ".dbf", ".prj"}
    before = file_sha256(path)
    (tmp_path / "a.dbf").write_bytes((tmp_path / "a.dbf").read_bytes().replace(b"2005", b"2006"))
    assert file_sha256(path) != before


def test_a_zipped_shapefile_and_a_kmz(tmp_path: Path) -> None:
    write_vector(tmp_path / "a.shp", [slide(0)], {"year": [2005]})
    with opened(zipped(tmp_path / "a.zip", *tmp_path.glob("a.*"))) as file:
        assert len(read_features(file)) == 1
    assert not file.exists()
    write_vector(tmp_path / "doc.kml", [slide(0), slide(1)])
    with opened(zipped(tmp_path / "b.kmz", tmp_path / "doc.kml")) as file:
        assert len(read_features(file)) == 2


class TestArchivesThatAreRefused:
    def refused(self, path: Path, match: str) -> None:
        with pytest.raises(InvalidInput, match=match), opened(path):
            pytest.fail("opened")

    def test_a_bomb(self, tmp_path: Path) -> None:
        path = zipped(tmp_path / "bomb.zip", a__geojson=b"0" * 50_000_000)
        self.refused(path, "a bomb")

    def test_a_bomb_that_lies_about_its_size(self, tmp_path: Path) -> None:
        path = zipped(tmp_path / "bomb.zip", a__geojson=b"0" * 5_000_000)
        data = bytearray(path.read_bytes())
        size = (5_000_000).to_bytes(4, "little")
        assert data.count(size) == 2
        path.write_bytes(bytes(data.replace(size, (10).to_bytes(4, "little"))))
        with pytest.raises(InvalidInput), opened(path):
            pytest.fail("opened")

    @pytest.mark.parametrize("name", ["../a.geojson", "/tmp/a.geojson", "x/../../a.geojson", "C:\\a.geojson"])
    def test_a_member_that_climbs_out(self, name: str, tmp_path: Path) -> None:
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, b"{}")
        self.refused(path, "members inside the archive")

    def test_a_link(self, tmp_path: Path) -> None:
        link = zipfile.ZipInfo("a.geojson")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr(link, "/etc/passwd")
        self.refused(tmp_path / "a.zip", "link")

    def test_too_many_members(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(inventory_files, "MAX_MEMBERS", 3)
        self.refused(zipped(tmp_path / "a.zip", a=b"", b=b"", c=b"", d=b""), "at most 3 members")

    def test_none_or_two_inventories(self, tmp_path: Path) -> None:
        self.refused(zipped(tmp_path / "a.zip", readme__txt=b"x"), r"one inventory in the archive, found \[\]")
        self.refused(zipped(tmp_path / "b.zip", a__geojson=b"{}", b__geojson=b"{}"), "one inventory")

    def test_half_an_archive(self, tmp_path: Path) -> None:
        write_vector(tmp_path / "a.gpkg", [slide(0)])
        whole = zipped(tmp_path / "a.zip", tmp_path / "a.gpkg").read_bytes()
        for keep in range(0, len(whole) - 1, max(1, len(whole) // 20)):
            (tmp_path / "a.zip").write_bytes(whole[:keep])
            with pytest.raises(InvalidInput), opened(tmp_path / "a.zip"):
                pytest.fail("opened")

    def test_a_member_damaged_in_transit(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.geojson", json.dumps({"type": "FeatureCollection", "features": []}) * 400)
            start = archive.getinfo("a.geojson").header_offset + 30 + len("a.geojson")
        whole = bytearray((tmp_path / "a.zip").read_bytes())
        for byte in range(8):
            damaged = whole.copy()
            damaged[start + byte] ^= 0xFF
            (tmp_path / "a.zip").write_bytes(damaged)
            self.refused(tmp_path / "a.zip", "whole zip archive")


class TestFilesThatAreNotWhatTheySay:
    def refused(self, path: Path, match: str, **options: str) -> None:
        with pytest.raises(InvalidInput, match=match), opened(path) as file:
            read_features(file, **options)

    @pytest.mark.parametrize("name", FORMATS)
    def test_other_content(self, name: str, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(b"<OGRVRTDataSource><OGRVRTLayer name='a'/></OGRVRTDataSource>")
        self.refused(tmp_path / name, "expected the content of")

    def test_kml_with_entities(self, tmp_path: Path) -> None:
        path = write_vector(tmp_path / "a.kml", [slide(0)])
        text = path.read_text()
        path.write_text(text.replace("<kml", '<!DOCTYPE k [<!ENTITY a "aaaaaaaaaa">]>\n<kml', 1))
        self.refused(path, "document type declaration")

    def test_unknown_kinds_folders_and_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "a.xlsx").write_bytes(b"")
        (tmp_path / "b.gpkg").mkdir()
        self.refused(tmp_path / "a.xlsx", "expected one of")
        self.refused(tmp_path / "b.gpkg", "found a folder")
        self.refused(tmp_path / "c.gpkg", "found nothing")

    def test_a_file_too_large(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(inventory_files, "MAX_FILE_BYTES", 100)
        self.refused(write_vector(tmp_path / "a.gpkg", [slide(0)]), "at most 100 bytes")

    def test_too_many_features(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(inventory_files, "MAX_FEATURES", 1)
        self.refused(write_vector(tmp_path / "a.gpkg", [slide(0), slide(1)]), "at most 1 features, found 2")

    def test_no_crs(self, tmp_path: Path) -> None:
        path = write_vector(tmp_path / "a.shp", [slide(0)])
        (tmp_path / "a.prj").unlink()
        self.refused(path, "expected a CRS, found none")

    def test_unknown_attributes_and_layers_name_what_there_is(self, tmp_path: Path) -> None:
        path = write_vector(tmp_path / "a.gpkg", [slide(0)], {"Year_obs": [2005]})
        with pytest.raises(InvalidInput, match=r"attribute 'year', found \['Year_obs'\]"):
            read_features(path, columns=("year",))
        self.refused(path, r"expected a layer 'b', found \['a'\]", layer="b")

    def test_several_layers_must_be_chosen_from(self, tmp_path: Path) -> None:
        import pyogrio.raw

        path = write_vector(tmp_path / "a.gpkg", [slide(0)])
        wkb = shapely.to_wkb(np.array([slide(1), slide(2)], dtype=object))
        pyogrio.raw.write(
            str(path), wkb, [], [], driver="GPKG", layer="scars", geometry_type="Polygon", crs="EPSG:32643", append=True
        )
        self.refused(path, "one layer, or to be told which")
        assert len(read_features(path, layer="scars")) == 2

    def test_no_feature(self, tmp_path: Path) -> None:
        self.refused(write_vector(tmp_path / "a.gpkg", []), "expected landslides, found no feature")

    @pytest.mark.parametrize("name", ["a.gpkg", "a.fgb", "a.shp"])
    def test_cut_files_fail_or_read_whole_features(self, name: str, tmp_path: Path) -> None:
        path = write_vector(tmp_path / name, [slide(k) for k in range(30)])
        whole = path.read_bytes()
        for keep in range(0, len(whole) - 1, max(1, len(whole) // 12)):
            path.write_bytes(whole[:keep])
            try:
                found = read_features(path)
            except HeadscarpError:
                continue
            assert all(g is None or shapely.is_valid(g) for g in found.geometry)


class TestRasters:
    def test_cells_become_polygons_and_nodata_is_not_mapped(self, tmp_path: Path) -> None:
        cells = np.zeros((20, 30), dtype=np.uint8)
        cells[2:4, 3:6], cells[10, 10], cells[15:, :] = 1, 1, 255
        slides, mapped = read_cells(write_cells(tmp_path / "a.tif", cells, nodata=255))
        assert sorted(shapely.area(slides.geometry)) == [900.0, 6 * 900.0]
        assert shapely.area(mapped).sum() == 15 * 30 * 900.0

    def test_other_values_must_be_explained(self, tmp_path: Path) -> None:
        cells = np.array([[0, 1, 3], [3, 3, 0]], dtype=np.uint8)
        path = write_cells(tmp_path / "a.tif", cells)
        with pytest.raises(InvalidInput, match="which is landslide, found 0, 1, 3"):
            read_cells(path)
        assert shapely.area(read_cells(path, value=3)[0].geometry).sum() == 3 * 900.0
        with pytest.raises(InvalidInput, match="found none of 7"):
            read_cells(path, value=7)

    def test_a_probability_is_no_inventory(self, tmp_path: Path) -> None:
        with pytest.raises(BadRaster, match="fractions"):
            read_cells(write_cells(tmp_path / "a.tif", np.full((4, 4), 0.3, dtype=np.float32)))

    def test_no_landslide_no_crs_no_tiff(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="expected landslide cells"):
            read_cells(write_cells(tmp_path / "a.tif", np.zeros((4, 4), dtype=np.uint8)))
        with pytest.raises(BadRaster, match="no CRS"):
            read_cells(write_cells(tmp_path / "b.tif", np.ones((4, 4), dtype=np.uint8), crs=None))
        (tmp_path / "c.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:60])
        with pytest.raises(BadRaster, match="whole GeoTIFF"):
            read_cells(tmp_path / "c.tif")
