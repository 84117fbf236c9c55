"""The STAC 1.1 item of one product: an IFRC Monty hazard item with earthquake, processing and render fields."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

import rasterio
from pystac import Item, Link, MediaType

import headscarp
from headscarp.core.event import Event
from headscarp.core.grid import Bounds
from headscarp.core.palette import GROUND
from headscarp.core.types import Attributes
from headscarp.io.outputs.assets import Rendered, aggregate_km2, grid_fields, map_keys
from headscarp.io.outputs.geography import geojson, outline, valid_hull, wrapped_bbox
from headscarp.io.outputs.product import (
    COLLECTION,
    ModelMap,
    Product,
    cube_item_key,
    cube_key,
    event_folder,
    item_folder,
    slug,
    timestamp,
)

EXTENSIONS = [
    "https://stac-extensions.github.io/earthquake/v1.0.0/schema.json",
    "https://ifrcgo.org/monty-stac-extension/v1.3.0/schema.json",
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "https://stac-extensions.github.io/version/v1.2.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "https://stac-extensions.github.io/web-map-links/v1.2.0/schema.json",
    "https://stac-extensions.github.io/render/v2.0.0/schema.json",
    "https://stac-extensions.github.io/classification/v1.1.0/schema.json",
]
HAZARD_CODES = ["GH0300", "LS", "nat-geo-mmd-lan"]
"""Landslide set off by an earthquake: UNDRR-ISC 2025, GLIDE, EM-DAT."""
PAGE = "index.html"


def build_item(product: Product, rendered: Rendered, *, now: datetime, with_cube: bool) -> Item:
    """The item, without links between versions (see catalog.linked).

    Its geometry is the hull of the pixels that have a value, or the grid's outline if none has;
    `datetime` is the origin time; `created` and `processing:datetime` are `now`. `with_cube` says that its cube
    stands in the catalogue.
    """
    shape = outline(product.grid, valid_hull(product.status))
    item = Item(
        id=str(product.run),
        geometry=geojson(shape),
        bbox=wrapped_bbox(Bounds(*shape.bounds)),
        datetime=product.event.time,
        properties=_properties(product, rendered, now),
        stac_extensions=list(EXTENSIONS),
        collection=COLLECTION,
        assets={file.key: file.stac() for file in rendered.files},
    )
    item.add_links(list(_links(product, rendered, with_cube=with_cube)))
    return item


def _properties(product: Product, rendered: Rendered, now: datetime) -> Attributes:
    return {
        "title": product.title,
        "description": description(product),
        "created": timestamp(now),
        "license": "CC-BY-4.0",
        "version": version_name(product.run.shakemap.update_time),
        "deprecated": False,
        "roles": ["source", "hazard"],
        **_earthquake(product.event),
        **_monty(product, rendered),
        **_processing(product, now),
        **{key: value for key, value in grid_fields(product).items() if key.startswith("proj:")},
        "renders": _renders(product, rendered),
        **_own(product),
    }


def description(product: Product) -> str:
    """What the map is, which model made it and what it lacks, in sentences."""
    published = product.maps[0]
    model = f"{published.name} {published.version}"
    parts = [
        f"Where the {product.event.title} earthquake has probably set off landslides, from model {model}.",
        published.palette.note,
    ]
    if published.degraded:
        parts.append(f"Made without {', '.join(published.degraded)}: these inputs were missing.")
    if product.cut_by_shakemap_edge:
        parts.append("The ShakeMap ends where shaking is still strong: landslides beyond its edge are not shown.")
    if product.synthetic:
        parts.append("SYNTHETIC: this earthquake did not happen and this place does not exist.")
    return " ".join(parts)


def version_name(update_time: int) -> str:
    """ShakeMap update time, in ms since 1970, as the version of an item."""
    return str(update_time)


def _earthquake(event: Event) -> Attributes:
    return {
        "eq:magnitude": event.magnitude,
        "eq:depth": event.depth_km,
        "eq:sources": [{"name": "synthetic" if event.synthetic else "event author", "code": event.id}],
        "headscarp:epicentre": [event.longitude, event.latitude],
    }


def _monty(product: Product, rendered: Rendered) -> Attributes:
    """Countries are not known here and stay empty; the correlation key is of time, hazard and event."""
    event = product.event
    fields: Attributes = {
        "monty:country_codes": [],
        "monty:hazard_codes": HAZARD_CODES,
        "monty:corr_id": f"{event.time:%Y%m%dT%H%M%S}-GH0300-{slug(event.id)}",
        "monty:src_event_id": event.id,
    }
    aggregate = aggregate_km2(product, rendered)
    if aggregate is not None:
        fields["monty:hazard_detail"] = {
            "severity_value": round(aggregate[0], 6),
            "severity_unit": "km2",
            "severity_label": f"Area expected to be covered by landslides, {aggregate[1].label}",
            "estimate_type": "modelled",
        }
    return fields


def _processing(product: Product, now: datetime) -> Attributes:
    models = {item.name: item.version for item in product.maps}
    return {
        "processing:level": "L4",
        "processing:version": headscarp.__version__,
        "processing:datetime": timestamp(now),
        "processing:software": {
            "headscarp": headscarp.__version__,
            "rasterio": rasterio.__version__,
            "GDAL": rasterio.__gdal_version__,
            **models,
        },
        "processing:lineage": "ShakeMap and static predictors on the event grid (Zarr cube), then the models "
        f"{', '.join(item.label for item in product.maps)}, then this item.",
    }


def _renders(product: Product, rendered: Rendered) -> Attributes:
    """One render per map, and the ground beneath; the binned legend is exact, unlike a stretched colour map."""
    zooms = [rendered.pyramid.minzoom, rendered.pyramid.maxzoom]
    ground = {"title": GROUND.title, "assets": ["status"], "resampling": "mode", "minmax_zoom": zooms}
    maps = {
        key: {
            "title": item.palette.title,
            "assets": [key],
            "nodata": "nan",
            "resampling": "average",
            "minmax_zoom": zooms,
            "headscarp:legend": item.palette.legend(),
        }
        for key, item in map_keys(product.maps)
    }
    return {**maps, "status": {**ground, "headscarp:legend": GROUND.legend()}}


def _own(product: Product) -> Attributes:
    shakemap = product.run.shakemap
    land = product.lineage.get("headscarp:land_km2")
    return {
        "headscarp:synthetic": product.synthetic,
        "headscarp:models": [_model(key, item) for key, item in map_keys(product.maps)],
        "headscarp:degraded": list(product.maps[0].degraded),
        "headscarp:missing": product.lineage.get("headscarp:missing", {}),
        "headscarp:cut_by_shakemap_edge": product.cut_by_shakemap_edge,
        "headscarp:shakemap": {
            **product.shakemap,
            "source": shakemap.source,
            "code": shakemap.code,
            "update_time": shakemap.update_time,
        },
        "headscarp:peak_pga": product.peak_pga,
        **({} if land is None else {"headscarp:land_km2": land}),
        "headscarp:table_digest": product.run.table_digest,
        "headscarp:timings": dict(product.timings),
        "headscarp:lineage": without_local_paths(product.lineage),
    }


def without_local_paths(value: Any) -> Any:
    """JSON in which a path of this machine is only the file's name: others can neither use it nor need see it."""
    if isinstance(value, dict):
        return {without_local_paths(key): without_local_paths(found) for key, found in value.items()}
    if isinstance(value, list | tuple):
        return [without_local_paths(found) for found in value]
    local = isinstance(value, str) and value.startswith(("/", "file:/"))
    return PurePosixPath(value).name if local else value


