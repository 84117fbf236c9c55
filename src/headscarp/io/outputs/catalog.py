"""The catalogues above the items: one per event, the collection, and the root; all with relative links.

Each function returns the whole document as it should be, given what stands there now (None if nothing does).
"""

from __future__ import annotations

from datetime import UTC, datetime

from pystac import Catalog, Collection, Extent, Link, MediaType, Provider, SpatialExtent, TemporalExtent
from pystac.provider import ProviderRole

import headscarp
from headscarp.core.event import Event
from headscarp.core.palette import COVERAGE, GROUND, SCORE
from headscarp.core.types import Attributes
from headscarp.io.outputs.item import HAZARD_CODES, PAGE
from headscarp.io.outputs.product import (
    COLLECTION,
    CUBES,
    CUBES_TITLE,
    ROOT_KEY,
    public_address,
    slug,
    timestamp,
    titled,
)
from headscarp.io.outputs.versions import Version

DOI = "10.1093/nsr/nwaf179"
TITLE = "Earthquake-triggered landslides"
VERSION_EXTENSION = "https://stac-extensions.github.io/version/v1.2.0/schema.json"
COLLECTION_EXTENSIONS = [
    "https://ifrcgo.org/monty-stac-extension/v1.3.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "https://stac-extensions.github.io/render/v2.0.0/schema.json",
    "https://stac-extensions.github.io/scientific/v1.0.0/schema.json",
]
DESCRIPTION = """\
Maps of where an earthquake has probably set off landslides, made automatically within minutes of its ShakeMap.

**Method.** Ground motion (USGS ShakeMap) and static predictors (terrain, lithology, soil, land cover, vegetation,
rivers, faults) are brought onto one 30 m UTM grid per event. A fully convolutional network scores every cell; the
Nowicki Jessee (2018) model, the one behind the USGS ground-failure product, is mapped beside it where its inputs exist.

**What it is not.** These are models, not observations: nobody has looked at the slopes. Each map says whether it shows
the share of the area expected to be covered by landslides, or a score that is not calibrated and is no probability.
Single slopes can fail where the map is pale and hold where it is dark. Do not use the map alone for decisions about
life and property.

**Versions.** Each ShakeMap revision gives a new item. Items stay; those overtaken are marked deprecated and
link to the latest.
"""


def event_catalog(event: Event, versions: list[Version], *, synthetic: bool) -> Attributes:
    """An event's catalogue.

    Args:
        event: As the newest version describes it.
        versions: All of them, in order, the newest last.
        synthetic: Whether to mark it SYNTHETIC.
    """
    title = titled(event.title, synthetic=synthetic)
    catalog = Catalog(slug(event.id), f"All versions of the landslide map for {title}.", title)
    catalog.stac_extensions = [VERSION_EXTENSION]
    catalog.extra_fields = {"headscarp:event": event_facts(event), "headscarp:synthetic": synthetic}
    return with_links(catalog, _event_links(event, versions))


def relisted(current: Attributes, versions: list[Version]) -> Attributes:
    """An event's catalogue with another list of versions, the event described as before."""
    catalog = Catalog.from_dict(current, migrate=False)
    kept = [link for link in catalog.links if link.rel not in {"item", "latest-version"}]
    return with_links(catalog, [*kept, *_version_links(versions)])


def versions_of(current: Attributes | None) -> list[Version]:
    """Versions an event's catalogue lists, in order."""
    links = (current or {"links": []})["links"]
    return sorted(Version.of_link(link) for link in links if link["rel"] == "item")


def event_facts(event: Event) -> Attributes:
    """What a list of events shows."""
    return {
        "id": event.id,
        "time": timestamp(event.time),
        "magnitude": event.magnitude,
        "longitude": event.longitude,
        "latitude": event.latitude,
        "depth_km": event.depth_km,
    }


def collection(current: Attributes | None, item: Attributes, event: Attributes) -> Attributes:
    """The collection with a link to an event's catalogue and an extent that holds an item.

    Args:
        current: The collection as it stands.
        item: STAC item that must lie within the extent.
        event: STAC catalogue of its event.
    """
    known = Collection.from_dict(current, migrate=False) if current is not None else None
    fresh = _bare_collection(extent_with(known, item))
    href = f"./{event['id']}/catalog.json"
    children = {link.href: link for link in (known.links if known is not None else []) if link.rel == "child"}
    origin = {"headscarp:time": event["headscarp:event"]["time"]}
    children[href] = Link("child", href, str(MediaType.JSON), event["title"], extra_fields=origin)
    return with_links(fresh, [*_collection_links(), *(children[key] for key in sorted(children))])


def root_catalog(public_url: str | None, *, with_cubes: bool = False) -> Attributes:
    """The root; `self` is absolute and there only where the public address is known.

    Args:
        public_url: HTTP address of the catalogue, None if not known.
        with_cubes: Whether the collection of cubes stands.
    """
    catalog = Catalog("headscarp", "Maps of earthquake-triggered landslides, minutes after a ShakeMap.", "headscarp")
    links = [
        Link("root", "./catalog.json", str(MediaType.JSON), "headscarp"),
        Link("child", f"./{COLLECTION}/collection.json", str(MediaType.JSON), TITLE),
        Link("alternate", f"./{PAGE}", str(MediaType.HTML), "Map page"),
    ]
    if with_cubes:
        links.append(Link("child", f"./{CUBES}/collection.json", str(MediaType.JSON), CUBES_TITLE))
    if public_url is not None:
        links.append(Link("self", public_address(ROOT_KEY, public_url), str(MediaType.JSON), "headscarp"))
    return with_links(catalog, links)


