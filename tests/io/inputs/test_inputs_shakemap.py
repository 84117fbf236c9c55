"""ShakeMap reader: real maps against an independent parser, rasters against GDAL, damage of every kind."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import random
import re
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import httpx
import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray

from headscarp.core.event import ShakeMapId, Shaking
from headscarp.errors import BadShakeMap, HeadscarpError, NotFound, SourceUnavailable
from headscarp.io.inputs import shakemap_archive
from headscarp.io.inputs.shakemap import fetch_shakemap, read_shakemap
from headscarp.io.inputs.usgs import UsgsClient
from headscarp.io.inputs.usgs_products import Content, ShakeMapProduct

REAL = {
    # file: (peak PGA in %g, peak PGV in cm/s, NaN nodes), from the raw text
    "ak0209dha24u_v2.xml.gz": (46.27, 75.08, 0),
    "ak20419010_v8.xml.gz": (36.25, 54.0, 0),
    "lomaprieta_v3.5_241x193.xml.gz": (85.02, 107.81, 0),
    "northridge_godt_nan_nounits.xml.gz": (78.29, 0.7829, 4511),
    "nyc_scenario.xml.gz": (82.79, 20.53, 0),
    "us1000dyad_v1_sm4.xml.gz": (45.16, 51.54, 0),
    "us1000dyad_v6_sm3.5.xml.gz": (38.88, 67.47, 0),
    "usa00040xz_2010_sm3.2.xml.gz": (28.1692, 48.3161, 0),
}


def raw_table(text: str) -> dict[str, NDArray[np.float64]]:
    """Columns by name, read with a regular expression and split(): shares nothing with the reader."""
    names = re.findall(r'<grid_field index="\d+" name="(\w+)"', text)
    numbers = np.array(text.split("<grid_data>")[1].split("</grid_data>", maxsplit=1)[0].split(), dtype=float)
    return dict(zip(names, numbers.reshape(-1, len(names)).T, strict=True))


def node_coordinates(shaking: Shaking) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows, columns = np.mgrid[: shaking.pga.shape[0], : shaking.pga.shape[1]]
    transform = shaking.grid.transform
    return transform.c + transform.a * (columns.ravel() + 0.5), transform.f + transform.e * (rows.ravel() + 0.5)


FIELDS = (("LON", "dd"), ("LAT", "dd"), ("PGA", "pctg"), ("PGV", "cms"))


def grid_text(
    rows: str | None = None,
    *,
    specification: Mapping[str, str] | None = None,
    fields: tuple[tuple[str, str], ...] = FIELDS,
    prolog: str = '<?xml version="1.0" encoding="UTF-8"?>',
) -> bytes:
    """A map of 3 by 2 nodes, 0.5 degrees apart."""
    bounds = {"lon_min": "10", "lon_max": "11", "lat_min": "40", "lat_max": "40.5", "nlon": "3", "nlat": "2"}
    attributes = " ".join(f'{k}="{v}"' for k, v in (bounds | dict(specification or {})).items())
    listed = "".join(f'<grid_field index="{i}" name="{n}" units="{u}"/>' for i, (n, u) in enumerate(fields, start=1))
    if rows is None:
        nodes = [(x, y) for y in (40.5, 40) for x in (10, 10.5, 11)]
        rows = "\n".join(
            " ".join(map(str, (x, y, *range(10 + i, 8 + i + len(fields))))) for i, (x, y) in enumerate(nodes)
        )
    body = f"<grid_specification {attributes}/>{listed}<grid_data>\n{rows}\n</grid_data>"
    return (
        f'{prolog}<shakemap_grid xmlns="http://earthquake.usgs.gov/eqcenter/shakemap">{body}</shakemap_grid>'.encode()
    )


def esri_zip(rasters: Mapping[str, NDArray[np.float32]], tmp_path: Path, transform: Affine) -> bytes:
    """raster.zip whose members GDAL wrote."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for stem, values in rasters.items():
            path = tmp_path / f"{stem}.flt"
            profile = {"driver": "EHdr", "dtype": "float32", "count": 1, "transform": transform}
            with rasterio.open(path, "w", height=values.shape[0], width=values.shape[1], **profile) as file:
                file.write(values, 1)
            archive.write(path, path.name)
            archive.write(path.with_suffix(".hdr"), f"{stem}.hdr")
    return buffer.getvalue()


