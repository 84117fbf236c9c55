"""Lines near a grid, from files in any CRS."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from headscarp.errors import InvalidInput, SourceUnavailable
from headscarp.io.inputs.sources import SourceSpec
from headscarp.io.inputs.vectors import read_lines

GRID = GeoBox(wh_(1000, 1000), Affine(30, 0, 500_000, 0, -30, 4_300_000), "EPSG:32634")


def spec(path: Path | str) -> SourceSpec:
    return SourceSpec.model_validate({"kind": "vector", "href": str(path)})


def write(path: Path, shapes: list[shapely.Geometry], crs: str | None) -> Path:
    kinds = {shape.geom_type for shape in shapes}
    pyogrio.raw.write(
        path, shapely.to_wkb(shapes), [np.arange(len(shapes))], ["id"], driver="GPKG", crs=crs,
        geometry_type=kinds.pop() if len(kinds) == 1 else "Unknown",
    )  # fmt: skip
    return path


def to_degrees(points: list[tuple[float, float]]) -> shapely.LineString:
    x, y = Transformer.from_crs("EPSG:32634", "EPSG:4326", always_xy=True).transform(*zip(*points, strict=True))
    return shapely.LineString(np.column_stack([x, y]))


def test_lines_come_in_the_crs_of_the_grid(tmp_path: Path) -> None:
    points = [(505_000.0, 4_290_000.0), (512_000.0, 4_285_000.0), (520_000.0, 4_275_000.0)]
    for crs, shape in (("EPSG:4326", to_degrees(points)), ("EPSG:32634", shapely.LineString(points))):
        path = write(tmp_path / f"{crs[5:]}.gpkg", [shape], crs)
        (line,), identity = read_lines("faults", spec(path), GRID, reach_m=1000)
        np.testing.assert_allclose(line, points, atol=0.01)
        assert len(identity["sha256"]) == 64


def test_only_what_lies_within_reach(tmp_path: Path) -> None:
    near = to_degrees([(470_000, 4_280_000), (480_000, 4_280_000)])
    far = to_degrees([(300_000, 4_280_000), (310_000, 4_280_000)])
    path = write(tmp_path / "faults.gpkg", [near, far], "EPSG:4326")
    assert len(read_lines("faults", spec(path), GRID, reach_m=30_000)[0]) == 1
    assert len(read_lines("faults", spec(path), GRID, reach_m=300_000)[0]) == 2
    assert read_lines("faults", spec(path), GRID, reach_m=1_000)[0] == []


def test_segments_are_never_cut_and_areas_give_their_outline(tmp_path: Path) -> None:
    across = to_degrees([(0, 4_280_000), (1_000_000, 4_280_000)])
    square = to_degrees([(505_000, 4_290_000), (506_000, 4_290_000), (506_000, 4_289_000), (505_000, 4_290_000)])
    path = write(tmp_path / "mixed.gpkg", [across, shapely.Polygon(square.coords)], "EPSG:4326")
    lines, _ = read_lines("faults", spec(path), GRID, reach_m=10_000)
    widths = sorted(float(np.ptp(line[:, 0])) for line in lines)
    assert len(lines) == 2
    assert widths[0] == pytest.approx(1_000, abs=1)
    assert widths[1] == pytest.approx(1_000_000, rel=1e-3)


def test_both_sides_of_the_antimeridian(tmp_path: Path) -> None:
    grid = GeoBox(wh_(1000, 1000), Affine(30, 0, 810_000, 0, -30, 8_000_000), "EPSG:32760")
    lines = [shapely.LineString([(lon, -18.3), (lon, -18.1)]) for lon in (179.95, -179.95, 0.0)]
    path = write(tmp_path / "fiji.gpkg", lines, "EPSG:4326")
    found, _ = read_lines("faults", spec(path), grid, reach_m=50_000)
    assert len(found) == 2
    assert all(700_000 < x < 900_000 for line in found for x in line[:, 0])


def test_real_faults_of_kashmir(shared_data: Path) -> None:
    grid = GeoBox(wh_(500, 800), Affine(30, 0, 360_000, 0, -30, 3_820_000), "EPSG:32643")
    path = shared_data / "events/us_usp000e12e_kashmir2005/faults.gpkg"
    lines, _ = read_lines("faults", spec(path), grid, reach_m=200_000)
    _, _, geometry, _ = pyogrio.raw.read(path, columns=[])
    assert len(lines) >= len(geometry) > 0
    assert sum(len(line) for line in lines) >= shapely.get_num_coordinates(shapely.from_wkb(geometry)).sum()


def test_files_that_are_none_are_refused_by_name(tmp_path: Path) -> None:
    bare = tmp_path / "bare.csv.json"
    bare.write_text(json.dumps({"nothing": 1}))
    naked = write(tmp_path / "naked.gpkg", [shapely.LineString([(0, 0), (1, 1)])], None)
    for path, words in ((tmp_path / "none.gpkg", "no such file"), (bare, "cannot be read"), (naked, "with a CRS")):
        with pytest.raises(InvalidInput, match=words) as caught:
            read_lines("faults", spec(path), GRID, reach_m=1000)
        assert str(path) in str(caught.value)


def test_a_host_that_does_not_answer() -> None:
    with pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1"):
        read_lines("faults", spec("http://127.0.0.1:9/f.gpkg"), GRID, reach_m=1000, timeout_s=2)


def test_a_regional_file_has_no_say_elsewhere(tmp_path: Path) -> None:
    """No fault in a file of another region does not mean no fault."""
    path = write(tmp_path / "faults.gpkg", [to_degrees([(505_000, 4_290_000), (512_000, 4_285_000)])], "EPSG:4326")
    regional = spec(path).model_copy(update={"covers": ((20.0, 38.0, 22.0, 39.5),)})
    assert len(read_lines("faults", regional, GRID, reach_m=1000)[0]) == 1
    elsewhere = spec(path).model_copy(update={"covers": ((70.0, 24.0, 105.0, 45.0), (21.1, 38.0, 22.0, 39.5))})
    with pytest.raises(SourceUnavailable, match=r"faults\.gpkg: covers \[\(70\.0, .*only, not \(20\.99"):
        read_lines("faults", elsewhere, GRID, reach_m=1000)
