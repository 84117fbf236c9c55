"""Publish one product: assets, item, links between versions, event catalogue, collection, root, in that order.

The cube it was made from goes before it, so that the product's item can link to the cube's.
A reader who starts at the root finds complete items only, whenever the publisher stops; publishing the same
product again completes what a stop left open. Concurrent publishers are kept apart by conditional writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from headscarp.core.event import Event
from headscarp.core.pci.table import Table
from headscarp.core.types import Attributes
from headscarp.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from headscarp.io.cubes.cube import Cube
from headscarp.io.outputs.assets import render
from headscarp.io.outputs.catalog import collection, event_catalog, relisted, root_catalog, versions_of
from headscarp.io.outputs.cubes import build_cube_item, cube_collection
from headscarp.io.outputs.item import build_item
from headscarp.io.outputs.product import (
    COLLECTION_KEY,
    CUBES_KEY,
    ROOT_KEY,
    ModelMap,
    Product,
    cube_item_key,
    cube_key,
    event_key,
    item_folder,
    item_key,
)
from headscarp.io.outputs.versions import Version, linked
from headscarp.io.store import JSON_TYPE, Store

__all__ = ["ModelMap", "Product", "publish", "publish_cube"]

GEOJSON_TYPE = "application/geo+json"
ATTEMPTS = 60
Change = Callable[[Attributes | None], Attributes]


def publish(
    product: Product, store: Store, *, scratch: Path, public_url: str | None, now: datetime, threads: int = 2
) -> str:
    """Publish, or complete the publishing of, a product.

    An item that exists with all its assets is left as it is, apart from its links to other versions.

    Args:
        product: What to publish.
        store: Where to.
        scratch: Folder for the files while they are made; left as it is found, but for these.
        public_url: HTTP address of the store's `catalog/` folder, None if not known.
        now: Time of publishing, for `created`.
        threads: For compression.

    Returns:
        The item's key.

    Raises:
        BadRaster: a map cannot be read or is of the wrong kind.
        StoreError: the store refuses, or loses every one of a bounded number of races.
        StoreUnavailable: the store does not answer.
    """
    event, run = product.run.event, str(product.run)
    key = item_key(event, run)
    if not _complete(store, key):
        _put_item(product, store, key, scratch=scratch, public_url=public_url, now=now, threads=threads)
    catalog = _settle_versions(product, store, key)
    item = json.loads(store.read(key))
    _edit(store, COLLECTION_KEY, lambda current: collection(current, item, catalog))
    _edit(store, ROOT_KEY, lambda _: root_catalog(public_url, with_cubes=store.exists(CUBES_KEY)))
    return key


def publish_cube(cube: Cube, event: Event, table: Table, store: Store, *, now: datetime) -> str:
    """List a finished cube in the catalogue: its item, then the collection; the root follows with the next product.

    An item that exists is left as it is, as its cube is.

    Args:
        cube: As it was finished in `store`.
        event: What it was built for.
        table: What it was built with.
        store: Where to.
        now: Time of publishing, for `created`.

    Returns:
        The item's key.

    Raises:
        InvalidInput: the cube was built with another table.
        StoreError, StoreUnavailable: as `publish`.
    """
    key = cube_item_key(cube.key)
    made = build_cube_item(cube, event, table, store, now=now).to_dict(include_self_link=False, transform_hrefs=False)
    _edit(store, key, lambda current: current or made, GEOJSON_TYPE)
    item = json.loads(store.read(key))
    _edit(store, CUBES_KEY, lambda current: cube_collection(current, item))
    return key


def _complete(store: Store, key: str) -> bool:
    """Whether an item stands at `key` and all its assets stand beside it."""
    try:
        item = json.loads(store.read(key))
    except NotFound:
        return False
    folder = key.rpartition("/")[0]
    return all(store.exists(f"{folder}/{asset['href'].removeprefix('./')}") for asset in item["assets"].values())


def _put_item(
    product: Product,
    store: Store,
    key: str,
    *,
    scratch: Path,
    public_url: str | None,
    now: datetime,
    threads: int,
) -> None:
    """Make and upload the assets, then the item, which links to nothing that is not there."""
    event, run = product.run.event, str(product.run)
    rendered = render(product, scratch / run, public_url=public_url, threads=threads)
    for file in rendered.files:
        store.put_file(f"{item_folder(event, run)}/{file.path.name}", file.path, file.media_type)
    with_cube = store.exists(cube_item_key(cube_key(event, run)))
    item = build_item(product, rendered, now=now, with_cube=with_cube).to_dict(
        include_self_link=False, transform_hrefs=False
    )
    versions = _merged(versions_of(_read(store, event_key(event))[0]), Version.of_item(item))
    _edit(
        store,
        key,
        lambda current: linked(item, versions) if current is None else _repaired(current, item),
        GEOJSON_TYPE,
    )


def _repaired(current: Attributes, made: Attributes) -> Attributes:
    """An item that another publisher created, or whose assets were lost, with the assets just uploaded."""
    return {**current, "assets": made["assets"]}


def _settle_versions(product: Product, store: Store, key: str) -> Attributes:
    """List the item in its event's catalogue, and set the links of all its versions; returns the catalogue.

    The catalogue's conditional write is what orders concurrent publishers: links set from a list that
    turns out to be old are set again from the new one.
    """
    own = Version.of_item(json.loads(store.read(key)))

    def attempt() -> Attributes:
        where = event_key(product.run.event)
        current, tag = _read(store, where)
        versions = _merged(versions_of(current), own)
        for version in versions:
            _relink(store, item_key(product.run.event, version.id), versions)
        wanted = _event_document(product, current, versions, own)
        if wanted != current:
            _write(store, where, wanted, tag, JSON_TYPE)
        elif _read(store, where)[1] != tag:
            raise Conflict(f"store {store.url}: {where!r} changed meanwhile")
        return wanted

    return _retrying()(attempt)


def _merged(versions: list[Version], own: Version) -> list[Version]:
    return sorted([*(version for version in versions if version.id != own.id), own])


def _event_document(product: Product, current: Attributes | None, versions: list[Version], own: Version) -> Attributes:
    """The newest version describes the event."""
    if current is None or versions[-1] == own:
        return event_catalog(product.event, versions, synthetic=product.synthetic)
    return relisted(current, versions)


def _relink(store: Store, key: str, versions: list[Version]) -> None:
    """Set one item's links to the other versions."""

    def change(current: Attributes | None) -> Attributes:
        if current is None:
            raise NotFound(f"store {store.url}: no item {key!r}, though its event's catalogue lists it")
        return linked(current, versions)

    _edit(store, key, change, GEOJSON_TYPE)


