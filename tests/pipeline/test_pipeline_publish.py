"""Publishing that is stopped at every write, repeated, reordered and raced, seen by a reader who checks all."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headscarp.core.event import RunId
from headscarp.errors import InvalidInput, StoreUnavailable
from headscarp.io.outputs.product import COLLECTION_KEY, ROOT_KEY, Product, event_key, item_key
from headscarp.io.store import LocalStore, Store
from headscarp.pipeline.page import publish_page
from headscarp.pipeline.publish import publish
from headscarp.viewer import PageFile
from tests.io.outputs.products import NOW, FailingStore, Reader, assert_settled, make_product

EVENT = "us7000test"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """An empty store with a map page."""
    made = LocalStore(tmp_path / "store")
    put_page(made)
    return made


def put_page(store: Store) -> None:
    store.put("catalog/index.html", b"<!doctype html>", "text/html")


def send(product: Product, store: Store, scratch: Path, **changes: Any) -> str:
    arguments: dict[str, Any] = {"scratch": scratch, "public_url": None, "now": NOW, "threads": 1}
    return publish(product, store, **(arguments | changes))


def test_one_product(store: LocalStore, tmp_path: Path, shared_schemas: Path) -> None:
    product = make_product(tmp_path / "in")
    key = send(product, store, tmp_path / "scratch", public_url="https://maps.example.org/catalog/")
    assert key == item_key(EVENT, str(product.run))
    reader = Reader(store, shared_schemas)
    item = reader.items()[str(product.run)]
    assert sorted(item["assets"]) == [
        "hazard",
        "status",
        "status_tiles",
        "thumbnail",
        "tilejson",
        "tiles",
        "usgs",
        "usgs_tiles",
        "visual",
    ]
    assert_settled(reader, event_key(EVENT), str(product.run), [str(product.run)])
    root = json.loads(store.read(ROOT_KEY))
    assert [link["href"] for link in root["links"] if link["rel"] == "self"] == [
        "https://maps.example.org/catalog/catalog.json"
    ]


def test_publishing_again_writes_nothing(store: LocalStore, tmp_path: Path) -> None:
    product = make_product(tmp_path / "in")
    counting = FailingStore(store)
    send(product, counting, tmp_path / "scratch")
    first = counting.writes
    before = {key: store.read(key) for key in store.list()}
    send(product, counting, tmp_path / "scratch", now=NOW + timedelta(hours=1))
    assert counting.writes == first
    assert {key: store.read(key) for key in store.list()} == before


@pytest.mark.parametrize(
    ("earlier", "after", "writes"),
    [(0, False, 8 + 4), (1, False, 6 + 3), (1, True, 6 + 3)],
    ids=["first version, refused", "second version, refused", "second version, answer lost"],
)
def test_a_stop_at_any_write_leaves_nothing_half_visible_and_is_made_good(
    tmp_path: Path, shared_schemas: Path, earlier: int, after: bool, writes: int
) -> None:
    products = [make_product(tmp_path / "in", update_time=1000 + n, with_usgs=not n) for n in range(earlier + 1)]
    order = [str(product.run) for product in products]
    before = LocalStore(tmp_path / "before")
    put_page(before)
    for product in products[:-1]:
        send(product, before, tmp_path / "scratch")
    crash = 0
    while True:
        crash += 1
        store = LocalStore(shutil.copytree(tmp_path / "before", tmp_path / f"store{crash}"))
        reader = Reader(store, shared_schemas)
        failing = FailingStore(store, crash, after=after)
        try:
            send(products[-1], failing, tmp_path / "scratch")
        except StoreUnavailable:
            seen = set(reader.items())
            assert seen in (set(order[:-1]), set(order))
        else:
            break
        send(products[-1], store, tmp_path / "scratch", now=NOW + timedelta(minutes=5))
        assert_settled(reader, event_key(EVENT), order[-1], order)
        stray = [key for key in store.list() if ".headscarp-" in key and not key.endswith("lock")]
        assert stray == []
    assert crash - 1 == writes


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations([1000, 2000, 3000]),
    crashes=st.lists(st.integers(1, 15), min_size=3, max_size=3),
    after=st.booleans(),
)
def test_versions_stand_in_the_order_of_their_shakemaps_however_they_arrive(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], crashes: list[int], after: bool
) -> None:
    folder = tmp_path_factory.mktemp("any")
    store = LocalStore(folder / "store")
    put_page(store)
    reader = Reader(store)
    done: list[int] = []
    for update_time, crash in zip(order, crashes, strict=True):
        product = make_product(folder / "in", update_time=update_time, with_usgs=False, title=f"M {update_time}")
        try:
            send(product, FailingStore(store, crash, after=after), folder / "scratch")
        except StoreUnavailable:
            reader.items()
            send(product, store, folder / "scratch")
        done.append(update_time)
        runs = [str(run_at(product, t)) for t in sorted(done)]
        assert_settled(reader, event_key(EVENT), runs[-1], runs)
        assert json.loads(store.read(event_key(EVENT)))["title"] == f"M {max(done)}"


def run_at(product: Product, update_time: int) -> RunId:
    """The run for another ShakeMap of the same event."""
    return replace(product.run, shakemap=replace(product.run.shakemap, update_time=update_time))


def test_eight_events_at_once(store: LocalStore, tmp_path: Path, shared_schemas: Path) -> None:
    products = [make_product(tmp_path / f"in{n}", event=f"us{n}", with_usgs=False) for n in range(8)]
    race(products, store, tmp_path)
    assert set(Reader(store, shared_schemas).items()) == {str(product.run) for product in products}
    children = [link["href"] for link in json.loads(store.read(COLLECTION_KEY))["links"] if link["rel"] == "child"]
    assert children == [f"./us{n}/catalog.json" for n in range(8)]


def test_eight_versions_of_one_event_at_once(store: LocalStore, tmp_path: Path, shared_schemas: Path) -> None:
    products = [make_product(tmp_path / f"in{n}", update_time=1000 + n, with_usgs=False) for n in range(8)]
    race(products, store, tmp_path)
    runs = [str(product.run) for product in products]
    assert_settled(Reader(store, shared_schemas), event_key(EVENT), runs[-1], runs)


@pytest.mark.service
def test_eight_at_once_on_s3(s3_store: Any, tmp_path: Path, shared_schemas: Path) -> None:
    store = s3_store.store()
    put_page(store)
    versions = [make_product(tmp_path / f"in{n}", update_time=1000 + n, with_usgs=False) for n in range(4)]
    others = [make_product(tmp_path / f"other{n}", event=f"us{n}", with_usgs=False) for n in range(4)]
    race([*versions, *others], store, tmp_path)
    runs = [str(product.run) for product in versions]
    reader = Reader(store, shared_schemas)
    assert set(reader.items()) == {*runs, *(str(product.run) for product in others)}
    assert_settled(reader, event_key(EVENT), runs[-1], runs)
    head = store.client.head_object(Bucket=store.bucket, Key=f"{store.prefix}/{item_key(EVENT, runs[0])}")
    assert head["ContentType"] == "application/geo+json"
    hazard = item_key(EVENT, runs[0]).rpartition("/")[0] + "/hazard.tif"
    head = store.client.head_object(Bucket=store.bucket, Key=f"{store.prefix}/{hazard}")
    assert head["ContentType"] == "image/tiff; application=geotiff; profile=cloud-optimized"


def test_one_product_published_by_four_at_once(store: LocalStore, tmp_path: Path) -> None:
    product = make_product(tmp_path / "in", with_usgs=False)
    race([product] * 4, store, tmp_path)
    assert_settled(Reader(store), event_key(EVENT), str(product.run), [str(product.run)])


def race(products: list[Product], store: Store, folder: Path) -> None:
    with ThreadPoolExecutor(len(products)) as pool:
        futures = [
            pool.submit(send, product, store, folder / f"scratch{n}", now=NOW + timedelta(seconds=n))
            for n, product in enumerate(products)
        ]
        for future in futures:
            future.result()


def test_lost_assets_are_made_again(store: LocalStore, tmp_path: Path) -> None:
    product = make_product(tmp_path / "in")
    key = send(product, store, tmp_path / "scratch")
    before = store.read(key)
    store.delete(key.replace(f"{product.run}.json", "hazard.tif"))
    send(product, store, tmp_path / "scratch", now=NOW + timedelta(hours=1))
    assert store.read(key) == before
    assert set(Reader(store).items()) == {str(product.run)}


def test_a_product_with_nan_among_its_facts_is_refused_and_not_visible(store: LocalStore, tmp_path: Path) -> None:
    product = make_product(tmp_path / "in", peak_pga=float("nan"))
    with pytest.raises(InvalidInput, match="NaN"):
        send(product, store, tmp_path / "scratch")
    assert Reader(store).items() == {}


def test_the_map_page_goes_out_in_order_with_its_types(tmp_path: Path) -> None:
    class Recording(LocalStore):
        def __init__(self, root: Path) -> None:
            super().__init__(root)
            self.types: dict[str, str] = {}

        def put_file(self, key: str, path: Path, content_type: str = "") -> None:
            self.types[key] = content_type
            super().put_file(key, path, content_type)

    script, index = tmp_path / "main.js", tmp_path / "index.html"
    script.write_text("export {}")
    index.write_text("<!doctype html>")
    store = Recording(tmp_path / "store")
    files = [PageFile("viewer/app/main.js", script, "text/javascript"), PageFile("index.html", index, "text/html")]
    assert publish_page(store, files) == ("catalog/viewer/app/main.js", "catalog/index.html")
    assert store.types == {"catalog/viewer/app/main.js": "text/javascript", "catalog/index.html": "text/html"}
    assert store.read("catalog/viewer/app/main.js") == b"export {}"
