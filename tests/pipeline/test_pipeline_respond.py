from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio

from headscarp.core.hazard.jessee import NowickiJessee
from headscarp.core.run import State
from headscarp.core.status import Status
from headscarp.demo.publications import publication
from headscarp.demo.replay import ReplayServer
from headscarp.errors import BadShakeMap, Busy, HeadscarpError, InvalidInput, NotAnEvent, NotFound, NotYet, StoreError
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.inputs.usgs import UsgsClient
from headscarp.io.ledger import Ledger
from headscarp.io.outputs.product import COLLECTION
from headscarp.io.outputs.usgs_format import shakemap_release
from headscarp.io.store import LocalStore, Store
from headscarp.pipeline.quake import Quake, load_quake
from headscarp.pipeline.respond import Workshop, identify, respond, respond_to_claim
from headscarp.pipeline.world import write_world
from headscarp.tables.coseismic import COSEISMIC
from headscarp.world.generate import World, make_world

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def world() -> World:
    return make_world(7, shape=(160, 192))


@pytest.fixture(scope="session")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(world, tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def early_folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(world, tmp_path_factory.mktemp("early"), shakemap="early")


@pytest.fixture
def client() -> Iterator[UsgsClient]:
    with UsgsClient(NOWHERE, timeout_s=1.0, attempts=1) as made:
        yield made


def workshop(store: Store, **changes: object) -> Workshop:
    made = Workshop(
        store=store,
        ledger=Ledger(store, lease=timedelta(seconds=30)),
        table=COSEISMIC,
        registry=SourceRegistry({}, {}),
        predictors=(NowickiJessee(),),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def crawl(store: LocalStore) -> list[pystac.Item]:
    """Every product a reader finds from the root; it and all other items have all their assets."""
    root = store.root / "catalog" / "catalog.json"
    if not root.exists():
        return []
    items = list(pystac.Catalog.from_file(str(root)).get_items(recursive=True))
    for item in items:
        for asset in item.assets.values():
            if not asset.href.startswith("http"):
                assert Path(str(asset.get_absolute_href())).exists(), asset.href
    return [item for item in items if item.collection_id == COLLECTION]


def test_a_folder_becomes_a_product_and_the_second_call_does_nothing(
    folder: Path, client: UsgsClient, tmp_path: Path
) -> None:
    quake, house = load_quake(str(folder), client), workshop(LocalStore(tmp_path))
    first = respond(quake, house)
    assert first.new and first.run.state is State.SUCCEEDED and set(first.seconds) >= {"cube", "publish"}
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    second = respond(quake, house)
    assert not second.new and second.item == first.item
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert {p for p in after if after[p] != before.get(p)} <= {tmp_path / ".headscarp-lock"}
    (item,) = crawl(LocalStore(tmp_path))
    assert item.properties["title"].startswith("SYNTHETIC")


def test_the_published_map_is_the_models_where_valid_and_blank_elsewhere(
    folder: Path, world: World, client: UsgsClient, tmp_path: Path
) -> None:
    response = respond(load_quake(str(folder), client), workshop(LocalStore(tmp_path)))
    assert response.item
    place = (tmp_path / response.item).parent
    with rasterio.open(place / "hazard.tif") as hazard, rasterio.open(place / "status.tif") as status:
        values, codes = hazard.read(1), status.read(1)
        assert hazard.transform == status.transform and hazard.crs.to_epsg() == world.grid.crs.epsg
        assert hazard.tags()["SYNTHETIC"] == "YES"
    np.testing.assert_array_equal(np.isfinite(values), codes == Status.VALID)
    assert np.nanmin(values) >= 0.0 and np.nanmax(values) <= 0.2562
    east, north = world.grid.transform.c, world.grid.transform.f
    col = round((east - hazard.transform.c) / 30)
    row = round((hazard.transform.f - north) / 30)
    window = np.s_[row : row + world.grid.shape[0], col : col + world.grid.shape[1]]
    known = np.isfinite(world.elevation)
    np.testing.assert_array_equal(codes[window][known] == Status.SEA, ~world.land[known])
    outside = np.ones(codes.shape, dtype=bool)
    outside[window] = False
    assert set(np.unique(codes[outside])) <= {Status.NODATA}


def test_a_revised_shakemap_supersedes(folder: Path, early_folder: Path, client: UsgsClient, tmp_path: Path) -> None:
    house = workshop(LocalStore(tmp_path))
    early, final = load_quake(str(early_folder), client), load_quake(str(folder), client)
    later = replace(final.shakemap, update_time=early.shakemap.update_time + 60_000)
    first = respond(early, house)
    second = respond(replace(final, shakemap=later), house)
    states = {run.id: run.state for run in house.ledger.runs(early.event.id)}
    assert states == {first.run.id: State.SUPERSEDED, second.run.id: State.SUCCEEDED}
    items = {item.id: item for item in crawl(LocalStore(tmp_path))}
    assert items[first.run.id].properties["deprecated"] is True
    assert items[second.run.id].properties["deprecated"] is False


class Failing(LocalStore):
    """A disk that is full from the n-th write on."""

    def __init__(self, root: Path, writes: int) -> None:
        super().__init__(root)
        self.left = writes

    def _spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise StoreError(f"store {self.url}: cannot write: No space left on device")

    def put(self, key: str, *args: object, **kwargs: object) -> str:
        if key.startswith("catalog/"):
            self._spend()
        return super().put(key, *args, **kwargs)  # type: ignore[arg-type]

    def put_file(self, key: str, *args: object, **kwargs: object) -> None:
        self._spend()
        super().put_file(key, *args, **kwargs)  # type: ignore[arg-type]


def test_a_full_disk_publishes_nothing_half_and_the_same_call_finishes_the_job(
    folder: Path, client: UsgsClient, tmp_path: Path
) -> None:
    quake = load_quake(str(folder), client)
    for writes in range(0, 40, 3):
        store = Failing(tmp_path, writes)
        try:
            done = respond(quake, workshop(store))
        except StoreError:
            assert len(crawl(LocalStore(tmp_path))) <= 1
            run = workshop(store).ledger.find(identify(quake.event.id, quake.shakemap, workshop(store)))
            assert run is not None and run.state is State.FAILED and "No space left" in run.reason
            continue
        break
    else:
        pytest.fail("never finished")
    assert writes > 0
    (item,) = crawl(LocalStore(tmp_path))
    assert item.id == done.run.id


def test_a_cube_of_an_earlier_attempt_is_used_again(folder: Path, client: UsgsClient, tmp_path: Path) -> None:
    quake = load_quake(str(folder), client)
    with pytest.raises(StoreError):
        respond(quake, workshop(Failing(tmp_path, 0)))
    (marker,) = (tmp_path / "cubes").rglob("pga/zarr.json")
    before = marker.stat().st_mtime_ns
    respond(quake, workshop(LocalStore(tmp_path)))
    assert marker.stat().st_mtime_ns == before


def test_another_worker_is_left_alone(folder: Path, client: UsgsClient, tmp_path: Path) -> None:
    quake, house = load_quake(str(folder), client), workshop(LocalStore(tmp_path))
    house.ledger.claim(identify(quake.event.id, quake.shakemap, house))
    with pytest.raises(Busy):
        respond(quake, workshop(LocalStore(tmp_path)))
    assert crawl(LocalStore(tmp_path)) == []


def test_a_store_without_rights_is_an_error_that_names_it(folder: Path, client: UsgsClient) -> None:
    with pytest.raises(StoreError, match="/proc/headscarp"):
        respond(load_quake(str(folder), client), workshop(LocalStore(Path("/proc/headscarp"))))


def test_a_grid_over_the_sea_is_refused_for_good(
    world: World, folder: Path, client: UsgsClient, tmp_path: Path
) -> None:
    quake = load_quake(str(folder), client)
    shifted = quake.shaking.grid.translate_pix(-400, 0)
    adrift = replace(quake, shaking=replace(quake.shaking, grid=shifted))
    house = workshop(LocalStore(tmp_path))
    with pytest.raises(InvalidInput, match=r"land|DEM"):
        respond(adrift, house)
    (run,) = house.ledger.runs(quake.event.id)
    assert run.state is State.INVALID
    with pytest.raises(InvalidInput, match="refused before"):
        respond(adrift, house)
    assert crawl(LocalStore(tmp_path)) == []


@pytest.mark.parametrize(
    ("source", "error"),
    [("not an event", NotAnEvent), ("/no/such/folder", NotAnEvent), ("us9999none", NotFound), ("", NotAnEvent)],
)
def test_what_is_no_event_is_said_to_be_none(source: str, error: type[HeadscarpError], world: World) -> None:
    with ReplayServer((publication(world.event),)) as server:
        server.publish_next()
        with UsgsClient(server.url, timeout_s=5.0) as client, pytest.raises(error):
            load_quake(source, client)


def test_an_event_without_shakemap_says_until_when_it_waits(world: World) -> None:
    origin = datetime(2026, 3, 1, 12, tzinfo=UTC)
    event = replace(world.event, time=origin, updated=origin)
    with ReplayServer((publication(event),)) as server, UsgsClient(server.url, timeout_s=5.0) as client:
        server.publish_next()
        with pytest.raises(NotYet, match="until 2026-03-02 12:00 UTC"):
            load_quake(event.id, client, now=origin + timedelta(hours=1))
        with pytest.raises(NotFound, match="no ShakeMap was made"):
            load_quake(event.id, client, now=origin + timedelta(hours=30))


def released(world: World, name: str, damage: bytes) -> ReplayServer:
    """A replay whose ShakeMap has a damaged file, served with lengths and digests that fit the damage."""
    from headscarp.core.event import ShakeMapId
    from headscarp.io.outputs.usgs_format import release_of_files

    whole = shakemap_release(world.event, world.shaking, ShakeMapId("us", world.event.id, 5))
    files = {path.rpartition("/")[2]: data for path, data in whole.files.items()}
    files = {key: files[key] for key in files if key in {"raster.zip", "info.json"}}
    files[name] = damage or files[name][: len(files[name]) // 2]
    return ReplayServer((publication(world.event, [release_of_files(world.event, files, whole.id)]),))


def test_a_truncated_shakemap_ends_its_claim_as_invalid(world: World, tmp_path: Path) -> None:
    house = workshop(LocalStore(tmp_path))
    with released(world, "raster.zip", b"") as server, UsgsClient(server.url, timeout_s=5.0) as client:
        server.publish_next()
        detail = client.detail(world.event.id)
        assert detail.preferred_shakemap
        claim = house.ledger.claim(identify(world.event.id, detail.preferred_shakemap.id, house))
        with pytest.raises(BadShakeMap, match=r"raster\.zip"):
            respond_to_claim(claim, lambda: load_quake(world.event.id, client), house)
    (run,) = house.ledger.runs(world.event.id)
    assert run.state is State.INVALID and "raster.zip" in run.reason


def test_a_claim_for_an_older_shakemap_is_aborted_and_the_newer_answered(
    folder: Path, client: UsgsClient, tmp_path: Path
) -> None:
    quake, house = load_quake(str(folder), client), workshop(LocalStore(tmp_path))
    older = replace(quake.shakemap, update_time=quake.shakemap.update_time - 1)
    claim = house.ledger.claim(identify(quake.event.id, older, house))
    done = respond_to_claim(claim, lambda: quake, house)
    states = {run.update_time: run.state for run in house.ledger.runs(quake.event.id)}
    assert states == {older.update_time: State.ABORTED, quake.shakemap.update_time: State.SUCCEEDED}
    assert done.run.update_time == quake.shakemap.update_time


def test_usgs_and_folder_agree(folder: Path, world: World, client: UsgsClient, tmp_path: Path) -> None:
    """The same shaking through USGS's files and through a folder gives the same map."""
    from headscarp.core.event import ShakeMapId

    from_folder = load_quake(str(folder), client)
    release = shakemap_release(world.event, world.shaking, ShakeMapId("us", world.event.id, 5))
    with ReplayServer((publication(world.event, [release]),)) as server, UsgsClient(server.url, timeout_s=5.0) as usgs:
        server.publish_next()
        from_usgs: Quake = load_quake(world.event.id, usgs)
    from_usgs = replace(from_usgs, layers=from_folder.layers, lacking=from_folder.lacking)
    maps = []
    for number, quake in enumerate((from_folder, from_usgs)):
        done = respond(quake, workshop(LocalStore(tmp_path / str(number))))
        with rasterio.open((tmp_path / str(number) / str(done.item)).parent / "hazard.tif") as source:
            maps.append(source.read(1))
    np.testing.assert_allclose(maps[0], maps[1], rtol=2e-5)


def test_a_full_disk_under_the_cube_is_the_stores_error(
    folder: Path, client: UsgsClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quake, house = load_quake(str(folder), client), workshop(LocalStore(tmp_path))
    write = Path.write_bytes

    def refuse(path: Path, data: bytes) -> int:
        if "cubes" in path.parts:
            raise OSError(28, "No space left on device")
        return write(path, data)

    with monkeypatch.context() as full:
        full.setattr(Path, "write_bytes", refuse)
        with pytest.raises(StoreError, match="No space left"):
            respond(quake, house)
    (run,) = house.ledger.runs(quake.event.id)
    assert run.state is State.FAILED and "No space left" in run.reason
    assert respond(quake, house).run.attempt == 2


def test_a_worker_that_lost_its_run_publishes_nothing(folder: Path, client: UsgsClient, tmp_path: Path) -> None:
    """It was silent for longer than its lease; another has taken over when it comes to publish."""
    quake = load_quake(str(folder), client)
    house = workshop(LocalStore(tmp_path))
    other = Ledger(
        house.store, lease=timedelta(seconds=30), clock=lambda: datetime.now(UTC) + timedelta(minutes=5), owner="other"
    )

    class Robbed:
        def begin(self, stage: str) -> None:
            if stage == "mask":
                other.claim(identify(quake.event.id, quake.shakemap, house))

        def advance(self, stage: str, done: int, total: int) -> None:
            pass

        def end(self, stage: str, seconds: float) -> None:
            pass

    with pytest.raises(Busy, match="taken over"):
        respond(quake, house, watcher=Robbed())
    assert crawl(LocalStore(tmp_path)) == []


def test_the_identity_changes_with_every_model_and_with_the_sources(
    folder: Path, client: UsgsClient, tmp_path: Path
) -> None:
    quake, house = load_quake(str(folder), client), workshop(LocalStore(tmp_path))
    two = replace(house, predictors=(NowickiJessee(), NowickiJessee()))
    other = replace(house, registry=SourceRegistry({}, {"soil": "not here"}))
    names = {str(identify(quake.event.id, quake.shakemap, each)) for each in (house, two, other)}
    assert len(names) == 3


def test_a_crash_between_publishing_and_superseding_is_mended_by_the_same_call(
    folder: Path, early_folder: Path, client: UsgsClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = workshop(LocalStore(tmp_path))
    early, final = load_quake(str(early_folder), client), load_quake(str(folder), client)
    final = replace(final, shakemap=replace(final.shakemap, update_time=early.shakemap.update_time + 1))
    respond(early, house)
    with monkeypatch.context() as crash:
        crash.setattr(Ledger, "supersede", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            respond(final, house)
    assert {run.state for run in house.ledger.runs(early.event.id)} == {State.SUCCEEDED}
    respond(final, house)
    assert {run.state for run in house.ledger.runs(early.event.id)} == {State.SUCCEEDED, State.SUPERSEDED}
