"""Models by name: none outside the store, and the champion of a place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine

from headscarp.core.blended import Blended
from headscarp.core.event import Event
from headscarp.core.gate import EventGate
from headscarp.core.hazard.jessee import NowickiJessee
from headscarp.core.normalisation import EventStatistics
from headscarp.core.palette import COVERAGE
from headscarp.core.predictor import Predictor
from headscarp.core.region import blend
from headscarp.core.run import State
from headscarp.core.tiling import CropPlan
from headscarp.errors import BadBundle, InvalidInput, Misconfigured, NotFound
from headscarp.io.inputs.champions import CHAMPIONS_FILE, Champions
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.inputs.usgs import UsgsClient
from headscarp.io.ledger import Ledger
from headscarp.io.store import LocalStore
from headscarp.pipeline.assemble import identity_of, models_at, open_models, open_workshop
from headscarp.pipeline.champion import champion_region
from headscarp.pipeline.models import bundle_folder, open_predictor
from headscarp.pipeline.quake import Quake, load_quake
from headscarp.pipeline.respond import Workshop, identify, respond, respond_to_claim
from headscarp.pipeline.world import write_world
from headscarp.pipeline.write import write_map
from headscarp.settings import Settings
from headscarp.tables.coseismic import COSEISMIC
from headscarp.world.generate import make_world
from tests.ml.bundled import CURVE, write_bundle

KATHMANDU, ZAGREB, OSLO, LIMA = (84.7, 28.2), (16.0, 45.8), (10.7, 60.0), (-77.0, -12.0)


def quake_at(place: tuple[float, float]) -> Event:
    return Event("us1", "a quake", datetime(2024, 1, 1, tzinfo=UTC), 7.0, *place, 10.0)


def climate_file(folder: Path, paint: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Path:
    """A climate map of half-degree pixels."""
    lon, lat = np.meshgrid(np.arange(-180, 180, 0.5) + 0.25, 90 - np.arange(0, 180, 0.5) - 0.25)
    path = folder / "climate.tif"
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 0, "crs": "EPSG:4326"}
    grid = {"width": 720, "height": 360, "transform": Affine(0.5, 0, -180, 0, -0.5, 90)}
    with rasterio.open(path, "w", **profile, **grid) as file:
        file.write(paint(lon, lat).astype(np.uint8), 1)
    return path


def registry(folder: Path, climate: Path | None) -> SourceRegistry:
    """Boundaries of India with Eurasia and of Nazca with South America, and a climate map."""
    himalaya = {"PlateA": "IN", "PlateB": "EU", "line": [[75.0, 33.0], [95.0, 28.0]]}
    andes = {"PlateA": "NZ", "PlateB": "SA", "line": [[-80.0, -5.0], [-72.0, -40.0]]}
    features = [
        {
            "type": "Feature",
            "properties": {k: found[k] for k in ("PlateA", "PlateB")},
            "geometry": {"type": "LineString", "coordinates": found["line"]},
        }
        for found in (himalaya, andes)
    ]
    plates = folder / "plates.geojson"
    plates.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    layers: dict[str, Any] = {"plate_boundaries": {"kind": "vector", "href": str(plates)}}
    if climate is not None:
        layers["climate"] = {"kind": "raster", "href": str(climate), "scheme": "koeppen_main"}
    return SourceRegistry({}, {}).with_overrides(layers)


CHAMPIONS = Champions.model_validate({"global": "world", "regions": {"TeAH": "alps", "EqCP": "andes"}})


def test_regions_decide_inside_the_belts_and_the_global_model_elsewhere(tmp_path: Path) -> None:
    """Temperate north of the equator's tropics, equatorial within them."""
    sources = registry(tmp_path, climate_file(tmp_path, lambda _, lat: np.where(np.abs(lat) < 20, 1, 3)))
    regions = {place: champion_region(quake_at(place), CHAMPIONS, sources) for place in (KATHMANDU, ZAGREB, OSLO, LIMA)}
    assert {p: (r.code, dict(r.weights)) for p, r in regions.items()} == {
        KATHMANDU: ("TeAH", {"TeAH": 1.0}),
        ZAGREB: ("TeAH", {"TeAH": 1.0}),
        OSLO: (None, {"global": 1.0}),
        LIMA: ("EqCP", {"EqCP": 1.0}),
    }
    assert regions[OSLO].flags == ("outside_belts", "global_model")
    cold = CHAMPIONS.model_copy(update={"regions": {"CoAH": "x"}})
    assert champion_region(quake_at(KATHMANDU), cold, sources).weights == {"global": 1.0}


