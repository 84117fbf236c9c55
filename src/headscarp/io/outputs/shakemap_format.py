"""Shaking in the files of ShakeMap 4: grid.xml, uncertainty.xml, raster.zip, info.json."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from xml.sax.saxutils import quoteattr

import numpy as np
from odc.geo.geobox import GeoBox

from headscarp.core.event import Event, Shaking
from headscarp.core.types import Raster
from headscarp.errors import InvalidInput

CODE_VERSION = "4.0.2"
"""ShakeMap version whose shapes are written."""

_NAMESPACES = (
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns="http://earthquake.usgs.gov/eqcenter/shakemap" '
    'xsi:schemaLocation="http://earthquake.usgs.gov '
    'http://earthquake.usgs.gov/eqcenter/shakemap/xml/schemas/shakemap.xsd"'
)
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def grid_xml(event: Event, shaking: Shaking, *, version: str, source: str, processed: datetime) -> bytes:
    """grid.xml: PGA in percent of g, PGV in cm/s and, as far as known, STDPGA and SVEL; four digits each.

    Raises:
        InvalidInput: the shaking does not lie on a north-up grid in EPSG:4326.
    """
    columns = {
        ("PGA", "%g"): shaking.pga * np.float32(100.0),
        ("PGV", "cm/s"): shaking.pgv,
        ("STDPGA", "ln(g)"): shaking.pga_ln_std,
        ("SVEL", "m/s"): shaking.vs30,
    }
    return _xml(event, shaking.grid, columns, version=version, source=source, processed=processed)


def uncertainty_xml(event: Event, shaking: Shaking, *, version: str, source: str, processed: datetime) -> bytes:
    """uncertainty.xml: standard deviations of ln PGA and ln PGV, as far as known.

    Raises:
        InvalidInput: the shaking does not lie on a north-up grid in EPSG:4326.
    """
    columns = {("STDPGA", "ln(g)"): shaking.pga_ln_std, ("STDPGV", "ln(cm/s)"): shaking.pgv_ln_std}
    return _xml(event, shaking.grid, columns, version=version, source=source, processed=processed)


def raster_zip(shaking: Shaking) -> bytes:
    """raster.zip: float32 ln(g) and ln(cm/s) in `<imt>_mean.flt`, their deviations in `<imt>_std.flt`.

    Equal shaking gives equal bytes. NaN stays NaN.

    Raises:
        InvalidInput: the shaking does not lie on a north-up grid in EPSG:4326.
    """
    header = _esri_header(shaking.grid)
    rasters = {
        "pga_mean": _ln(shaking.pga),
        "pga_std": shaking.pga_ln_std,
        "pgv_mean": None if shaking.pgv is None else _ln(shaking.pgv),
        "pgv_std": shaking.pgv_ln_std,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for stem, values in rasters.items():
            if values is not None:
                members = {f"{stem}.flt": values.astype("<f4").tobytes(), f"{stem}.hdr": header}
                for name, data in members.items():
                    info = zipfile.ZipInfo(name, _ZIP_TIME)
                    info.compress_type = zipfile.ZIP_DEFLATED
                    archive.writestr(info, data)
    return buffer.getvalue()


def info_json(event: Event, shaking: Shaking, *, version: str, processed: datetime) -> bytes:
    """info.json: the event, the peaks (PGA in g, PGV in cm/s) and the map's bounds, numbers as text."""
    west, south, east, north = node_bounds(shaking.grid)
    rows, columns = shaking.grid.shape
    peaks = {"PGA": ("g", shaking.pga), "PGV": ("cms", shaking.pgv)}
    content = {
        "input": {
            "event_information": {
                "depth": f"{event.depth_km:g}",
                "event_id": event.id,
                "latitude": f"{event.latitude:.4f}",
                "longitude": f"{event.longitude:.4f}",
                "location": event.title,
                "magnitude": f"{event.magnitude:g}",
                "origin_time": _timestamp(event.time),
                "event_type": event_type(event),
                "faultfiles": "",
            }
        },
        "output": {
            "ground_motions": {
                name: {"units": unit, "max_grid": f"{np.nanmax(values):.3f}", "max": f"{np.nanmax(values):.3f}"}
                for name, (unit, values) in peaks.items()
                if values is not None
            },
            "map_information": {
                "grid_points": {"longitude": str(columns), "latitude": str(rows), "units": ""},
                "min": {"longitude": f"{west:.4f}", "latitude": f"{south:.4f}", "units": "degrees"},
                "max": {"longitude": f"{east:.4f}", "latitude": f"{north:.4f}", "units": "degrees"},
            },
            "uncertainty": {"grade": "-", "mean_uncertainty_ratio": "-"},
        },
        "processing": {
            "shakemap_versions": {
                "shakemap_revision": CODE_VERSION,
                "map_version": version,
                "process_time": _timestamp(processed),
                "map_status": "automatic",
            }
        },
    }
    return json.dumps(content).encode()


