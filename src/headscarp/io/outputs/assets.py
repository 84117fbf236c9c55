"""The files of one item, made in a scratch folder, and what is worth knowing about them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pystac import Asset, MediaType

from headscarp.core.palette import GROUND, hex_of
from headscarp.core.status import Status
from headscarp.core.types import Attributes
from headscarp.errors import InvalidInput
from headscarp.io.outputs.cog import RasterSummary, summarise, write_status_cog, write_value_cog, write_visual_cog
from headscarp.io.outputs.product import USGS_MODEL, ModelMap, Product, item_folder, public_address, slug
from headscarp.io.outputs.thumbnail import write_thumbnail
from headscarp.io.outputs.tiles import Pyramid, tilejson, write_pmtiles

UNITS = {"score": "1", "coverage": "1"}


@dataclass(frozen=True, slots=True)
class AssetFile:
    """One file of an item."""

    key: str
    path: Path
    media_type: str
    title: str
    roles: tuple[str, ...]
    fields: Attributes = field(default_factory=dict)

    def stac(self) -> Asset:
        """As STAC asset beside its item, with size and sha256 (multihash)."""
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        fields = {**self.fields, "file:size": self.path.stat().st_size, "file:checksum": f"1220{digest}"}
        return Asset(f"./{self.path.name}", self.title, None, self.media_type, list(self.roles), fields)


@dataclass(frozen=True, slots=True)
class Rendered:
    """All files of an item, and what the item says about them."""

    files: tuple[AssetFile, ...]
    pyramid: Pyramid
    summaries: dict[str, RasterSummary]
    """By asset key of the value raster."""


def map_keys(maps: tuple[ModelMap, ...]) -> Iterator[tuple[str, ModelMap]]:
    """Asset key of each map: `hazard` for the published one, `usgs` for the USGS model, else its name."""
    for index, item in enumerate(maps):
        other = "usgs" if item.name.startswith(USGS_MODEL) else slug(item.name)
        yield ("hazard" if index == 0 else other), item


def render(product: Product, folder: Path, *, public_url: str | None, threads: int = 2) -> Rendered:
    """Make every file of a product; equal products give equal bytes.

    A TileJSON needs absolute addresses and is made only where `public_url` is known.

    Raises:
        BadRaster: a map or the status raster cannot be read or is of the wrong kind.
        StoreError: the scratch folder refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: list[AssetFile] = []
    summaries: dict[str, RasterSummary] = {}
    pyramids: list[Pyramid] = []
    for key, item in map_keys(product.maps):
        made, pyramid, summaries[key] = _map_files(product, key, item, folder, threads=threads)
        files += made
        pyramids.append(pyramid)
    files += [*_status_files(product, folder, threads=threads), _visual(product, folder, threads=threads)]
    if public_url is not None:
        files.append(_tilejson(product, folder, pyramids[0], public_url))
    files.append(_thumbnail(product, folder))
    return Rendered(tuple(files), pyramids[0], summaries)


def _map_files(
    product: Product, key: str, item: ModelMap, folder: Path, *, threads: int
) -> tuple[list[AssetFile], Pyramid, RasterSummary]:
    """Value COG and tiles of one map."""
    values, archive = folder / f"{key}.tif", folder / f"{key}.pmtiles"
    write_value_cog(item.path, values, name=item.quantity, tags=product.tags, threads=threads)
    summary = summarise(values)
    title = f"{item.palette.title}, {item.name} {item.version}"
    pyramid = write_pmtiles(
        values, archive, palette=item.palette, grid=product.grid, title=product.title, threads=threads
    )
    tiles_key = "tiles" if key == "hazard" else f"{key}_tiles"
    fields = {
        "headscarp:model": item.label,
        "headscarp:quantity": item.quantity,
        "headscarp:degraded": list(item.degraded),
    }
    raster = {**grid_fields(product), **fields, **_value_fields(item, summary)}
    return (
        [
            AssetFile(key, values, str(MediaType.COG), title, ("data",), raster),
            AssetFile(tiles_key, archive, str(MediaType.VND_PMTILES), f"Map tiles: {title}", ("visual",), fields),
        ],
        pyramid,
        summary,
    )