def test_without_a_climate_or_plates_the_global_model_with_a_flag(tmp_path: Path) -> None:
    found = champion_region(quake_at(KATHMANDU), CHAMPIONS, registry(tmp_path, None))
    assert (dict(found.weights), found.flags) == ({"global": 1.0}, ("climate_unknown", "global_model"))
    found = champion_region(quake_at(KATHMANDU), CHAMPIONS, SourceRegistry({}, {}))
    assert found.flags == ("climate_unknown", "belts_unknown", "global_model")


def test_nothing_is_read_where_no_region_has_a_model(tmp_path: Path) -> None:
    nowhere = SourceRegistry({}, {}).with_overrides(
        {"climate": {"href": "http://127.0.0.1:9/c.tif"}, "plate_boundaries": {"href": "http://127.0.0.1:9/p.json"}}
    )
    found = champion_region(quake_at(KATHMANDU), Champions.model_validate({"global": "world"}), nowhere)
    assert found.flags == ("global_model",)


def test_a_climate_that_is_named_and_not_there_is_trouble(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"no\.tif"):
        champion_region(quake_at(KATHMANDU), CHAMPIONS, registry(tmp_path, tmp_path / "no.tif"))


# -- champions.json ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "document"),
        ({"regions": {}}, "global: Field required"),
        ({"global": "../up"}, "global: expected the name of a model, found '../up'"),
        ({"global": "champion"}, "expected the name of a model, found 'champion'"),
        ({"global": "a", "regions": {"XxAH": "b"}}, "expected a region of .*found 'XxAH'"),
        ({"global": "a", "regions": {"TeAH": "b/c"}}, r"regions\.TeAH: expected the name of a model"),
        ({"global": "a", "local": "b"}, "local: Extra inputs"),
    ],
)
def test_champions_that_cannot_be_meant(tmp_path: Path, document: Any, message: str) -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    (tmp_path / CHAMPIONS_FILE).write_text(text)
    with pytest.raises(BadBundle, match=message):
        Champions.load(tmp_path)


def test_a_store_without_champions_has_none(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"champions\.json"):
        open_models(Settings(models=("champion",), model_store=tmp_path))


def test_the_released_champions_are_in_the_store(root: Path) -> None:
    store = root / "model_store"
    assert all(bundle_folder(name, store).is_dir() for name in Champions.load(store).names)


@pytest.mark.parametrize("name", ["../tiny", "a/b", "/etc", "..", ".", "", "tiny\n", "a" * 65, ".hidden"])
def test_no_name_leads_out_of_the_store(tmp_path: Path, name: str) -> None:
    write_bundle(tmp_path, "tiny")
    (tmp_path / "store").mkdir()
    with pytest.raises(InvalidInput, match="expected letters"):
        open_predictor(name, table=COSEISMIC, model_store=tmp_path / "store")


# -- averaging --------------------------------------------------------------------------------------------------------


class Flat:
    """A model that answers one channel, times a factor."""

    version, ranked, gate_px = "2", (), 0
    event_gates: ClassVar[dict[str, EventGate]] = {}
    required: frozenset[str] = frozenset()

    def __init__(self, name: str, channel: str, plan: CropPlan | None, quantity: str = "coverage") -> None:
        self.name, self.channels, self.plan, self.quantity = name, (channel,), plan, quantity

    def bound_to(self, _statistics: EventStatistics) -> Flat:
        return self

    def gated(self, _windows: Iterable[np.ndarray]) -> Flat:
        return self

    def predict(self, stack: np.ndarray) -> np.ndarray:
        return np.asarray(stack[0], np.float32)