def zipped(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


HEADER = b"NROWS 2\nNCOLS 3\nBYTEORDER LSBFIRST\nULXMAP 10\nULYMAP 40.5\nXDIM 0.5\nYDIM 0.5\n"
LN_PGA = np.log(np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], dtype=np.float32))


def small_raster_zip() -> bytes:
    members = {}
    for stem, values in {"pga_mean": LN_PGA, "pga_std": LN_PGA * 0 + 0.5, "pgv_mean": LN_PGA + 4}.items():
        members |= {f"{stem}.flt": values.astype("<f4").tobytes(), f"{stem}.hdr": HEADER}
    return zipped(members)


class TestRealMaps:
    @pytest.mark.parametrize("name", REAL)
    def test_values_and_places_of_every_node(self, shared_data: Path, name: str) -> None:
        packed = (shared_data / "shakemaps" / name).read_bytes()
        table = raw_table(gzip.decompress(packed).decode())
        shaking = read_shakemap({"grid.xml": packed})
        np.testing.assert_allclose(shaking.pga.ravel(), table["PGA"] / 100, rtol=1e-6, equal_nan=True)
        assert shaking.pgv is not None
        np.testing.assert_allclose(shaking.pgv.ravel(), table["PGV"], rtol=1e-6, equal_nan=True)
        x, y = node_coordinates(shaking)
        np.testing.assert_allclose(x, table["LON"], atol=1.1e-4)  # bounds and nodes are both rounded to 1e-4
        np.testing.assert_allclose(y, table["LAT"], atol=1.1e-4)  # bounds and nodes are both rounded to 1e-4
        for mine, theirs in ((shaking.vs30, "SVEL"), (shaking.pga_ln_std, "STDPGA")):
            assert (mine is None) == (theirs not in table)
            if mine is not None:
                np.testing.assert_allclose(mine.ravel(), table[theirs], rtol=1e-6)
        assert shaking.pga.dtype == np.float32
        assert shaking.grid.shape == shaking.pga.shape
        assert str(shaking.grid.crs) == "EPSG:4326"

    @pytest.mark.parametrize("name", REAL)
    def test_known_peaks(self, shared_data: Path, name: str) -> None:
        shaking = read_shakemap({"grid.xml.gz": (shared_data / "shakemaps" / name).read_bytes()})
        pga, pgv, missing = REAL[name]
        assert shaking.peak_pga == pytest.approx(pga / 100, rel=1e-6)
        assert shaking.pgv is not None
        assert float(np.nanmax(shaking.pgv)) == pytest.approx(pgv, rel=1e-6)
        assert int(np.isnan(shaking.pga).sum()) == missing

    def test_printed_spacing_is_not_used(self, shared_data: Path) -> None:
        packed = (shared_data / "shakemaps/us1000dyad_v1_sm4.xml.gz").read_bytes()
        shaking = read_shakemap({"grid.xml": packed})
        assert b'nominal_lon_spacing="0.0167"' in gzip.decompress(packed)[:3000]
        assert shaking.grid.transform.a == pytest.approx(4.5 / 270, rel=1e-12)

    def test_ratio_of_shakemap_3_2_is_no_deviation(self, shared_data: Path) -> None:
        shaking = read_shakemap({"grid.xml": (shared_data / "shakemaps/usa00040xz_2010_sm3.2.xml.gz").read_bytes()})
        assert shaking.pga_ln_std is None
        assert shaking.attributes["code_version"] == "3.2.1 GSM"

    def test_golden_map_with_uncertainty(self, shared_data: Path) -> None:
        folder = shared_data / "golden/loma_prieta_usgs"
        files = {name: (folder / name).read_bytes() for name in ("grid.xml", "uncertainty.xml")}
        shaking = read_shakemap(files)
        table = raw_table(files["uncertainty.xml"].decode())
        assert shaking.pga_ln_std is not None
        assert shaking.pgv_ln_std is not None
        assert shaking.vs30 is not None
        np.testing.assert_allclose(shaking.pga_ln_std.ravel(), table["STDPGA"], rtol=1e-6)
        np.testing.assert_allclose(shaking.pgv_ln_std.ravel(), table["STDPGV"], rtol=1e-6)
        assert shaking.peak_pga == pytest.approx(1.141)
        assert (shaking.vs30.min(), shaking.vs30.max()) == pytest.approx((255.6, 854.6))
        nested = zipped({"products/uncertainty.xml": files["uncertainty.xml"]})
        again = read_shakemap({"grid.xml.zip": zipped({"grid.xml": files["grid.xml"]}), "uncertainty.xml.zip": nested})
        np.testing.assert_array_equal(again.pga_ln_std, shaking.pga_ln_std)

    def test_uncertainty_of_another_map_is_refused(self, shared_data: Path) -> None:
        uncertainty = (shared_data / "golden/loma_prieta_usgs/uncertainty.xml").read_bytes()
        with pytest.raises(BadShakeMap, match=r"uncertainty\.xml: expected the nodes of grid\.xml"):
            read_shakemap({"grid.xml": grid_text(), "uncertainty.xml": uncertainty})