def _model(key: str, item: ModelMap) -> Attributes:
    return {
        "asset": key,
        "name": item.name,
        "version": item.version,
        "quantity": item.quantity,
        "degraded": list(item.degraded),
    }


def _links(product: Product, rendered: Rendered, *, with_cube: bool) -> Iterator[Link]:
    event, run = product.run.event, str(product.run)
    yield Link("root", "../../../catalog.json", str(MediaType.JSON), "Root catalogue")
    yield Link("parent", "../catalog.json", str(MediaType.JSON), product.event.title)
    yield Link("collection", "../../collection.json", str(MediaType.JSON), "Earthquake-triggered landslides")
    yield from _web_links(rendered)
    page = f"../../../{PAGE}#event={slug(event)}&version={run}"
    yield Link("alternate", page, str(MediaType.HTML), "Map page")
    yield Link("preview", "./thumbnail.png", str(MediaType.PNG), "Map with legend")
    yield Link("icon", "./thumbnail.png", str(MediaType.PNG), "Map with legend")
    if product.event.url is not None:
        yield Link("via", product.event.url, str(MediaType.HTML), "The event at its author's")
        yield Link("triggered-by-hazard", product.event.url, str(MediaType.HTML), "The earthquake and its ShakeMap")
    for layer, href in _public_sources(product):
        yield Link("derived_from", href, None, f"Source of {layer}")
    if with_cube:
        up = "/".join([".."] * (event_folder(event).count("/") + 2))
        cube = cube_key(event, run)
        yield Link("store", f"{up}/{cube}", str(MediaType.VND_ZARR) + "; version=3", "Cube of predictors")
        described = posixpath.relpath(cube_item_key(cube), item_folder(event, run))
        yield Link("derived_from", described, str(MediaType.GEOJSON), "Cube of predictors")


def _public_sources(product: Product) -> Iterator[tuple[str, str]]:
    """Layers that were read from the web, with their addresses; address patterns of tiles are no addresses."""
    sources = product.lineage.get("headscarp:sources", {})
    for layer, source in sources.items():
        href = source.get("href", "") if isinstance(source, dict) else ""
        if href.startswith(("https://", "http://")) and "{" not in href:
            yield layer, href


def _web_links(rendered: Rendered) -> Iterator[Link]:
    for file in rendered.files:
        if file.media_type == str(MediaType.VND_PMTILES):
            render = "hazard" if file.key == "tiles" else file.key.removesuffix("_tiles")
            extra = {"render": render}
            yield Link("pmtiles", f"./{file.path.name}", file.media_type, file.title, extra_fields=extra)
        if file.key == "tilejson":
            extra = {"render": "hazard"}
            yield Link("tilejson", f"./{file.path.name}", file.media_type, file.title, extra_fields=extra)
