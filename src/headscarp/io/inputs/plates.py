"""Plate boundaries with the names of their plates, read from the `plate_boundaries` layer of the source registry."""

from __future__ import annotations

from typing import Any, Final

import pyogrio
import pyogrio.raw
import shapely
from pyogrio.errors import DataLayerError, DataSourceError

from headscarp.core.belts import Boundary, boundaries_of
from headscarp.errors import InvalidInput, SourceUnavailable
from headscarp.io.inputs.origin import gdal_options, gdal_path, is_remote
from headscarp.io.inputs.spec import SourceSpec

PLATES: Final = ("PlateA", "PlateB")


def read_boundaries(spec: SourceSpec, *, timeout_s: float = 30.0) -> tuple[Boundary, ...]:
    """All boundaries of a vector file in longitude and latitude whose features name their two plates, as PB2002 does.

    Raises:
        InvalidInput: it cannot be read, or is no such file.
        SourceUnavailable: its host did not answer.
    """
    where = f"layer plate_boundaries: {spec.href}"
    pyogrio.set_gdal_config_options(gdal_options(timeout_s))
    try:
        meta, _, shapes, columns = pyogrio.raw.read(gdal_path(spec.href), force_2d=True)
    except (DataSourceError, DataLayerError) as error:
        kind = SourceUnavailable if is_remote(spec.href) else InvalidInput
        raise kind(f"{where}: cannot be read as vectors: {error}") from error
    try:
        return boundaries_of({"features": _features(meta, shapes, columns)})
    except ValueError as error:
        raise InvalidInput(f"{where}: {error}") from error


def _features(meta: dict[str, Any], shapes: Any, columns: Any) -> list[dict[str, Any]]:
    """As decoded GeoJSON."""
    fields = dict(zip(meta["fields"], columns, strict=True))
    names = [{plate: str(fields[plate][row]) for plate in PLATES if plate in fields} for row in range(len(shapes))]
    geometries = [shapely.geometry.mapping(shape) if shape else {} for shape in shapely.from_wkb(shapes)]
    return [{"properties": n, "geometry": g} for n, g in zip(names, geometries, strict=True)]