class TestGridXml:
    def test_small_map(self) -> None:
        shaking = read_shakemap({"grid.xml": grid_text()})
        np.testing.assert_allclose(shaking.pga, [[0.10, 0.11, 0.12], [0.13, 0.14, 0.15]], rtol=1e-6)
        np.testing.assert_allclose(shaking.pgv, [[11, 12, 13], [14, 15, 16]])
        assert tuple(shaking.grid.extent.boundingbox) == (9.75, 39.75, 11.25, 40.75)

    def test_index_decides_about_columns(self) -> None:
        text = grid_text().replace(b'index="3" name="PGA"', b'index="4" name="PGA"')
        text = text.replace(b'index="4" name="PGV"', b'index="3" name="PGV"')
        np.testing.assert_allclose(read_shakemap({"grid.xml": text}).pga[0], [0.11, 0.12, 0.13], rtol=1e-6)

    @pytest.mark.parametrize(("unit", "factor"), [("", 0.01), ("%g", 0.01), ("PCTG", 0.01), ("g", 1.0)])
    def test_units(self, unit: str, factor: float) -> None:
        fields = (*FIELDS[:2], ("PGA", unit), ("PGV", ""))
        assert read_shakemap({"grid.xml": grid_text(fields=fields)}).peak_pga == pytest.approx(15 * factor)

    @pytest.mark.parametrize(("west", "east"), [("179.5", "180.5"), ("179.5", "-179.5"), ("-180.5", "-179.5")])
    @pytest.mark.parametrize("printed", [(179.5, 180, 180.5), (179.5, -180, -179.5), (-180.5, -180, -179.5)])
    def test_antimeridian_stays_continuous(self, west: str, east: str, printed: tuple[float, ...]) -> None:
        rows = "\n".join(f"{x} {y} 10 5" for y in (40.5, 40) for x in printed)
        shaking = read_shakemap({"grid.xml": grid_text(rows, specification={"lon_min": west, "lon_max": east})})
        left, _, right, _ = shaking.grid.extent.boundingbox
        assert left == pytest.approx(float(west) - 0.25)
        assert right - left == pytest.approx(1.5)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"specification": {"nlon": "4"}}, "expected nlon x nlat = 4 x 2 rows of 4 numbers, found 6 of 4"),
            ({"specification": {"nlon": "1000000000"}}, "expected 2 x 2 to"),
            ({"specification": {"nlon": "1"}}, "expected 2 x 2 to"),
            ({"specification": {"nlon": "3.0"}}, "expected numbers"),
            ({"specification": {"lon_min": "nan"}}, "finite bounds"),
            ({"specification": {"lat_max": "95"}}, "west < east and south < north"),
            ({"specification": {"lat_max": "39"}}, "west < east and south < north"),
            ({"specification": {"lon_min": "9", "lon_max": "10"}}, "from north-west to south-east"),
            ({"fields": (*FIELDS[:2], ("PGA", "gal"), FIELDS[3])}, "PGA: expected the unit"),
            ({"fields": (*FIELDS[:2], ("MMI", ""), ("PGV", "cms"))}, "expected PGA"),
            ({"fields": FIELDS[2:]}, "expected LON and LAT"),
            ({"fields": (*FIELDS, FIELDS[3])}, "each name once"),
            ({"fields": (*FIELDS, *((f"X{i}", "") for i in range(100)))}, "at most 100 grid_field"),
            ({"rows": ""}, "expected rows, found none"),
            ({"rows": "10 40.5 1 2\n10.5 40.5 1"}, "expected rows of numbers"),
            ({"rows": "10 40.5 one 2"}, "expected rows of numbers"),
        ],
    )
    def test_refusals(self, changes: dict[str, object], message: str) -> None:
        with pytest.raises(BadShakeMap, match=message) as caught:
            read_shakemap({"grid.xml": grid_text(**changes)})  # type: ignore[arg-type]
        assert "grid.xml" in str(caught.value)

    @pytest.mark.parametrize(
        ("pga", "pgv", "message"),
        [
            ("nan", "1", "NaN throughout"),
            ("0", "0", "zero throughout"),
            ("1", "-2.7", "PGV: expected no negative"),
            ("-1", "1", "PGA: expected no negative"),
            ("inf", "1", "infinity"),
            ("1e300", "1", "infinity"),
            ("2500", "1", "at most 20.0 g, found 25 g"),
        ],
    )
    def test_what_cannot_be_true(self, pga: str, pgv: str, message: str) -> None:
        rows = "\n".join(f"{x} {y} {pga} {pgv}" for y in (40.5, 40) for x in (10, 10.5, 11))
        with pytest.raises(BadShakeMap, match=message):
            read_shakemap({"grid.xml": grid_text(rows)})

    @pytest.mark.parametrize("rows", [["south first"], ["columns first"]])
    def test_other_orders_are_refused(self, rows: list[str]) -> None:
        nodes = [(x, y) for y in (40, 40.5) for x in (10, 10.5, 11)]
        if rows == ["columns first"]:
            nodes = [(x, y) for x in (10, 10.5, 11) for y in (40.5, 40)]
        with pytest.raises(BadShakeMap, match="from north-west to south-east"):
            read_shakemap({"grid.xml": grid_text("\n".join(f"{x} {y} 1 1" for x, y in nodes))})

    def test_entities_are_refused_at_once(self) -> None:
        entities = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(12))
        bomb = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "ha">{entities}]>'
        started = time.monotonic()
        with pytest.raises(BadShakeMap, match="no document type or entity"):
            read_shakemap({"grid.xml": grid_text("&e12;", prolog=bomb)})
        with pytest.raises(BadShakeMap, match="no document type or entity"):
            read_shakemap({"grid.xml": grid_text(prolog='<!DOCTYPE x SYSTEM "file:///etc/passwd">')})
        assert time.monotonic() - started < 1

    @pytest.mark.parametrize("keep", [0, 10, 300, -1, -20])
    def test_truncated(self, keep: int) -> None:
        with pytest.raises(BadShakeMap, match=r"grid\.xml"):
            read_shakemap({"grid.xml": grid_text()[:keep]})
        with pytest.raises(BadShakeMap, match=r"grid\.xml"):
            read_shakemap({"grid.xml": gzip.compress(grid_text())[:-10]})

    def test_neither_file(self) -> None:
        with pytest.raises(BadShakeMap, match=r"expected raster\.zip or grid\.xml, found \['info\.json'\]"):
            read_shakemap({"info.json": b"{}"})


