"""The source registry: the packaged one, files of one's own, overrides, and what is refused."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headscarp.errors import InvalidInput
from headscarp.io.inputs.origin import mirrored
from headscarp.io.inputs.sources import SourceRegistry, SourceSpec
from headscarp.tables.coseismic import COSEISMIC
from headscarp.tables.legends import LEGENDS


@pytest.fixture(scope="module")
def public() -> SourceRegistry:
    return SourceRegistry.load()


PROFILES = ("best", "dem90", "worldcover2020", "himatibet")
INDICATOR_LAYERS = ("dem", "lithology", "soil", "land_cover", "ndvi", "faults", "rivers", "climate", "plate_boundaries")


@pytest.mark.parametrize("profile", [None, *PROFILES])
def test_every_public_layer_states_its_terms_or_why_it_is_absent(profile: str | None) -> None:
    registry = SourceRegistry.load(profile=profile)
    for layer in INDICATOR_LAYERS:
        spec = registry[layer]
        if spec is None:
            assert len(registry.reason(layer)) > 60
            continue
        for one in spec.chain:
            assert one.href.startswith("https://")
            assert one.licence
            assert one.attribution
            assert one.epoch
            assert one.kind == "vector" or one.resolution


@pytest.mark.parametrize("profile", [None, *PROFILES])
def test_public_layers_fit_the_rows_they_fill(profile: str | None) -> None:
    registry = SourceRegistry.load(profile=profile)
    for row in COSEISMIC:
        spec = registry[row.source or ""]
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
        ("ndvi", (9, 0), "ndvi/2021/N00/ESA_WorldCover_10m_2021_v200_N00E009_NDVI.tif"),
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
        ("layers: {Snow: {href: a.tif}}", r"layers\.Snow: expected a lower-case identifier"),
        (
            "layers: {dem: {href: a.tif, fallback: [{href: b.gpkg}]}}",
            r"fallback: expected kind 'raster', found 'vector'",
        ),
        ("layers: {dem: {href: a.tif, fallback: [{href: b.tif, band: 0}]}}", r"layers\.dem\.fallback\.0\.band"),
        ("layers: {}\nprofiles: {p: [1]}", r"profiles\.p: expected a mapping"),
        ("layers: {}\nprofiles: {p: {dem: {href: a.tif, bnd: 1}}}", r"profiles\.p\.dem\.bnd"),
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
    layers = {
        "dem": {"href": "/data/dem.tif", "band": 1, "unit": "m"},
        "faults": {"href": "/f.gpkg"},
        "Road classes": {},
    }
    mixed = public.with_overrides(layers)
    assert mixed["dem"] is not None
    assert (mixed["dem"].kind, mixed["dem"].sea) == ("raster", 0.0)
    assert mixed["faults"] is not None
    assert mixed["faults"].kind == "vector"
    assert mixed["soil"] == public["soil"]
    assert "Road classes" not in mixed.names
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


def test_any_layer_name_is_accepted_and_a_misspelt_one_is_found(tmp_path: Path) -> None:
    path = tmp_path / "registry.yaml"
    path.write_text("layers: {snow_depth: {href: snow.tif, unit: m}, lithlogy: {href: rock.tif, scheme: glim}}")
    own = SourceRegistry.load(path)
    assert own["snow_depth"] is not None
    assert own.unused({"dem", "faults", "soil", "land_cover", "ndvi", "lithology"}) == {
        "lithlogy": "; did you mean 'lithology'?", "plate_boundaries": "", "snow_depth": "",
    }  # fmt: skip
    assert own.reason("snow_dept").endswith("has no layer 'snow_dept'; did you mean 'snow_depth'?")


def test_a_profile_replaces_layers_and_enters_the_digest(public: SourceRegistry) -> None:
    coarse = SourceRegistry.load(profile="dem90")
    assert coarse["dem"] == public["dem"].fallback[0]  # type: ignore[union-attr]
    assert coarse["soil"] == public["soil"]
    assert len({SourceRegistry.load(profile=p).digest for p in (None, *PROFILES)}) == 1 + len(PROFILES)
    assert coarse.with_overrides({"soil": {"href": "s.tif"}}).profile == "dem90"
    with pytest.raises(InvalidInput, match=r"expected one of \['best', .*found 'dem9'"):
        SourceRegistry.load(profile="dem9")


def test_a_profile_of_ones_own_has_the_last_word(tmp_path: Path) -> None:
    path = tmp_path / "registry.yaml"
    path.write_text(
        "layers: {dem: {href: own.tif}}\n"
        "profiles: {dem90: {soil: {absent: none here}}, mine: {dem: {href: b.tif, fallback: [{href: c.tif}]}}}\n"
    )
    assert SourceRegistry.load(path)["dem"].href == str(tmp_path / "own.tif")  # type: ignore[union-attr]
    both = SourceRegistry.load(path, profile="dem90")
    assert "copernicus-dem-90m" in both["dem"].href  # type: ignore[union-attr]
    assert both.reason("soil") == "none here"
    mine = SourceRegistry.load(path, profile="mine")["dem"]
    assert [spec.href for spec in mine.chain] == [str(tmp_path / name) for name in ("b.tif", "c.tif")]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("href", "place"),
    [
        ("https://copernicus-dem-30m.s3.amazonaws.com/a/b.tif", "copernicus-dem-30m/a/b.tif"),
        ("https://esa-worldcover.s3.eu-central-1.amazonaws.com/v200/x_{ns}.tif", "esa-worldcover/v200/x_{ns}.tif"),
        ("https://s3.eu-central-1.amazonaws.com/esa-worldcover/v200/x.tif", "esa-worldcover/v200/x.tif"),
        ("https://with.dots.s3-us-west-2.amazonaws.com/k", "with.dots/k"),
        ("s3://esa-worldcover-s2/ndvi/2021/x.tif", "esa-worldcover-s2/ndvi/2021/x.tif"),
        ("https://files.isric.org/soilgrids/latest/x.vrt", "files.isric.org/soilgrids/latest/x.vrt"),
    ],
)
def test_a_mirror_keeps_buckets_and_hosts_apart(href: str, place: str) -> None:
    for mirror in ("http://near:8333", "s3://copies/public"):
        assert mirrored(href, mirror) == f"{mirror}/{place}"
    assert mirrored("/data/dem.tif", "http://near:8333") == "/data/dem.tif"


def test_a_mirror_moves_public_addresses_only_and_says_so(tmp_path: Path, public: SourceRegistry) -> None:
    path = tmp_path / "registry.yaml"
    path.write_text("layers: {soil: {href: 'https://files.isric.org/own.tif'}}")
    near = SourceRegistry.load(path, profile="dem90", mirror="http://near:8333/")
    assert near["soil"].href == "https://files.isric.org/own.tif"  # type: ignore[union-attr]
    dem, public_dem = near["dem"], SourceRegistry.load(profile="dem90")["dem"]
    assert dem is not None
    assert public_dem is not None
    assert dem.href.startswith("http://near:8333/copernicus-dem-90m/")
    assert dem.published == public_dem.href
    plain = SourceRegistry.load(mirror="http://near:8333")
    assert plain["dem"].fallback[0].href == dem.href  # type: ignore[union-attr]
    assert plain.digest != public.digest
    assert dem.from_mirror("http://nearer").published == public_dem.href


def test_the_latest_epoch_of_a_chain_counts() -> None:
    chain = {"href": "a.tif", "epoch": "2015", "fallback": [{"href": "b.tif", "epoch": "2019"}]}
    assert SourceSpec.model_validate(chain).observed_until.year == 2019  # type: ignore[union-attr]
    chain["fallback"] = [{"href": "b.tif"}]
    assert SourceSpec.model_validate(chain).observed_until is None
