"""The layers of an event folder, read from the source registry over the ground that was mapped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyogrio.raw
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from headscarp.core.event import Event, Shaking
from headscarp.core.pci.kernels import FAULT_LIMIT_M
from headscarp.core.pci.table import Row, Table
from headscarp.errors import InvalidInput
from headscarp.io.inputs.rasters import RasterLayer
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.inputs.spec import SourceSpec
from headscarp.io.inputs.vectors import read_lines
from headscarp.pipeline.recipe import SHOWS_SCARS, observed_after

MARGIN_M: Final = 10_000.0
"""Ground around the mapped extent that the widest neighbourhood features need."""
MAX_PIXELS: Final = 400_000_000
BLOCK: Final = 2048
SHAKING_UNITS: Final = {"pga": "g", "pgv": "cm/s", "vs30": "m/s", "pga_ln_std": "ln(g)", "pgv_ln_std": "ln(cm/s)"}
SHAKING_FILE: Final = "shaking.tif"

Described = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Gathered:
    """Layers as event.json lists them, why others are absent, and where all came from."""

    layers: Described
    absent: Mapping[str, str]
    lineage: Mapping[str, Any]


def write_shaking(shaking: Shaking, folder: Path) -> Described:
    """One GeoTIFF with a band per known field, on the ShakeMap's own grid; NaN is nodata."""
    present = {name: getattr(shaking, name) for name in SHAKING_UNITS if getattr(shaking, name) is not None}
    with _tiff(folder / SHAKING_FILE, shaking.grid, np.dtype(np.float32), bands=len(present)) as file:
        for band, (name, values) in enumerate(present.items(), start=1):
            file.write(values.astype(np.float32), band)
            file.set_band_description(band, name)
    return {
        name: {"href": SHAKING_FILE, "band": band, "unit": SHAKING_UNITS[name]}
        for band, name in enumerate(present, start=1)
    }


def gather_layers(
    folder: Path, grid: GeoBox, event: Event, *, table: Table, registry: SourceRegistry, timeout_s: float
) -> Gathered:
    """Write every layer that the table's rows name onto the grid, block by block.

    A layer the registry has no source for is absent with its reason, as is one that was observed after
    the earthquake and may show its scars.

    Raises:
        InvalidInput: there is no DEM, the grid is too large, or a source is not what the registry says.
        SourceUnavailable: a host did not answer: the folder would keep a hole for data.
    """
    if grid.shape.y * grid.shape.x > MAX_PIXELS:
        raise InvalidInput(f"event {event.id}: expected at most {MAX_PIXELS} pixels, found {grid.shape}")
    if registry["dem"] is None:
        raise InvalidInput(f"event {event.id}: no elevation: {registry.reason('dem')}")
    layers: Described = {}
    absent: dict[str, str] = {}
    lineage: dict[str, Any] = {}
    for name, row in _wanted(table).items():
        spec = registry[name]
        reason = registry.reason(name) if spec is None else _scarred(name, spec, event)
        if spec is None or reason:
            absent[name] = reason or registry.reason(name)
        elif row is None:
            layers[name], lineage[name] = _write_lines(folder, name, spec, grid, timeout_s)
        else:
            layers[name], lineage[name] = _write_raster(folder, name, spec, row, grid, timeout_s)
    return Gathered(layers, absent, lineage)


def _wanted(table: Table) -> dict[str, Row | None]:
    """Layers of the source registry by name, with the row that reads them; None for vectors."""
    wanted: dict[str, Row | None] = {}
    for row in table:
        family = (row.source or "").partition(".")[0]
        if family and family != "shaking":
            wanted.setdefault(family, row)
        for name in row.inputs:
            if name not in table.channels and not name.startswith("event."):
                wanted.setdefault(name, None)
    return wanted


def _scarred(name: str, spec: SourceSpec, event: Event) -> str | None:
    if name in SHOWS_SCARS and observed_after(spec, event):
        return f"observed {spec.epoch}, not before the earthquake of {event.time:%Y-%m-%d}: may show its scars"
    return None


def _write_raster(
    folder: Path, name: str, spec: SourceSpec, row: Row, grid: GeoBox, timeout_s: float
) -> tuple[dict[str, Any], Any]:
    layer = RasterLayer(name, spec, timeout_s=timeout_s)
    layer.check()
    codes = row.kind == "categorical"
    path = folder / f"{name}.tif"
    with _tiff(path, grid, np.dtype(np.uint8 if codes else np.float32), bands=1) as file:
        for window, part in _blocks(grid):
            file.write(_values(layer, part, row), 1, window=window)
    described = {"href": path.name, "unit": spec.unit or (None if codes else row.units), "scheme": spec.scheme}
    notes = {"note": spec.attribution} if spec.attribution else {}
    return {key: value for key, value in {**described, **notes}.items() if value is not None}, layer.lineage()


def _values(layer: RasterLayer, part: GeoBox, row: Row) -> NDArray[Any]:
    resampling = row.resampling or "nearest"
    if layer.name == "dem":
        return layer.elevation(part, resampling)[0]
    return layer.codes(part, resampling) if row.kind == "categorical" else layer.continuous(part, resampling)


def _write_lines(
    folder: Path, name: str, spec: SourceSpec, grid: GeoBox, timeout_s: float
) -> tuple[dict[str, Any], Any]:
    lines, identity = read_lines(name, spec, grid, reach_m=FAULT_LIMIT_M, timeout_s=timeout_s)
    path = folder / f"{name}.geojson"
    shapes = np.array([shapely.linestrings(line) for line in lines], dtype=object)
    pyogrio.raw.write(
        str(path), shapely.to_wkb(shapes), [], [], driver="GeoJSON", geometry_type="LineString", crs=str(grid.crs)
    )
    return {"href": path.name, **({"note": spec.attribution} if spec.attribution else {})}, {
        **spec.described(),
        "files": {spec.href: identity},
    }


def _tiff(path: Path, grid: GeoBox, dtype: np.dtype[Any], *, bands: int) -> Any:
    """A tiled GeoTIFF open for writing; floats have NaN as nodata, codes keep 0 as a value."""
    import rasterio

    floats = np.issubdtype(dtype, np.floating)
    return rasterio.open(
        path,
        "w",
        driver="GTiff",
        crs=str(grid.crs),
        transform=grid.transform,
        width=grid.shape.x,
        height=grid.shape.y,
        count=bands,
        dtype=dtype,
        nodata=np.nan if floats else None,
        tiled=True,
        blockxsize=256,
        blockysize=256,
        compress="DEFLATE",
        predictor=3 if floats else 2,
        bigtiff="IF_SAFER",
    )


def _blocks(grid: GeoBox) -> Iterator[tuple[Any, GeoBox]]:
    from rasterio.windows import Window

    height, width = grid.shape
    for row in range(0, height, BLOCK):
        for column in range(0, width, BLOCK):
            rows, columns = min(BLOCK, height - row), min(BLOCK, width - column)
            yield Window(column, row, columns, rows), grid[row : row + rows, column : column + columns]