class TestRasterZip:
    transform = Affine(1 / 120, 0, 179.9, 0, -1 / 120, -15.0)

    def rasters(self) -> dict[str, NDArray[np.float32]]:
        generator = np.random.default_rng(1)
        pga = generator.normal(-2, 1, (31, 47)).astype(np.float32)
        pga[3, 4] = np.nan
        return {
            "pga_mean": pga,
            "pga_std": np.abs(pga),
            "pgv_mean": pga + 4,
            "pgv_std": np.abs(pga) / 2,
            "mmi_mean": pga,
        }

    def test_logarithms_as_gdal_writes_them(self, tmp_path: Path) -> None:
        rasters = self.rasters()
        shaking = read_shakemap({"raster.zip": esri_zip(rasters, tmp_path, self.transform), "grid.xml": b"not read"})
        np.testing.assert_allclose(shaking.pga, np.exp(rasters["pga_mean"]), rtol=1e-6, equal_nan=True)
        np.testing.assert_allclose(shaking.pgv, np.exp(rasters["pgv_mean"]), rtol=1e-6, equal_nan=True)
        np.testing.assert_array_equal(shaking.pga_ln_std, rasters["pga_std"])
        np.testing.assert_array_equal(shaking.pgv_ln_std, rasters["pgv_std"])
        assert np.isnan(shaking.pga).sum() == 1
        assert shaking.grid.transform.almost_equals(self.transform, precision=1e-9)
        assert shaking.grid.extent.boundingbox.right > 180

    def test_plain_names_of_shakemap_3_5_hold_percent(self, tmp_path: Path) -> None:
        percent = np.exp(np.nan_to_num(self.rasters()["pga_mean"], nan=0)) * 20
        shaking = read_shakemap({"raster.zip": esri_zip({"pga": percent, "pgv": percent}, tmp_path, self.transform)})
        np.testing.assert_allclose(shaking.pga, percent / 100, rtol=1e-6)
        np.testing.assert_array_equal(shaking.pgv, percent)
        assert shaking.attributes["units"] == {"PGA": "%g", "PGV": "cm/s"}

    def test_plain_names_with_negative_values_hold_logarithms(self, tmp_path: Path) -> None:
        rasters = self.rasters()
        plain = {"pga": rasters["pga_mean"], "pgv": rasters["pgv_mean"]}
        shaking = read_shakemap({"raster.zip": esri_zip(plain, tmp_path, self.transform)})
        np.testing.assert_allclose(shaking.pga, np.exp(rasters["pga_mean"]), rtol=1e-6)
        np.testing.assert_allclose(shaking.pgv, np.exp(rasters["pgv_mean"]), rtol=1e-6)

    @pytest.mark.parametrize(
        "header",
        [
            HEADER,
            b"nrows 2\nncols 3\nbyteorder I\nxllcenter 10\nyllcenter 40\ncellsize 0.5\nNODATA_VALUE -9999\n",
            b"ncols 3\r\nnrows 2\r\nxllcorner 9.75\r\nyllcorner 39.75\r\ncellsize 0.5\r\nbyteorder LSBFIRST\r\n",
            HEADER.replace(b"LSBFIRST", b"M") + b"NODATA 999\n",
        ],
    )
    def test_dialects_of_the_header(self, header: bytes) -> None:
        values = LN_PGA.copy()
        if b"NODATA_VALUE" in header:
            values[1, 1] = -9999
        order = ">f4" if b"BYTEORDER M" in header else "<f4"
        data = zipped({"pga_mean.flt": values.astype(order).tobytes(), "pga_mean.hdr": header})
        shaking = read_shakemap({"raster.zip": data})
        assert tuple(shaking.grid.extent.boundingbox) == (9.75, 39.75, 11.25, 40.75)
        assert shaking.pga[0, 2] == pytest.approx(0.3)
        assert np.isnan(shaking.pga[1, 1]) == (b"NODATA_VALUE" in header)

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            (HEADER.replace(b"NCOLS 3", b"NCOLS 4"), "expected 32 bytes, found 24"),
            (HEADER.replace(b"NCOLS 3", b"NCOLS -3"), "NCOLS: expected a number of nodes"),
            (HEADER.replace(b"NCOLS 3", b"NCOLS 99999999"), "expected 2 x 2"),
            (HEADER.replace(b"XDIM 0.5", b"XDIM nan"), "expected XDIM or CELLSIZE"),
            (HEADER.replace(b"XDIM 0.5", b"XDIM x"), "XDIM: expected a number"),
            (HEADER.replace(b"XDIM 0.5", b"XDIM -1"), "expected steps in degrees"),
            (HEADER.replace(b"LSBFIRST", b"PDP"), "BYTEORDER"),
            (HEADER + b"NBITS 64\n", "NBITS: expected 32"),
            (HEADER + b"PIXELTYPE SIGNEDINT\n", "PIXELTYPE"),
            (HEADER.replace(b"ULYMAP 40.5", b"ULYMAP 91"), "south < north"),
            (b" " * 20_000, "at most 10000 bytes"),
            (b"", "NCOLS"),
        ],
    )
    def test_bad_headers(self, header: bytes, message: str) -> None:
        data = zipped({"pga_mean.flt": LN_PGA.astype("<f4").tobytes(), "pga_mean.hdr": header})
        with pytest.raises(BadShakeMap, match=message):
            read_shakemap({"raster.zip": data})

    def test_missing_members(self) -> None:
        flt = LN_PGA.astype("<f4").tobytes()
        with pytest.raises(BadShakeMap, match=r"expected pga_mean\.flt or pga\.flt"):
            read_shakemap({"raster.zip": zipped({"mmi_mean.flt": flt, "mmi_mean.hdr": HEADER})})
        with pytest.raises(BadShakeMap, match=r"pga_mean\.hdr: expected a header"):
            read_shakemap({"raster.zip": zipped({"pga_mean.flt": flt})})

    def test_grids_must_agree(self) -> None:
        flt = LN_PGA.astype("<f4").tobytes()
        other = HEADER.replace(b"ULXMAP 10", b"ULXMAP 11")
        members = {"pga_mean.flt": flt, "pga_mean.hdr": HEADER, "pgv_mean.flt": flt, "pgv_mean.hdr": other}
        with pytest.raises(BadShakeMap, match="pgv_mean: expected the grid of PGA"):
            read_shakemap({"raster.zip": zipped(members)})

    def test_percent_under_a_logarithmic_name_is_noticed(self) -> None:
        data = zipped({"pga_mean.flt": (LN_PGA * 0 + 35).astype("<f4").tobytes(), "pga_mean.hdr": HEADER})
        with pytest.raises(BadShakeMap, match="another unit"):
            read_shakemap({"raster.zip": data})