def with_links(document: Catalog, links: list[Link]) -> Attributes:
    """The document as JSON with these links and no others."""
    document.links = []
    document.add_links(links)
    return document.to_dict(include_self_link=True, transform_hrefs=False)


def _event_links(event: Event, versions: list[Version]) -> list[Link]:
    return [
        Link("root", "../../catalog.json", str(MediaType.JSON), "headscarp"),
        Link("parent", "../collection.json", str(MediaType.JSON), TITLE),
        Link("alternate", f"../../{PAGE}#event={slug(event.id)}", str(MediaType.HTML), "Map page"),
        *_version_links(versions),
    ]


def _version_links(versions: list[Version]) -> list[Link]:
    """Newest first, as readers want them."""
    newest = versions[-1]
    latest = Link("latest-version", newest.link(latest=True).href, str(MediaType.GEOJSON), newest.title)
    return [*(version.link(latest=version == newest) for version in reversed(versions)), latest]


def _collection_links() -> list[Link]:
    return [
        Link("root", "../catalog.json", str(MediaType.JSON), "headscarp"),
        Link("parent", "../catalog.json", str(MediaType.JSON), "headscarp"),
        Link("license", "https://creativecommons.org/licenses/by/4.0/", str(MediaType.HTML), "CC BY 4.0"),
        Link("cite-as", f"https://doi.org/{DOI}", None, "The method's paper"),
        Link("alternate", f"../{PAGE}", str(MediaType.HTML), "Map page"),
    ]


def _bare_collection(extent: Extent) -> Collection:
    return Collection(
        id=COLLECTION,
        title=TITLE,
        description=DESCRIPTION,
        extent=extent,
        license="CC-BY-4.0",
        keywords=["landslide", "earthquake", "hazard", "ShakeMap", "rapid response"],
        providers=_providers(),
        stac_extensions=list(COLLECTION_EXTENSIONS),
        extra_fields={
            "roles": ["source", "hazard"],
            "sci:publications": [{"doi": DOI, "citation": f"National Science Review, https://doi.org/{DOI}"}],
            "item_assets": _item_assets(),
            "renders": _renders(),
            "summaries": _summaries(),
        },
    )


def _providers() -> list[Provider]:
    ours = {"processing:level": "L4", "processing:software": {"headscarp": headscarp.__version__}}
    return [
        Provider("headscarp", "Makes the maps", [ProviderRole.PRODUCER, ProviderRole.PROCESSOR], extra_fields=ours),
        Provider(
            "U.S. Geological Survey",
            "Earthquakes and ShakeMaps",
            [ProviderRole.PRODUCER],
            "https://earthquake.usgs.gov",
        ),
    ]


def _item_assets() -> Attributes:
    value = {"type": str(MediaType.COG), "roles": ["data"], "data_type": "float32", "nodata": "nan", "unit": "1"}
    raster = {"raster:sampling": "area", "raster:spatial_resolution": 30.0}
    return {
        "hazard": {"title": "Map of the published model", **value, **raster},
        "usgs": {"title": "Nowicki Jessee (2018), areal coverage", **value, **raster},
        "status": {"title": GROUND.title, "type": str(MediaType.COG), "roles": ["data-mask", "metadata"]},
        "visual": {"title": "Picture (RGBA)", "type": str(MediaType.COG), "roles": ["visual", "overview"]},
        "tiles": {"title": "Map tiles", "type": str(MediaType.VND_PMTILES), "roles": ["visual"]},
        "usgs_tiles": {"title": "Map tiles, Nowicki Jessee", "type": str(MediaType.VND_PMTILES), "roles": ["visual"]},
        "status_tiles": {
            "title": f"Map tiles: {GROUND.title}",
            "type": str(MediaType.VND_PMTILES),
            "roles": ["visual"],
        },
        "tilejson": {"title": "TileJSON", "type": str(MediaType.JSON), "roles": ["metadata"]},
        "thumbnail": {"title": "Map with legend", "type": str(MediaType.PNG), "roles": ["thumbnail"]},
    }


def _renders() -> Attributes:
    return {
        "score": {"title": SCORE.title, "assets": ["hazard"], "headscarp:legend": SCORE.legend()},
        "coverage": {"title": COVERAGE.title, "assets": ["hazard", "usgs"], "headscarp:legend": COVERAGE.legend()},
        "status": {"title": GROUND.title, "assets": ["status"], "headscarp:legend": GROUND.legend()},
    }


def _summaries() -> Attributes:
    """Ranges that hold for all items there will be, so that publishing one does not rewrite them."""
    return {
        "monty:country_codes": {"type": "array", "items": {"type": "string"}},
        "monty:hazard_codes": HAZARD_CODES,
        "processing:level": ["L4"],
        "headscarp:synthetic": [False, True],
    }


def extent_with(known: Collection | None, item: Attributes) -> Extent:
    """The union of what was known and the item; all longitudes once anything crosses the antimeridian."""
    moment = datetime.fromisoformat(item["properties"]["datetime"]).astimezone(UTC)
    box, times = item["bbox"], (moment, moment)
    if known is not None:
        box = _union(known.extent.spatial.bboxes[0], box)
        first, last = known.extent.temporal.intervals[0]
        times = (min(first or moment, moment), max(last or moment, moment))
    return Extent(SpatialExtent([box]), TemporalExtent([list(times)]))


def _union(a: list[float | int], b: list[float | int]) -> list[float | int]:
    crosses = a[0] > a[2] or b[0] > b[2]
    west, east = (-180.0, 180.0) if crosses else (min(a[0], b[0]), max(a[2], b[2]))
    return [west, min(a[1], b[1]), east, max(a[3], b[3])]
