"""The kernels a table may name: each turns input channels into output channels on one padded block.

A kernel's version is part of every table digest: raise it whenever its numbers change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from headscarp.core.pci.distance import distance_to_lines, distance_to_mask
from headscarp.core.pci.faulting import rake_planes
from headscarp.core.pci.hydrology import hydrology
from headscarp.core.pci.pixels import pixel_size
from headscarp.core.pci.relief import local_range, relief, topographic_position
from headscarp.core.pci.roughness import elevation_std, residual_std, roughness, surface_ratio
from headscarp.core.pci.terrain import terrain
from headscarp.core.types import Raster

Lines = list[NDArray[np.float64]]
"""Polylines as (n, 2) arrays of x, y in the CRS of the grid."""
Layer = Raster | Lines | float | None
"""What a kernel can be given: a raster, polylines, an event fact, or nothing where it is missing."""
Inputs = Mapping[str, Layer]
Outputs = Mapping[str, Raster]
KernelFunction = Callable[[Inputs, GeoBox], Outputs]

RIVER_LIMIT_M = 5_000.0
FAULT_LIMIT_M = 200_000.0


@dataclass(frozen=True, slots=True)
class Kernel:
    """A function `(inputs by name, grid of the padded block) -> outputs by channel`, and its version."""

    function: KernelFunction
    version: int = 1


def _raster(inputs: Inputs, name: str, grid: GeoBox) -> Raster:
    """An input that must be a raster of the block.

    Raises:
        ValueError: it is missing, something else, or of another shape.
    """
    layer = inputs.get(name)
    if not isinstance(layer, np.ndarray) or layer.shape != grid.shape:
        found = f"shape {layer.shape}" if isinstance(layer, np.ndarray) else type(layer).__name__
        raise ValueError(f"expected raster {name!r} of shape {tuple(grid.shape)}, found {found}")
    return np.ascontiguousarray(layer, dtype=np.float32)


def _terrain(inputs: Inputs, grid: GeoBox) -> Outputs:
    """Five layers of the paper, and three that a table may choose instead."""
    out = terrain(_raster(inputs, "elevation", grid), pixel_size(grid))
    names = ("slope", "aspect_east", "aspect_north", "plan_curvature", "profile_curvature")
    return dict(zip((*names, "laplacian", "gradient", "local_position"), out, strict=True))


def _relief(inputs: Inputs, grid: GeoBox) -> Outputs:
    return {"relief": relief(_raster(inputs, "elevation", grid), pixel_size(grid))}


def _surface_ratio(inputs: Inputs, grid: GeoBox) -> Outputs:
    return {"surface_ratio": surface_ratio(_raster(inputs, "slope", grid))}


def _local_range(inputs: Inputs, grid: GeoBox) -> Outputs:
    return {"local_range": local_range(_raster(inputs, "elevation", grid))}


def _roughness(inputs: Inputs, grid: GeoBox) -> Outputs:
    return {"roughness": roughness(_raster(inputs, "elevation", grid), pixel_size(grid))}


def _elevation_std(inputs: Inputs, grid: GeoBox) -> Outputs:
    return {"elevation_std": elevation_std(_raster(inputs, "elevation", grid), pixel_size(grid))}


def _residual_std(inputs: Inputs, grid: GeoBox) -> Outputs:
    return {"residual_std": residual_std(_raster(inputs, "elevation", grid), pixel_size(grid))}


def _topographic_position(inputs: Inputs, grid: GeoBox) -> Outputs:
    return {"tpi": topographic_position(_raster(inputs, "elevation", grid), pixel_size(grid))}


def _hydrology(inputs: Inputs, grid: GeoBox) -> Outputs:
    land = _raster(inputs, "land", grid) != 0.0
    out = hydrology(_raster(inputs, "elevation", grid), land, _raster(inputs, "slope", grid), pixel_size(grid))
    return {"twi": out.wetness, "streams": out.streams}


def _river_distance(inputs: Inputs, grid: GeoBox) -> Outputs:
    streams = _raster(inputs, "streams", grid)
    distance = distance_to_mask(streams > 0.0, pixel_size(grid), limit_m=RIVER_LIMIT_M)
    distance[np.isnan(streams)] = np.nan
    return {"river_distance": distance}


def _fault_distance(inputs: Inputs, grid: GeoBox) -> Outputs:
    """All NaN where the fault layer is missing; the limit where it is known and holds no fault near."""
    faults = inputs.get("faults")
    if faults is None:
        return {"fault_distance": np.full(grid.shape, np.nan, dtype=np.float32)}
    if not isinstance(faults, list):
        raise ValueError(f"expected polylines 'faults' as a list, found {type(faults).__name__}")  # noqa: TRY004
    return {"fault_distance": distance_to_lines(faults, grid, limit_m=FAULT_LIMIT_M)}


def _focal_mechanism(inputs: Inputs, grid: GeoBox) -> Outputs:
    rake = inputs.get("event.rake")
    if rake is not None and not isinstance(rake, float | int):
        raise ValueError(f"expected 'event.rake' in degrees or None, found {type(rake).__name__}")
    out = rake_planes(rake, (int(grid.shape[0]), int(grid.shape[1])))
    return {"rake_sin": out.sine, "rake_cos": out.cosine}


KERNELS: dict[str, Kernel] = {
    "terrain": Kernel(_terrain),
    "relief": Kernel(_relief),
    "surface_ratio": Kernel(_surface_ratio),
    "local_range": Kernel(_local_range),
    "roughness": Kernel(_roughness, version=2),
    "elevation_std": Kernel(_elevation_std),
    "residual_std": Kernel(_residual_std),
    "topographic_position": Kernel(_topographic_position, version=2),
    "hydrology": Kernel(_hydrology, version=2),
    "river_distance": Kernel(_river_distance),
    "fault_distance": Kernel(_fault_distance),
    "focal_mechanism": Kernel(_focal_mechanism),
}