class TestArchives:
    def test_bombs_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shakemap_archive, "MAX_UNPACKED_BYTES", 100_000)
        zeros = bytes(10_000_000)
        for files in (
            {"raster.zip": zipped({"pga_mean.flt": zeros, "pga_mean.hdr": HEADER})},
            {"grid.xml.zip": zipped({"grid.xml": zeros})},
            {"grid.xml.gz": gzip.compress(zeros)},
        ):
            with pytest.raises(BadShakeMap, match="at most 100000 bytes"):
                read_shakemap(files)

    def test_a_member_that_lies_about_its_size(self) -> None:
        data = bytearray(zipped({"pga_mean.flt": bytes(24), "pga_mean.hdr": HEADER}))
        at = data.find(b"PK\x01\x02")
        data[at + 24 : at + 28] = (8).to_bytes(4, "little")
        with pytest.raises(BadShakeMap):
            read_shakemap({"raster.zip": bytes(data)})

    def test_many_members(self) -> None:
        with pytest.raises(BadShakeMap, match="at most 200 members"):
            read_shakemap({"raster.zip": zipped({f"{i}.flt": b"" for i in range(201)})})

    def test_two_members_of_one_name(self) -> None:
        with pytest.raises(BadShakeMap, match=r"expected one grid\.xml, found two"):
            read_shakemap({"grid.xml.zip": zipped({"a/grid.xml": grid_text(), "b/grid.xml": grid_text()})})

    def test_a_zip_without_the_file(self) -> None:
        with pytest.raises(BadShakeMap, match=r"expected grid\.xml in the zip"):
            read_shakemap({"grid.xml.zip": zipped({"other.xml": grid_text()})})

    @pytest.mark.parametrize("name", ["grid.xml", "grid.xml.gz", "grid.xml.zip", "raster.zip"])
    def test_damage_raises_nothing_else(self, name: str) -> None:
        whole = {
            "grid.xml": grid_text(),
            "grid.xml.gz": gzip.compress(grid_text()),
            "grid.xml.zip": zipped({"grid.xml": grid_text()}),
            "raster.zip": small_raster_zip(),
        }[name]
        read_shakemap({name: whole})
        generator = random.Random(name)
        refused = 0
        for _ in range(300):
            data = bytearray(whole)
            for _ in range(generator.randint(1, 4)):
                data[generator.randrange(len(data))] = generator.randrange(256)
            cut = generator.choice([len(data), generator.randrange(len(data))])
            try:
                shaking = read_shakemap({name: bytes(data[:cut])})
            except HeadscarpError:
                refused += 1
            else:
                assert 0 < shaking.peak_pga <= 20
        assert refused > 100