def _edit(store: Store, key: str, change: Change, content_type: str = JSON_TYPE) -> None:
    """Replace a JSON object by a function of itself, however many others do the same; no write without a change."""

    def attempt() -> None:
        current, tag = _read(store, key)
        wanted = change(current)
        if wanted != current:
            _write(store, key, wanted, tag, content_type)

    _retrying()(attempt)


def _retrying() -> Retrying:
    """A lost race is run again, after a random wait, a bounded number of times."""
    return Retrying(
        retry=retry_if_exception_type((AlreadyExists, Conflict)),
        wait=wait_random_exponential(multiplier=0.02, max=1.0),
        stop=stop_after_attempt(ATTEMPTS),
        reraise=True,
    )


def _read(store: Store, key: str) -> tuple[Attributes | None, str | None]:
    """A JSON object and its tag; (None, None) where nothing stands."""
    try:
        data, tag = store.get(key)
    except NotFound:
        return None, None
    return json.loads(data), tag


def _write(store: Store, key: str, document: Attributes, tag: str | None, content_type: str) -> None:
    try:
        data = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise InvalidInput(f"{key}: expected JSON values, found NaN or infinity among its properties") from error
    if tag is None:
        store.create(key, data, content_type)
    else:
        store.replace(key, data, tag, content_type)
