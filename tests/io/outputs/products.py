"""Small products with known values, a store that fails on demand, and a reader that believes nothing."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyproj
import pystac
import rasterio
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pystac.validation import RegisteredValidator, validate_dict
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from zarr.abc.store import Store as ZarrStore

from headscarp.core.event import Event, RunId, ShakeMapId
from headscarp.core.status import Status
from headscarp.errors import StoreUnavailable
from headscarp.io.outputs.product import COLLECTION, ROOT_KEY, ModelMap, Product
from headscarp.io.store import BINARY_TYPE, JSON_TYPE, Store

ORIGIN = datetime(2026, 11, 22, 6, 10, 4, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 6, 40, tzinfo=UTC)
HEIGHT, WIDTH = 120, 160


def grid_at(epsg: int = 32634, x: float = 500000.0, y: float = 4300020.0) -> GeoBox:
    return GeoBox(wh_(WIDTH, HEIGHT), Affine(30.0, 0.0, x, 0.0, -30.0, y), f"EPSG:{epsg}")


def write_raster(path: Path, data: np.ndarray, grid: GeoBox, nodata: float) -> Path:
    profile = {"driver": "GTiff", "height": data.shape[0], "width": data.shape[1], "count": 1, "dtype": data.dtype}
    with rasterio.open(path, "w", crs=str(grid.crs), transform=grid.transform, nodata=nodata, **profile) as file:
        file.write(data, 1)
    return path


def score_and_status() -> tuple[np.ndarray, np.ndarray]:
    """Scores with one hot square in the south-east; the western quarter is sea, one corner lacks an input."""
    score = np.full((HEIGHT, WIDTH), 0.15, np.float32)
    score[80:100, 100:140] = 0.9
    status = np.full((HEIGHT, WIDTH), Status.VALID, np.uint8)
    status[:, :40] = Status.SEA
    status[:10, 150:] = Status.NODATA
    score[status != Status.VALID] = np.nan
    return score, status


def make_product(
    folder: Path,
    *,
    event: str = "us7000test",
    update_time: int = 1_000,
    synthetic: bool = False,
    with_usgs: bool = True,
    grid: GeoBox | None = None,
    title: str = "M 7.1 - 12 km W of Testville",
    **changes: Any,
) -> Product:
    """A product whose rasters lie in `folder`; they do not depend on event or version."""
    folder.mkdir(parents=True, exist_ok=True)
    grid = grid or grid_at()
    score, status = score_and_status()
    maps = [ModelMap("fcn-small", "1.0", "score", write_raster(folder / "score.tif", score, grid, np.nan), ("soil",))]
    if with_usgs:
        path = write_raster(folder / "usgs.tif", score / 10, grid, np.nan)
        maps.append(ModelMap("nowicki_jessee_2018", "1", "coverage", path))
    labels = tuple(item.label for item in maps)
    content: dict[str, Any] = {
        "run": RunId(event, ShakeMapId("us", event, update_time), labels, "0123456789abcdef"),
        "event": Event(event, title, ORIGIN, 7.1, 21.02, 38.83, 12.0, url="https://earthquake.usgs.gov/earthquakes/x"),
        "grid": grid,
        "cut_by_shakemap_edge": False,
        "maps": tuple(maps),
        "status": write_raster(folder / "status_in.tif", status, grid, 0),
        "peak_pga": 0.83,
        "shakemap": {"version": "3"},
        "lineage": {"headscarp:missing": {"soil": "no source"}},
        "timings": {"cube": 1.5},
        "synthetic": synthetic,
    }
    return Product(**(content | changes))


class FailingStore(Store):
    """A store whose n-th write fails, before it happens or after it has happened (the answer is lost)."""

    def __init__(self, inner: Store, fail_at: int | None = None, *, after: bool = False) -> None:
        self.inner, self.url = inner, inner.url
        self.fail_at, self.after, self.writes = fail_at, after, 0

    def _write(self, name: str, *arguments: Any) -> Any:
        self.writes += 1
        failing = self.writes == self.fail_at
        if failing and not self.after:
            raise StoreUnavailable(f"write {self.writes} refused")
        answer = getattr(self.inner, name)(*arguments)
        if failing:
            raise StoreUnavailable(f"answer to write {self.writes} lost")
        return answer

    def put(self, key: str, data: bytes, content_type: str = BINARY_TYPE) -> str:
        return str(self._write("put", key, data, content_type))

    def create(self, key: str, data: bytes, content_type: str = JSON_TYPE) -> str:
        return str(self._write("create", key, data, content_type))

    def replace(self, key: str, data: bytes, tag: str, content_type: str = JSON_TYPE) -> str:
        return str(self._write("replace", key, data, tag, content_type))

    def put_file(self, key: str, path: Path, content_type: str = BINARY_TYPE) -> None:
        self._write("put_file", key, path, content_type)

    def get(self, key: str) -> tuple[bytes, str]:
        return self.inner.get(key)

    def exists(self, key: str) -> bool:
        return self.inner.exists(key)

    def list(self, prefix: str = "") -> Iterator[str]:
        return self.inner.list(prefix)

    def delete(self, prefix: str) -> None:
        self.inner.delete(prefix)

    def address(self, key: str) -> str:
        return self.inner.address(key)

    def zarr(self, key: str, *, read_only: bool = False) -> ZarrStore:
        return self.inner.zarr(key, read_only=read_only)


class Reader:
    """Crawls a catalogue from its root and checks all that it meets."""

    checked: ClassVar[set[str]] = set()
    """Digests of objects found valid."""

    def __init__(self, store: Store, schemas: Path | None = None) -> None:
        self.store = store
        self.schemas = schemas
        if schemas is not None:
            validator = JsonSchemaSTACValidator()
            projjson = Path(pyproj.datadir.get_data_dir()) / "projjson.schema.json"  # the datacube schema refers to it
            for path in (*sorted(schemas.glob("*.json")), projjson):
                schema = json.loads(path.read_text())
                validator.schema_cache[schema["$id"].rstrip("#")] = schema
            RegisteredValidator.set_validator(validator)

    def items(self, collection: str = COLLECTION) -> dict[str, dict[str, Any]]:
        """Items of a collection by id; nothing if there is no root yet. Those of other collections are checked too."""
        if not self.store.exists(ROOT_KEY):
            return {}
        found = list(self._below(ROOT_KEY))
        ids = [item["id"] for item in found]
        assert len(ids) == len(set(ids))
        return {item["id"]: item for item in found if item["collection"] == collection}

    def _below(self, key: str) -> Iterator[dict[str, Any]]:
        document = self.document(key)
        for link in document["links"]:
            if link["rel"] in {"child", "item"}:
                yield from self._below(resolve(key, link["href"]))
        if document["type"] == "Feature":
            self._check_assets(key, document)
            yield document

    def document(self, key: str) -> dict[str, Any]:
        """A STAC object that is valid and whose relative links all lead somewhere."""
        data = self.store.read(key)
        document: dict[str, Any] = json.loads(data)
        self._validate(data, document)
        for link in document["links"]:
            if "://" not in link["href"]:
                target = resolve(key, link["href"])
                there = self.store.exists(target) or self.store.exists(f"{target}/zarr.json")
                assert there, f"{key}: {link['rel']} -> {target}"
            assert link["rel"] in {"cite-as"} or link.get("title"), link
        return document

    def _validate(self, data: bytes, document: dict[str, Any]) -> None:
        digest = hashlib.sha256(data).hexdigest()
        if self.schemas is not None and digest not in self.checked:
            checked = validate_dict(document)
            assert len(checked) == 1 + len(document.get("stac_extensions", []))
            self.checked.add(digest)

    def _check_assets(self, key: str, item: dict[str, Any]) -> None:
        for asset in item["assets"].values():
            if asset["type"].startswith("application/vnd.zarr"):
                assert self.store.exists(f"{resolve(key, asset['href'])}/zarr.json")
                continue
            data = self.store.read(resolve(key, asset["href"]))
            assert len(data) == asset["file:size"]
            assert asset["file:checksum"] == "1220" + hashlib.sha256(data).hexdigest()


def resolve(key: str, href: str) -> str:
    """Key that a relative link leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(key), href.partition("#")[0]))


def links(document: dict[str, Any], relation: str) -> list[str]:
    """Targets of one relation."""
    return [link["href"] for link in document["links"] if link["rel"] == relation]


def assert_settled(reader: Reader, event_key: str, newest: str, order: list[str]) -> None:
    """The event's versions stand in this order, each linked to its neighbours, `newest` the latest."""
    items = {key: item for key, item in reader.items().items() if key in order}
    assert set(items) == set(order)
    for place, run in enumerate(order):
        item = items[run]
        before = [f"../{order[place - 1]}/{order[place - 1]}.json"] if place else []
        after = [f"../{order[place + 1]}/{order[place + 1]}.json"] if place + 1 < len(order) else []
        assert links(item, "predecessor-version") == before
        assert links(item, "successor-version") == after
        assert links(item, "latest-version") == ([f"../{newest}/{newest}.json"] if after else [])
        assert item["properties"]["deprecated"] is bool(after)
    catalog = reader.document(event_key)
    assert links(catalog, "latest-version") == [f"./{newest}/{newest}.json"]
    assert links(catalog, "item") == [f"./{run}/{run}.json" for run in reversed(order)]
    assert pystac.Catalog.from_dict(catalog).id