def event_type(event: Event) -> str:
    """ShakeMap's word for real and made-up events."""
    return "SCENARIO" if event.synthetic else "ACTUAL"


def node_bounds(grid: GeoBox) -> tuple[float, float, float, float]:
    """West, south, east, north of the outermost nodes in degrees.

    Raises:
        InvalidInput: the grid is not north-up in EPSG:4326.
    """
    transform = grid.transform
    if grid.crs is None or grid.crs.epsg != 4326 or transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise InvalidInput(f"ShakeMap files: expected a north-up grid in EPSG:4326, found {grid.crs}, {transform!r}")
    rows, columns = grid.shape
    west, north = transform.c + 0.5 * transform.a, transform.f + 0.5 * transform.e
    return west, north + (rows - 1) * transform.e, west + (columns - 1) * transform.a, north


def _xml(
    event: Event,
    grid: GeoBox,
    columns: Mapping[tuple[str, str], Raster | None],
    *,
    version: str,
    source: str,
    processed: datetime,
) -> bytes:
    west, south, east, north = node_bounds(grid)
    rows, width = grid.shape
    present = {key: values for key, values in columns.items() if values is not None}
    x = np.broadcast_to(np.linspace(west, east, width)[None, :], (rows, width))
    y = np.broadcast_to(np.linspace(north, south, rows)[:, None], (rows, width))
    table = np.column_stack([x.ravel(), y.ravel(), *(values.ravel() for values in present.values())])
    text = io.StringIO()
    text.write(_xml_head(event, version=version, source=source, processed=processed))
    text.write(
        f'<grid_specification lon_min="{west:.6f}" lat_min="{south:.6f}" lon_max="{east:.6f}" lat_max="{north:.6f}" '
        f'nominal_lon_spacing="{grid.transform.a:.6f}" nominal_lat_spacing="{-grid.transform.e:.6f}" '
        f'nlon="{width}" nlat="{rows}"/>\n'
    )
    for index, (name, unit) in enumerate((("LON", "dd"), ("LAT", "dd"), *present), start=1):
        text.write(f'<grid_field index="{index}" name="{name}" units="{unit}" />\n')
    text.write("<grid_data>\n")
    np.savetxt(text, table, fmt=["%.4f", "%.4f", *["%.4g"] * len(present)])
    text.write("</grid_data>\n</shakemap_grid>\n")
    return text.getvalue().encode()


def _xml_head(event: Event, *, version: str, source: str, processed: datetime) -> str:
    attributes = {
        "event_id": event.id,
        "shakemap_id": event.id,
        "shakemap_version": version,
        "code_version": CODE_VERSION,
        "process_timestamp": _timestamp(processed),
        "shakemap_originator": source,
        "map_status": "automatic",
        "shakemap_event_type": event_type(event),
    }
    origin = {
        "event_id": event.id,
        "magnitude": f"{event.magnitude:g}",
        "depth": f"{event.depth_km:g}",
        "lat": f"{event.latitude:.4f}",
        "lon": f"{event.longitude:.4f}",
        "event_timestamp": _timestamp(event.time),
        "event_network": source,
        "event_description": event.title,
    }
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
        f"<shakemap_grid {_NAMESPACES} {_attributes(attributes)}>\n<event {_attributes(origin)}/>\n"
    )


def _attributes(values: Mapping[str, str]) -> str:
    return " ".join(f"{key}={quoteattr(value)}" for key, value in values.items())


def _esri_header(grid: GeoBox) -> bytes:
    west, _, _, north = node_bounds(grid)
    rows, columns = grid.shape
    header = {
        "BYTEORDER": "LSBFIRST",
        "LAYOUT": "BIL",
        "NROWS": rows,
        "NCOLS": columns,
        "NBANDS": 1,
        "NBITS": 32,
        "BANDROWBYTES": 4 * columns,
        "TOTALROWBYTES": 4 * columns,
        "PIXELTYPE": "FLOAT",
        "ULXMAP": repr(west),
        "ULYMAP": repr(north),
        "XDIM": repr(grid.transform.a),
        "YDIM": repr(-grid.transform.e),
    }
    return "".join(f"{key:<14}{value}\n" for key, value in header.items()).encode()


def _ln(values: Raster) -> Raster:
    with np.errstate(divide="ignore"):
        return np.log(values)


def _timestamp(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
