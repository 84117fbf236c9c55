"""Cubes in the catalogue: a STAC item with datacube fields for each, and the collection that lists them.

The data stay where the cube is, which no reader without the store's key can open unless the operator
has opened that prefix; the item says where they are, what they hold and under which terms.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from odc.geo.geobox import GeoBox
from pystac import Asset, Collection, Item, Link, MediaType, Provider
from pystac.provider import ProviderRole

import headscarp
from headscarp.core.event import Event
from headscarp.core.grid import Bounds
from headscarp.core.pci.table import Row, Table
from headscarp.core.types import Attributes
from headscarp.errors import InvalidInput
from headscarp.io.cubes.cube import Cube
from headscarp.io.outputs.catalog import extent_with, with_links
from headscarp.io.outputs.geography import geojson, outline, wrapped_bbox
from headscarp.io.outputs.item import without_local_paths
from headscarp.io.outputs.product import CUBES, CUBES_TITLE, cube_item_key, timestamp
from headscarp.io.store import Store
from headscarp.tables.legends import LEGENDS

ZARR = f"{MediaType.VND_ZARR}; version=3"
EXTENSIONS = [
    "https://stac-extensions.github.io/datacube/v2.3.0/schema.json",
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
]
ACCESS = "The data are read with the store's key; without it only where the operator has opened this prefix."
DESCRIPTION = f"""\
What the models saw: every control indicator of an event on one 30 m UTM grid, in physical units, as Zarr v3 with CF and
GeoZarr attributes. Layers that do not change with the event are kept once per UTM zone and shared by its events;
each item names both groups, which align pixel by pixel. Of the zone's group a cube is made of the blocks that
`headscarp:blocks` names (row and column, `headscarp:block` pixels a side, with their digests), without those that
`headscarp:holes` names for a channel; the others were made for other events.