def test_neighbouring_models_are_averaged_by_log_odds() -> None:
    parts = [Flat("a", "slope", CropPlan(128, 88)), Flat("b", "pga", CropPlan(448, 88))]
    both: Predictor = Blended(parts, [0.25, 0.75])  # type: ignore[list-item]
    assert (both.name, both.version, both.channels) == ("a+b", "2x0.250+2x0.750", ("slope", "pga"))
    assert both.plan == CropPlan(448, 88)
    stack = np.array([[[0.1, 0.5]], [[0.3, np.nan]]], np.float32)
    found = both.bound_to(EventStatistics({})).predict(stack)
    np.testing.assert_array_equal(found, blend([stack[0], stack[1]], [0.25, 0.75]))
    assert 0.1 < found[0, 0] < 0.3 and np.isnan(found[0, 1])
    with pytest.raises(ValueError, match="coverage', 'score"):
        Blended([parts[0], Flat("c", "pga", None, "score")], [0.5, 0.5])  # type: ignore[list-item]


def settings_of(store: Path, folder: Path, climate: Path, **more: Any) -> Settings:
    """Settings whose source registry has a climate and plates."""
    sources = registry(folder, climate)
    layers = {name: sources[name].model_dump(mode="json", exclude_none=True) for name in sources.names}  # type: ignore[union-attr]
    (folder / "sources.yaml").write_text(json.dumps({"layers": layers}))
    return Settings(model_store=store, sources=folder / "sources.yaml", store=str(folder / "out"), **more)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibrated global model and one of a region."""
    folder = tmp_path_factory.mktemp("models")
    write_bundle(folder, "everywhere", seed=1, calibration=CURVE)
    write_bundle(folder, "alpine", seed=2, calibration=CURVE, members=2)
    (folder / CHAMPIONS_FILE).write_text(json.dumps({"global": "everywhere", "regions": {"TeAH": "alpine"}}))
    return folder


def test_the_champion_is_a_model_or_an_average_of_neighbours(store: Path, tmp_path: Path) -> None:
    """Temperate west of 84.5 E and cold east of it: on the line both are likely."""
    paint = climate_file(tmp_path, lambda lon, _: np.where(lon < 84.5, 3, 4))
    settings = settings_of(store, tmp_path, paint, models=("champion", "everywhere"))
    (alpine, other), region = (found := models_at(quake_at(ZAGREB), settings)).predictors, found.region
    assert (alpine.name, other.name, alpine.quantity) == ("alpine", "everywhere", "coverage")
    assert region is not None and region["code"] == "TeAH"
    (alone,) = models_at(quake_at(OSLO), settings).predictors
    assert alone.name == "everywhere"
    between = models_at(quake_at((84.5, 28.2)), settings)
    assert between.predictors[0].name in {"alpine+everywhere", "everywhere+alpine"}
    assert between.region is not None and "region_ambiguous" in between.region["flags"]
    assert [m.name for m in open_models(settings)] == ["everywhere", "alpine"]


def test_models_that_mean_different_things_are_not_averaged(store: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    write_bundle(mixed, "everywhere", seed=1)
    write_bundle(mixed, "alpine", seed=2, calibration=CURVE)
    (mixed / CHAMPIONS_FILE).write_text((store / CHAMPIONS_FILE).read_text())
    settings = settings_of(mixed, tmp_path, climate_file(tmp_path, lambda lon, _: np.where(lon < 84.5, 3, 4)))
    with pytest.raises(BadBundle, match="one quantity"):
        models_at(quake_at((84.5, 28.2)), settings.model_copy(update={"models": ("champion",)}))


# -- products ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bare_quake(tmp_path_factory: pytest.TempPathFactory) -> Quake:
    """An event folder with terrain and PGA, and nothing else."""
    folder = write_world(make_world(11, shape=(96, 96)), tmp_path_factory.mktemp("world"))
    header = json.loads((folder / "event.json").read_text())
    header["layers"] = {name: header["layers"][name] for name in ("dem", "pga")}
    (folder / "event.json").write_text(json.dumps({k: v for k, v in header.items() if k not in {"inventory", "truth"}}))
    with UsgsClient("http://127.0.0.1:9", timeout_s=1.0, attempts=1) as client:
        return load_quake(str(folder), client)


def test_terrain_and_shaking_are_enough_for_a_calibrated_map(store: Path, bare_quake: Quake, tmp_path: Path) -> None:
    settings = settings_of(store, tmp_path, climate_file(tmp_path, lambda lon, _: 0 * lon + 3), models=("champion",))
    models = models_at(bare_quake.event, settings)
    sources, path = SourceRegistry({}, {}), tmp_path / "map.tif"
    written = write_map(bare_quake, models.predictors[0], path, registry=sources, region=models.region)
    assert (written.name, written.quantity) == ("everywhere", "coverage")
    with rasterio.open(path) as source:
        values, tags, names = source.read(1), source.tags(), source.descriptions
    assert names == ("coverage",)
    assert np.isfinite(values).any() and np.nanmax(values) <= CURVE.coverages[-1]
    assert tags["HEADSCARP_MODEL"] == "everywhere-1.0"
    assert json.loads(tags["HEADSCARP_REGION"])["flags"] == ["outside_belts", "global_model"]


def test_the_product_shows_coverage_and_names_the_model(store: Path, bare_quake: Quake, tmp_path: Path) -> None:
    settings = settings_of(store, tmp_path, climate_file(tmp_path, lambda lon, _: 0 * lon + 3), models=("champion",))
    house = open_workshop(settings)
    assert house.predictors == ()
    detail: Any = SimpleNamespace(event=bare_quake.event, preferred_shakemap=SimpleNamespace(id=bare_quake.shakemap))
    watched = house.ledger.claim(identity_of(detail, house))
    found = respond(bare_quake, house, claimed=watched)
    assert found.run.id == watched.id  # the watch had meant the same model
    assert found.item is not None and "-everywhere-1_0-" in found.run.id
    item = pystac.Item.from_file(str(tmp_path / "out" / found.item))
    said = item.properties
    assert said["renders"]["hazard"]["headscarp:legend"] == COVERAGE.legend()
    assert said["headscarp:models"][0]["quantity"] == "coverage"
    assert said["headscarp:lineage"]["headscarp:region"]["flags"] == ["outside_belts", "global_model"]
    assert "everywhere-1.0" in said["monty:hazard_detail"]["severity_label"]
    assert item.assets["hazard"].extra_fields["headscarp:quantity"] == "coverage"
    assert item.assets["hazard"].title.startswith(COVERAGE.title)


def test_a_claim_ends_when_its_models_cannot_be_settled(store: Path, bare_quake: Quake, tmp_path: Path) -> None:
    good = settings_of(store, tmp_path, climate_file(tmp_path, lambda lon, _: 0 * lon + 3), models=("champion",))
    house = open_workshop(good)
    run = house.ledger.claim(identify(bare_quake.event.id, bare_quake.shakemap, house.at(bare_quake.event)))
    (tmp_path / "climate.tif").unlink()
    with pytest.raises(Misconfigured, match=r"climate\.tif"):
        respond_to_claim(run, lambda: bare_quake, open_workshop(good))
    (after,) = house.ledger.runs(bare_quake.event.id)
    assert after.state is State.FAILED and "Misconfigured" in str(after.reason)


def test_a_workshop_with_models_of_its_own_does_not_look_at_the_place(tmp_path: Path) -> None:
    files = LocalStore(tmp_path)
    ledger = Ledger(files, lease=timedelta(seconds=30))
    house = Workshop(files, ledger, COSEISMIC, SourceRegistry({}, {}), (NowickiJessee(),))
    assert house.at(quake_at(OSLO)) is house
