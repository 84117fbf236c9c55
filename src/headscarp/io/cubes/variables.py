"""Variables of a Zarr group on a grid: how values are stored, and what CF and GeoZarr attributes say of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS

from headscarp.core.packing import count_known, pack_into, unpack_into
from headscarp.core.pci.table import Row, Table
from headscarp.core.types import Attributes, Mask, Raster
from headscarp.errors import StoreError, StoreUnavailable
from headscarp.io.cubes.shards import compressor
from headscarp.tables.legends import LEGENDS

CHUNK = 512
SHARD = 2048
Values = NDArray[Any]
"""(y, x): float32 with NaN, or uint8 class codes with 0, where there is no value."""
Stored = NDArray[Any]
"""(y, x): as an array of the store holds them."""
_STANDARD_NAMES = {"elevation": "height_above_geopotential_datum", "land": "land_binary_mask"}


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the values of a row are stored: codes and float32 as they are, others in whole steps."""

    dtype: np.dtype[Any]
    fill: float
    """Stands where there is no value."""
    step: float | None = None

    @classmethod
    def of(cls, row: Row) -> Encoding:
        """The smallest type that holds the row's valid range in steps of its precision."""
        if row.kind == "categorical":
            return cls(np.dtype(np.uint8), 0)
        if row.precision is None or row.valid is None:
            return cls(np.dtype(np.float32), np.nan)
        low, high = (value / row.precision for value in row.valid)
        if low < 0:
            return cls(np.dtype(np.int16), -32768, row.precision)
        narrow = high <= 254
        return cls(np.dtype(np.uint8 if narrow else np.uint16), 255 if narrow else 65535, row.precision)

    @classmethod
    def of_array(cls, array: Any) -> Encoding:
        """As the attributes of an array of the store say."""
        step = array.attrs.get("scale_factor")
        return cls(array.dtype, float(array.fill_value), step)

    def pack(self, values: Values) -> Stored:
        """Values in the valid range, as stored."""
        if self.step is None:
            return np.ascontiguousarray(values, dtype=self.dtype)
        out = np.empty(values.shape, self.dtype)
        pack_into(np.ascontiguousarray(values, dtype=np.float32), 1.0 / self.step, int(self.fill), out)
        return out

    def count_known(self, stored: Stored, marked: Mask) -> tuple[int, int]:
        """Pixels with a value, and those of them that are marked."""
        return count_known(stored, stored.dtype.type(self.fill), marked)

    def unpack_to(self, target: Raster, stored: Stored) -> None:
        """Write values as float32 into a target of the same shape; NaN where there is none, codes too."""
        if self.dtype.kind == "f":
            target[...] = stored
        else:
            unpack_into(stored, self.step or 1.0, int(self.fill), target)


@contextmanager
def storing(what: str) -> Iterator[None]:
    """What disks and object stores say no with, as ours."""
    from botocore.exceptions import BotoCoreError

    try:
        yield
    except (BotoCoreError, ConnectionError, TimeoutError) as error:
        raise StoreUnavailable(f"{what}: {error}") from error
    except OSError as error:
        raise StoreError(f"{what}: {error}") from error


def grid_attributes(grid: GeoBox) -> Attributes:
    """Where a group lies, after the GeoZarr conventions `proj:` and `spatial:`."""
    return {
        "Conventions": "CF-1.11",
        "proj:code": str(grid.crs),
        "spatial:dimensions": ["y", "x"],
        "spatial:shape": [grid.shape.y, grid.shape.x],
        "spatial:transform": list(grid.transform)[:6],
        "spatial:bbox": list(grid.boundingbox.bbox),
        "spatial:registration": "pixel",
    }


def write_coordinates(group: zarr.Group, grid: GeoBox) -> None:
    """Pixel centres, and the CRS as CF grid mapping."""
    crs = CRS.from_user_input(str(grid.crs))
    transform = grid.transform
    y = transform.f + (np.arange(grid.shape.y) + 0.5) * transform.e
    x = transform.c + (np.arange(grid.shape.x) + 0.5) * transform.a
    for name, values, axis in (("y", y, "Y"), ("x", x, "X")):
        array = group.create_array(name, data=values, dimension_names=(name,), chunks=values.shape)
        named = {"axis": axis, "units": "m", "standard_name": f"projection_{name}_coordinate"}
        array.attrs.update(named)
    reference = group.create_array("spatial_ref", shape=(), dtype="int64", dimension_names=())
    reference.attrs.update(crs.to_cf() | {"spatial_ref": crs.to_wkt(), "GeoTransform": _gdal_transform(transform)})


def _gdal_transform(t: Affine) -> str:
    return " ".join(f"{v!r}" for v in (t.c, t.a, t.b, t.f, t.d, t.e))


def create_variables(group: zarr.Group, rows: Table | tuple[Row, ...], grid: GeoBox, *, shard: int = SHARD) -> None:
    """Empty variables for all channels of the rows; shards that are never written take no space."""
    for row in rows:
        for channel in row.outputs:
            _create_variable(group, channel, row, grid, shard)


def _create_variable(group: zarr.Group, channel: str, row: Row, grid: GeoBox, shard: int) -> None:
    encoding = Encoding.of(row)
    array = group.create_array(
        channel,
        shape=(grid.shape.y, grid.shape.x),
        chunks=(min(CHUNK, shard), min(CHUNK, shard)),
        shards=(shard, shard),
        dtype=encoding.dtype,
        fill_value=encoding.fill if encoding.dtype.kind == "f" else int(encoding.fill),
        dimension_names=("y", "x"),
        compressors=compressor(encoding.dtype.itemsize),
    )
    array.attrs.update(_described(channel, row) | _packing(row, encoding))


def _described(channel: str, row: Row) -> Attributes:
    described: Attributes = {
        "long_name": row.long_name,
        "units": "1" if row.units in {"code", "ln"} else row.units,
        "grid_mapping": "spatial_ref",
        # Named here too, so that xarray makes it a coordinate without being asked to.
        "coordinates": "spatial_ref",
        "headscarp:role": row.role,
        "headscarp:missing_means": row.missing,
        "references": row.cite,
    }
    if channel in _STANDARD_NAMES:
        described["standard_name"] = _STANDARD_NAMES[channel]
    if row.legend:
        legend = {0: "unknown", **LEGENDS.get(row.legend, {})}
        described["headscarp:legend"] = row.legend
        described["flag_values"] = list(legend)
        described["flag_meanings"] = " ".join(re.sub(r"[^\w-]+", "_", name).strip("_") for name in legend.values())
    return described


def _packing(row: Row, encoding: Encoding) -> Attributes:
    """CF attributes of packed data; the valid range is in stored units, as CF has it."""
    valid = {} if row.valid is None or row.kind == "categorical" else {"valid_range": list(row.valid)}
    if encoding.step is None:
        return valid
    steps = [round(value / encoding.step) for value in row.valid or ()]
    packing = {"scale_factor": encoding.step, "_FillValue": int(encoding.fill), "valid_range": steps}
    return packing | {"headscarp:largest_rounding_error": encoding.step / 2}
