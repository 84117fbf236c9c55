"""Write a synthetic world as an event folder, every raster marked SYNTHETIC."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from headscarp.core.event import Event, Shaking
from headscarp.errors import InvalidInput
from headscarp.io.inputs.folder import event_header
from headscarp.world.generate import World

Version = Literal["early", "final"]
Bands = Mapping[str, NDArray[Any]]

SHAKING_UNITS: Final = {"pga": "g", "pgv": "cm/s", "vs30": "m/s", "pga_ln_std": "ln(g)", "pgv_ln_std": "ln(cm/s)"}
ATTRIBUTION: Final = "SYNTHETIC: drawn by headscarp, no place or event on Earth"


def write_world(world: World, folder: Path, *, shakemap: Version = "final") -> Path:
    """Fill `folder` with event.json, its layers, the inventory and the true probability.

    Layers are COGs on the world's grid, shaking a GeoTIFF on the ShakeMap's; NaN is nodata, 0 unknown in codes.
    `shakemap` says which of the world's two ShakeMaps the folder has. event.json is written last. Equal worlds
    give equal bytes.

    Raises:
        InvalidInput: the ShakeMap lacks a field a folder needs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shaking = world.shaking_early if shakemap == "early" else world.shaking
    tags = {"SYNTHETIC": "YES", "WORLD": f"{world.settings.name}, seed {world.seed}"}
    for name, values in _rasters(world).items():
        _write_tiff(folder / f"{name}.tif", world.grid, {name: values}, tags)
    _write_tiff(folder / "pga_pgv_vs30.tif", shaking.grid, _shaking_bands(shaking), tags)
    _write_lines(folder / "faults.gpkg", world)
    description = _describe(world.event, shakemap)
    (folder / "event.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
    return folder


def _rasters(world: World) -> Bands:
    return {
        "dem": world.elevation,
        "lithology": world.lithology,
        "soil": world.soil,
        "land_cover": world.land_cover,
        "ndvi": world.ndvi,
        "landslides": world.landslides.astype(np.uint8),
        "probability": np.where(world.land, world.probability, np.float32(np.nan)),
    }


def _shaking_bands(shaking: Shaking) -> Bands:
    bands = {name: getattr(shaking, name) for name in SHAKING_UNITS}
    absent = [name for name, values in bands.items() if values is None]
    if absent:
        raise InvalidInput(f"world: expected a ShakeMap with {list(SHAKING_UNITS)}, found none of {absent}")
    return bands


def _describe(event: Event, shakemap: Version) -> dict[str, Any]:
    """event.json of the folder."""
    shaking = {
        name: {"href": "pga_pgv_vs30.tif", "band": band, "unit": unit}
        for band, (name, unit) in enumerate(SHAKING_UNITS.items(), start=1)
    }
    layers = {
        "dem": {"href": "dem.tif", "unit": "m", "note": "sea floor is negative: mask values <= 0"},
        "lithology": {"href": "lithology.tif", "scheme": "glim"},
        "soil": {"href": "soil.tif", "scheme": "wrb"},
        "land_cover": {"href": "land_cover.tif", "scheme": "worldcover"},
        "ndvi": {"href": "ndvi.tif", "unit": "1"},
        "faults": {"href": "faults.gpkg"},
        **shaking,
    }
    return {
        **event_header(replace(event, synthetic=True)),
        "shakemap": shakemap,
        "layers": layers,
        "inventory": {"href": "landslides.tif", "quality": "synthetic, complete"},
        "truth": {"probability": {"href": "probability.tif", "unit": "1"}},
        "attribution": ATTRIBUTION,
    }


def _write_tiff(path: Path, grid: GeoBox, bands: Bands, tags: Mapping[str, str]) -> None:
    """A COG; floats with NaN as nodata, codes without (0 is a value of labels, unknown in legends)."""
    import rasterio

    first = next(iter(bands.values()))
    floats = np.issubdtype(first.dtype, np.floating)
    with rasterio.open(
        path,
        "w",
        driver="COG",
        crs=str(grid.crs),
        transform=grid.transform,
        width=grid.shape[1],
        height=grid.shape[0],
        count=len(bands),
        dtype=first.dtype,
        nodata=np.nan if floats else None,
        compress="DEFLATE",
        predictor="YES",
        overview_resampling="average" if floats else "nearest",
    ) as file:
        file.update_tags(**tags)
        for band, (name, values) in enumerate(bands.items(), start=1):
            file.write(values, band)
            file.set_band_description(band, name)


def _write_lines(path: Path, world: World) -> None:
    """Fault traces as a GeoPackage without a date of writing."""
    import pyogrio
    import shapely

    lines = [shapely.LineString(trace) for trace in world.faults]
    names = np.array([f"synthetic fault {number}" for number in range(1, len(lines) + 1)], dtype=object)
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": world.event.time.strftime("%Y-%m-%dT%H:%M:%SZ")})
    try:
        pyogrio.raw.write(
            str(path),
            shapely.to_wkb(np.array(lines, dtype=object)),
            [names],
            ["name"],
            driver="GPKG",
            geometry_type="LineString",
            crs=str(world.grid.crs),
            layer="faults",
        )
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