class TestFetch:
    def product(self, files: Mapping[str, bytes], **wrong: str) -> tuple[UsgsClient, ShakeMapProduct, list[str]]:
        asked: list[str] = []

        def handle(request: httpx.Request) -> httpx.Response:
            asked.append(request.url.path)
            return httpx.Response(200, content=files[request.url.path.rpartition("/")[2]])

        contents = {
            f"download/{name}": Content(
                f"https://earthquake.usgs.gov/product/{name}",
                len(data),
                wrong.get(name.replace(".", "_")) or base64.b64encode(hashlib.sha256(data).digest()).decode(),
            )
            for name, data in files.items()
        }
        client = UsgsClient(
            "https://earthquake.usgs.gov", timeout_s=1, transport=httpx.MockTransport(handle), sleep=lambda _: None
        )
        return client, ShakeMapProduct(ShakeMapId("us", "us1", 1), 1, "UPDATE", contents=contents), asked

    def test_raster_alone_where_there_is_one(self) -> None:
        files = {"raster.zip": small_raster_zip(), "grid.xml": grid_text(), "stationlist.json": b"{}"}
        client, product, asked = self.product(files)
        shaking, digests = fetch_shakemap(client, product)
        assert asked == ["/product/raster.zip"]
        assert digests == {"raster.zip": hashlib.sha256(files["raster.zip"]).hexdigest()}
        assert shaking.peak_pga == pytest.approx(0.6)

    def test_grid_and_uncertainty_else(self) -> None:
        std = grid_text(fields=(*FIELDS[:2], ("STDPGA", ""), ("STDPGV", "")))
        files = {"grid.xml": grid_text(), "uncertainty.xml.zip": zipped({"uncertainty.xml": std}), "info.json": b"{}"}
        client, product, asked = self.product(files | {"grid.xml.zip": zipped({"grid.xml": grid_text()})})
        shaking, digests = fetch_shakemap(client, product)
        assert asked == ["/product/grid.xml.zip", "/product/uncertainty.xml.zip"]
        assert set(digests) == {"grid.xml.zip", "uncertainty.xml.zip"}
        assert shaking.pgv_ln_std is not None

    def test_no_grid(self) -> None:
        client, product, asked = self.product({"info.json": b"{}"})
        with pytest.raises(NotFound, match="us-us1-1"):
            fetch_shakemap(client, product)
        assert not asked

    def test_checksum(self) -> None:
        client, product, asked = self.product({"grid.xml": grid_text()}, grid_xml="AAAA")
        with pytest.raises(SourceUnavailable, match="expected sha256 AAAA"):
            fetch_shakemap(client, product)
        assert len(asked) == 4