Each cube holds data of several providers under their own licences: see `headscarp:sources` of the item. {ACCESS}
"""


def build_cube_item(cube: Cube, event: Event, table: Table, store: Store, *, now: datetime) -> Item:
    """The item of a finished cube; its geometry is the grid's outline, `datetime` the event's origin time.

    Raises:
        InvalidInput: `table` is not the one the cube was built with, or its grid has no EPSG code.
    """
    found = cube.attributes["headscarp:table"]["digest"]
    if found != table.digest:
        raise InvalidInput(f"cube {cube.key}: expected table {table.name} {table.digest}, found {found}")
    key = cube_item_key(cube.key)
    shape = outline(cube.grid)
    item = Item(
        id=posixpath.basename(key).removesuffix(".json"),
        geometry=geojson(shape),
        bbox=wrapped_bbox(Bounds(*shape.bounds)),
        datetime=event.time,
        properties=_properties(cube, event, table, now),
        stac_extensions=list(EXTENSIONS),
        collection=CUBES,
        assets=dict(_assets(cube, table, store, posixpath.dirname(key))),
    )
    item.add_links(list(_links(item, event, cube)))
    return item


def _properties(cube: Cube, event: Event, table: Table, now: datetime) -> Attributes:
    attributes = cube.attributes
    return {
        "title": attributes["title"],
        "description": f"Control indicators of the table `{table.name}` for {event.title}. {ACCESS}",
        "created": timestamp(now),
        "license": "other",
        "processing:level": "L3",
        "processing:version": headscarp.__version__,
        "processing:software": {"headscarp": headscarp.__version__},
        **_projection(cube.grid),
        "cube:dimensions": dimensions(cube.grid),
        "cube:variables": variables(table),
        "headscarp:event": event.id,
        "headscarp:synthetic": event.synthetic,
        "headscarp:table": attributes["headscarp:table"],
        "headscarp:missing": dict(cube.missing),
        "headscarp:sources": _sources(attributes),
        **{name: attributes[name] for name in _FACTS if name in attributes},
    }


_FACTS = (
    "headscarp:land_km2",
    "headscarp:valid_fraction",
    "headscarp:cut_by_shakemap_edge",
    "headscarp:dem_after_event",
    "headscarp:content_digest",
)


def dimensions(grid: GeoBox) -> Attributes:
    """The axes after the datacube extension; extents are those of pixel centres, as the coordinates in the group are.

    Raises:
        InvalidInput: the grid has no EPSG code.
    """
    t, epsg = grid.transform, _epsg(grid)
    x = (t.c + 0.5 * t.a, t.c + (grid.shape.x - 0.5) * t.a)
    y = (t.f + 0.5 * t.e, t.f + (grid.shape.y - 0.5) * t.e)
    axes = {"x": ("easting", x, t.a), "y": ("northing", y, t.e)}
    return {
        axis: {
            "type": "spatial",
            "axis": axis,
            "description": f"{name} of pixel centres",
            "extent": sorted(ends),
            "step": step,
            "unit": "m",
            "reference_system": epsg,
        }
        for axis, (name, ends, step) in axes.items()
    }


def variables(table: Table) -> Attributes:
    """Every channel after the datacube extension, as it reads once CF scaling is undone."""
    return {channel: _variable(table[channel], channel) for channel in table.channels}


def _variable(row: Row, channel: str) -> Attributes:
    part = f" ({channel})" if len(row.outputs) > 1 else ""
    described: Attributes = {
        "variable_type": "data" if row.role == "feature" else "auxiliary",
        "dimensions": ["y", "x"],
        "description": row.long_name + part,
        "headscarp:per": row.per,
    }
    if row.kind == "categorical":
        legend = LEGENDS.get(row.legend or "", {})
        named = {"values": list(legend), "headscarp:legend": {str(code): name for code, name in legend.items()}}
        return described | {"data_type": "uint8", "nodata": 0} | (named if legend else {})
    extent = {"extent": list(row.valid)} if row.valid else {}
    return described | {
        "unit": "1" if row.units == "ln" else row.units,
        "data_type": "float32",
        "nodata": "nan",
        **extent,
    }


def _assets(cube: Cube, table: Table, store: Store, folder: str) -> Iterator[tuple[str, Asset]]:
    """The event's own group, and the zone's group that holds what does not change with the event."""
    lattice = cube.attributes.get("headscarp:lattice")
    own = [c for c in table.channels if lattice is None or table[c].per == "event"]
    title = "Cube of the event" if lattice is None else "Channels of the event"
    yield "cube", _asset(cube.key, title, own, store, folder)
    if lattice is not None:
        shared = [c for c in table.channels if table[c].per == "static"]
        asset = _asset(lattice["key"], "Static channels of the whole UTM zone", shared, store, folder)
        asset.extra_fields |= {f"headscarp:{name}": lattice[name] for name in ("block", "blocks", "holes")}
        yield "lattice", asset


def _asset(key: str, title: str, channels: list[str], store: Store, folder: str) -> Asset:
    address = store.address(key)
    shown = {"headscarp:address": address} if "://" in address else {}
    fields = {"headscarp:channels": channels, "headscarp:access": ACCESS, **shown}
    return Asset(posixpath.relpath(key, folder), title, None, ZARR, ["data"], fields)


def _links(item: Item, event: Event, cube: Cube) -> Iterator[Link]:
    yield Link("root", "../../catalog.json", str(MediaType.JSON), "Root catalogue")
    yield Link("parent", "../collection.json", str(MediaType.JSON), CUBES_TITLE)
    yield Link("collection", "../collection.json", str(MediaType.JSON), CUBES_TITLE)
    for asset in item.assets.values():
        yield Link("store", asset.href, ZARR, asset.title)
    if event.url is not None:
        yield Link("via", event.url, str(MediaType.HTML), "The event at its author's")
    for layer, source in _sources(cube.attributes).items():
        terms = {f"headscarp:{name}": source[name] for name in ("licence", "attribution") if name in source}
        for address in _addresses(source):
            yield Link("derived_from", address, None, f"Source of {layer}", extra_fields=terms)


def _sources(attributes: Mapping[str, Any]) -> dict[str, Attributes]:
    """Where each layer came from and under which terms, without paths of this machine; files are in the cube itself."""
    known: Attributes = without_local_paths(attributes.get("headscarp:sources", {}))
    return {layer: {k: v for k, v in source.items() if k != "files"} for layer, source in known.items()}


def _addresses(source: Attributes) -> Iterator[str]:
    """The web address of a source; patterns of tiles are no addresses."""
    href = str(source.get("href", ""))
    if href.startswith(("https://", "http://")) and "{" not in href:
        yield href


def _epsg(grid: GeoBox) -> int:
    if grid.crs is None or grid.crs.epsg is None:
        raise InvalidInput(f"expected a grid with an EPSG code, found {grid.crs}")
    return int(grid.crs.epsg)


def _projection(grid: GeoBox) -> Attributes:
    return {
        "proj:code": f"EPSG:{_epsg(grid)}",
        "proj:shape": [int(v) for v in grid.shape],
        "proj:transform": [float(v) for v in tuple(grid.transform)[:6]],
        "proj:bbox": [float(v) for v in grid.boundingbox.bbox],
    }


def cube_collection(current: Attributes | None, item: Attributes) -> Attributes:
    """The collection of cubes with a link to one more item, and an extent that holds it.

    Args:
        current: The collection as it stands.
        item: STAC item of a cube.
    """
    known = Collection.from_dict(current, migrate=False) if current is not None else None
    listed = {link.href: link for link in (known.links if known is not None else []) if link.rel == "item"}
    href = f"./{item['id']}/{item['id']}.json"
    listed[href] = Link("item", href, str(MediaType.GEOJSON), item["properties"]["title"])
    fresh = Collection(
        id=CUBES,
        title=CUBES_TITLE,
        description=DESCRIPTION,
        extent=extent_with(known, item),
        license="other",
        keywords=["landslide", "terrain", "data cube", "Zarr", "GeoZarr"],
        providers=[Provider("headscarp", "Builds the cubes", [ProviderRole.PROCESSOR])],
        extra_fields={"item_assets": _item_assets()},
    )
    return with_links(fresh, [*_collection_links(), *(listed[key] for key in sorted(listed))])


def _item_assets() -> Attributes:
    group = {"type": ZARR, "roles": ["data"]}
    return {
        "cube": {"title": "Channels of the event", **group},
        "lattice": {"title": "Static channels of the whole UTM zone", **group},
    }


def _collection_links() -> list[Link]:
    return [
        Link("root", "../catalog.json", str(MediaType.JSON), "headscarp"),
        Link("parent", "../catalog.json", str(MediaType.JSON), "headscarp"),
    ]