def grid_fields(product: Product) -> Attributes:
    """Projection and resolution, needed on every raster asset by readers that group by grid."""
    transform = product.grid.transform
    crs = product.grid.crs
    if crs is None or crs.epsg is None:
        raise InvalidInput(f"product {product.run}: expected a grid with an EPSG code, found {crs}")
    return {
        "proj:code": f"EPSG:{crs.epsg}",
        "proj:shape": [int(v) for v in product.grid.shape],
        "proj:transform": [float(v) for v in tuple(transform)[:6]],
        "raster:spatial_resolution": abs(float(transform.a)),
        "raster:sampling": "area",
    }


def _value_fields(item: ModelMap, summary: RasterSummary) -> Attributes:
    statistics: Attributes = {"valid_percent": round(summary.valid_percent, 4)}
    if summary.count:
        statistics |= {"minimum": summary.minimum, "maximum": summary.maximum, "mean": summary.mean}
    return {
        "data_type": "float32",
        "nodata": "nan",
        "unit": UNITS[item.quantity],
        "bands": [{"name": item.quantity, "description": item.palette.note, "statistics": statistics}],
    }


def _status_files(product: Product, folder: Path, *, threads: int) -> list[AssetFile]:
    """COG and tiles of the status codes."""
    codes, archive = folder / "status.tif", folder / "status.pmtiles"
    write_status_cog(product.status, codes, tags=product.tags, threads=threads)
    write_pmtiles(codes, archive, palette=GROUND, grid=product.grid, title=product.title, threads=threads)
    title = f"Map tiles: {GROUND.title}"
    tiles = AssetFile("status_tiles", archive, str(MediaType.VND_PMTILES), title, ("visual",))
    return [_status_asset(product, codes), tiles]


def _status_asset(product: Product, path: Path) -> AssetFile:
    fields = {
        **grid_fields(product),
        "data_type": "uint8",
        "nodata": Status.NODATA.value,
        "bands": [{"name": "status"}],
        "classification:classes": [_status_class(code) for code in Status],
    }
    return AssetFile("status", path, str(MediaType.COG), GROUND.title, ("data-mask", "metadata"), fields)


def _status_class(code: Status) -> Attributes:
    colour = hex_of(GROUND.rgb(code)).removeprefix("#").upper()
    nodata = {"nodata": True} if code is Status.NODATA else {}
    return {"value": code.value, "name": code.slug, "description": code.words, "color_hint": colour, **nodata}


def _visual(product: Product, folder: Path, *, threads: int) -> AssetFile:
    path, published = folder / "visual.tif", product.maps[0]
    write_visual_cog(folder / "hazard.tif", path, palette=published.palette, tags=product.tags, threads=threads)
    bands = [{"name": name} for name in ("red", "green", "blue", "alpha")]
    fields = {**grid_fields(product), "data_type": "uint8", "bands": bands}
    title = f"Picture: {published.palette.title}"
    return AssetFile("visual", path, str(MediaType.COG), title, ("visual", "overview"), fields)


def _tilejson(product: Product, folder: Path, pyramid: Pyramid, public_url: str) -> AssetFile:
    path = folder / "tilejson.json"
    archive = public_address(f"{item_folder(product.run.event, str(product.run))}/hazard.pmtiles", public_url)
    document = tilejson(pyramid, url=archive, title=product.title, palette=product.maps[0].palette)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False), encoding="utf-8")
    return AssetFile("tilejson", path, str(MediaType.JSON), "TileJSON of the map tiles", ("metadata",))


def _thumbnail(product: Product, folder: Path) -> AssetFile:
    path, published = folder / "thumbnail.png", product.maps[0]
    write_thumbnail(
        folder / "hazard.tif",
        folder / "status.tif",
        path,
        palette=published.palette,
        title=product.title,
        subtitle=f"{product.event.time:%Y-%m-%d %H:%M} UTC, model {published.name} {published.version}",
        synthetic=product.synthetic,
    )
    return AssetFile("thumbnail", path, str(MediaType.PNG), "Map with legend", ("thumbnail",))


def aggregate_km2(product: Product, rendered: Rendered) -> tuple[float, ModelMap] | None:
    """Sum of coverage times cell area, in km2, of the first map of coverage; None where all are scores."""
    cell_km2 = abs(product.grid.transform.a * product.grid.transform.e) / 1e6
    for key, item in map_keys(product.maps):
        summary = rendered.summaries[key]
        if item.quantity == "coverage" and summary.count and not math.isnan(summary.mean):
            return summary.mean * summary.count * cell_km2, item
    return None
