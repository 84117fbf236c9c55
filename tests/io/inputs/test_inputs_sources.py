"""The source registry: the packaged one, files of one's own, overrides, and what is refused."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headscarp.errors import InvalidInput
from headscarp.io.inputs.sources import LAYERS, SourceRegistry, SourceSpec
from headscarp.tables.coseismic import COSEISMIC
from headscarp.tables.legends import LEGENDS


@pytest.fixture(scope="module")
def public() -> SourceRegistry:
    return SourceRegistry.load()


def test_every_public_layer_states_its_terms_or_why_it_is_absent(public: SourceRegistry) -> None:
    for layer in LAYERS:
        spec = public[layer]
        if spec is None:
            assert len(public.reason(layer)) > 20
        else:
            assert spec.href.startswith("https://")
            assert spec.licence
            assert spec.attribution
            assert spec.epoch


def test_public_layers_fit_the_rows_they_fill(public: SourceRegistry) -> None:
    for row in COSEISMIC:
        spec = public[row.source] if row.source in LAYERS else None
        if spec is not None and row.kind == "categorical":
            assert spec.scheme == row.legend
            assert row.legend in LEGENDS
        elif spec is not None:
            assert spec.unit == row.units


@pytest.mark.parametrize(
    ("layer", "corner", "name"),
    [
        ("dem", (84, 28), "Copernicus_DSM_COG_10_N28_00_E084_00_DEM.tif"),
        ("dem", (-1, -4), "Copernicus_DSM_COG_10_S04_00_W001_00_DEM.tif"),
        ("dem", (180, -17), "Copernicus_DSM_COG_10_S17_00_W180_00_DEM.tif"),
        ("land_cover", (90, 24), "ESA_WorldCover_10m_2021_v200_N24E090_Map.tif"),
        ("ndvi", (-121, 47), "N47/ESA_WorldCover_10m_2021_v200_N47W121_S2RGBNIR.tif"),
    ],
)
def test_tile_names_as_published(public: SourceRegistry, layer: str, corner: tuple[int, int], name: str) -> None:
    spec = public[layer]
    assert spec is not None
    assert spec.tile_href(*corner).endswith("/" + name)


@given(
    west=st.floats(-400, 400), south=st.floats(-89, 88), width=st.floats(0.001, 5), height=st.floats(0.001, 1),
    size=st.sampled_from([1, 3]),
)  # fmt: skip
def test_tiles_cover_the_box_and_nothing_else(
    west: float, south: float, width: float, height: float, size: int
) -> None:
    spec = SourceSpec.model_validate({"href": "{ns}{lat}{ew}{lon}.tif", "tile_degrees": size})
    tiles = spec.tiles_over(west, south, west + width, south + height)
    assert all(x % size == 0 and y % size == 0 for x, y in tiles)
    assert all(x < west + width and x + size > west and y < south + height and y + size > south for x, y in tiles)
    assert min(x for x, _ in tiles) <= west
    assert max(x for x, _ in tiles) + size >= west + width


@pytest.mark.parametrize(
    "href",
    [
        "ftp://host/a.tif",
        "/vsicurl/http://host/a.tif",
        "file:///a.tif",
        "<VRTDataset/>",
        "NETCDF:a.nc:z",
        "",
        '{"a":1}',
    ],
)
def test_only_paths_and_web_addresses_are_sources(href: str) -> None:
    with pytest.raises(InvalidInput, match=r"layers\.dem\.href"):
        SourceRegistry.load().with_overrides({"dem": {"kind": "raster", "href": href}})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layers: {dem: {href: a.tif, bnd: 2}}", r"registry\.yaml: layers\.dem\.bnd"),
        ("layers: {dem: {href: a.tif, band: 0}}", r"layers\.dem\.band"),
        ("layers: {dem: {href: a.tif, epoch: last year}}", r"layers\.dem\.epoch: .*found 'last year'"),
        ("layers: {dem: {kind: tiles, href: 'a_{lat}.tif'}}", r"layers\.dem: .*expected the fields"),
        ("layers: {dem: {band: 1}}", r"layers\.dem"),
        ("layers: {snow: {href: a.tif}}", r"layers\.snow: expected one of"),
        ("layers: [1]", "expected a mapping with the key 'layers'"),
        ("- 1", "expected a mapping"),
        ("layers: {dem: {href: [", "not YAML"),
    ],
)
def test_errors_name_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "registry.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=words) as caught:
        SourceRegistry.load(path)
    assert str(path) in str(caught.value)


def test_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        SourceRegistry.load(tmp_path / "none.yaml")


def test_own_file_replaces_layer_by_layer(tmp_path: Path, public: SourceRegistry) -> None:
    path = tmp_path / "registry.yaml"
    path.write_text("layers:\n  lithology: {href: rock.tif, scheme: glim}\n  soil: {absent: not wanted}\n")
    own = SourceRegistry.load(path)
    assert own["lithology"] is not None
    assert own["lithology"].href == str(tmp_path / "rock.tif")
    assert own["soil"] is None
    assert own.reason("soil") == "not wanted"
    assert own["dem"] == public["dem"]


def test_event_folder_takes_the_place_of_the_registry(public: SourceRegistry) -> None:
    layers = {"dem": {"href": "/data/dem.tif", "band": 1, "unit": "m"}, "faults": {"href": "/f.gpkg"}, "roads": {}}
    mixed = public.with_overrides(layers)
    assert mixed["dem"] is not None
    assert (mixed["dem"].kind, mixed["dem"].sea) == ("raster", 0.0)
    assert mixed["faults"] is not None
    assert mixed["faults"].kind == "vector"
    assert mixed["soil"] == public["soil"]
    alone = public.with_overrides(layers, others="not in the event folder")
    assert alone["soil"] is None
    assert alone.reason("soil") == "not in the event folder"


@pytest.mark.parametrize(
    ("epoch", "until"),
    [
        ("2021", datetime(2021, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2011/2015", datetime(2015, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2014-03-02/2015-11-16", datetime(2015, 11, 16, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_epoch_ends_with_its_last_day(epoch: str, until: datetime) -> None:
    assert SourceSpec.model_validate({"href": "a.tif", "epoch": epoch}).observed_until == until


def test_template_fields_are_those_of_the_tile_names(public: SourceRegistry) -> None:
    """A template cannot reach into objects: only plain fields pass."""
    with pytest.raises(InvalidInput, match="expected the fields"):
        public.with_overrides({"dem": {"kind": "tiles", "href": "{ns.__class__}{lat}{ew}{lon}"}})
    fields = {f for _, f, _, _ in string.Formatter().parse(public["dem"].href) if f}  # type: ignore[union-attr]
    assert fields == {"ns", "lat", "ew", "lon"}
