"""ShakeMap files of USGS to shaking in g and cm/s on their own grid."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np

from headscarp.core.event import Shaking
from headscarp.core.types import Attributes, Raster
from headscarp.errors import BadShakeMap, NotFound
from headscarp.io.inputs.shakemap_archive import unpacked
from headscarp.io.inputs.shakemap_grid import XmlGrid, read_grid_xml
from headscarp.io.inputs.shakemap_raster import read_raster_zip
from headscarp.io.inputs.usgs import UsgsClient
from headscarp.io.inputs.usgs_products import ShakeMapProduct

MAX_PGA_G = 20.0
"""Five times what has ever been recorded: more means another unit."""

_GRIDS = ("grid.xml.zip", "grid.xml.gz", "grid.xml")
_UNCERTAINTIES = ("uncertainty.xml.zip", "uncertainty.xml.gz", "uncertainty.xml")


def read_shakemap(files: Mapping[str, bytes]) -> Shaking:
    """Shaking from the files of one ShakeMap, by file name.

    Takes raster.zip, which holds unrounded values; without it grid.xml, and the uncertainties of
    uncertainty.xml where given. Both may be plain, gzipped or zipped. The grid is EPSG:4326 with
    cell centres at the nodes; longitudes run past 180 where the map crosses the antimeridian.
    NaN stays nodata.

    Raises:
        BadShakeMap: neither file, a damaged one, or values that cannot be true.
    """
    if "raster.zip" in files:
        return checked_shaking(_from_raster(files["raster.zip"]), "raster.zip")
    name = _first(_GRIDS, files)
    if name is None:
        raise BadShakeMap(f"ShakeMap: expected raster.zip or grid.xml, found {sorted(files)}")
    grid = read_grid_xml(unpacked(files[name], name, member="grid.xml"), name)
    uncertainty = _first(_UNCERTAINTIES, files)
    if uncertainty is None:
        return checked_shaking(_from_grid(grid, name), name)
    deviations = read_grid_xml(unpacked(files[uncertainty], uncertainty, member="uncertainty.xml"), uncertainty)
    if not grid.lattice.agrees(deviations.lattice):
        raise BadShakeMap(f"{uncertainty}: expected the nodes of {name}, {grid.lattice}, found {deviations.lattice}")
    return checked_shaking(_from_grid(grid, name, deviations.columns), name)


def fetch_shakemap(client: UsgsClient, product: ShakeMapProduct) -> tuple[Shaking, Mapping[str, str]]:
    """Shaking of a product, and the SHA-256 (hexadecimal) of each file that was read.

    Raises:
        NotFound: the product has neither raster.zip nor grid.xml.
        BadShakeMap: its files are damaged or cannot be true.
        SourceUnavailable: they do not arrive.
    """
    paths = {path.rpartition("/")[2]: path for path in sorted(product.contents)}
    names = list(_needed(paths))
    if not names:
        raise NotFound(f"ShakeMap {product.id}: expected raster.zip or grid.xml, found {len(paths)} other files")
    files = {name: client.download(product.contents[paths[name]]) for name in names}
    return read_shakemap(files), {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def checked_shaking(shaking: Shaking, where: str) -> Shaking:
    """The shaking itself, if it can be true.

    Raises:
        BadShakeMap: no finite PGA, none above zero, or infinite, negative or impossibly large values.
    """
    rasters = {"PGA": shaking.pga, "PGV": shaking.pgv, "std of ln PGA": shaking.pga_ln_std}
    rasters |= {"std of ln PGV": shaking.pgv_ln_std, "Vs30": shaking.vs30}
    for name, raster in rasters.items():
        if raster is not None:
            _check_values(raster, f"{where}: {name}")
    finite = shaking.pga[np.isfinite(shaking.pga)]
    if finite.size == 0:
        raise BadShakeMap(f"{where}: PGA: expected values, found NaN throughout")
    if finite.max() <= 0:
        raise BadShakeMap(f"{where}: PGA: expected some above zero, found zero throughout")
    if finite.max() > MAX_PGA_G:
        raise BadShakeMap(f"{where}: PGA: expected at most {MAX_PGA_G} g, found {finite.max():.4g} g: another unit?")
    return shaking


def _check_values(raster: Raster, where: str) -> None:
    if np.isinf(raster).any():
        raise BadShakeMap(f"{where}: expected finite values or NaN, found infinity")
    if (raster < 0).any():
        raise BadShakeMap(f"{where}: expected no negative values, found {np.nanmin(raster):.4g}")


def _from_raster(data: bytes) -> Shaking:
    archive = read_raster_zip(data, "raster.zip")
    units = {"PGA": "ln(g)", "PGV": "ln(cm/s)"} if archive.logarithmic else {"PGA": "%g", "PGV": "cm/s"}
    return Shaking(
        grid=archive.lattice.geobox(),
        pga=archive.pga,
        pgv=archive.pgv,
        pga_ln_std=archive.pga_ln_std,
        pgv_ln_std=archive.pgv_ln_std,
        attributes={"format": "raster.zip", "units": units},
    )


def _from_grid(grid: XmlGrid, name: str, deviations: Mapping[str, Raster] | None = None) -> Shaking:
    if "PGA" not in grid.columns:
        raise BadShakeMap(f"{name}: grid_field: expected PGA, found {sorted(grid.units)}")
    std = {**grid.columns, **(deviations or {})}
    return Shaking(
        grid=grid.lattice.geobox(),
        pga=grid.columns["PGA"],
        pgv=grid.columns.get("PGV"),
        pga_ln_std=std.get("STDPGA"),
        pgv_ln_std=std.get("STDPGV"),
        vs30=grid.columns.get("SVEL"),
        attributes=_attributes(grid),
    )


def _attributes(grid: XmlGrid) -> Attributes:
    printed = ("shakemap_version", "code_version", "shakemap_originator", "map_status", "shakemap_event_type")
    kept = {key: grid.grid_attributes[key] for key in (*printed, "process_timestamp") if key in grid.grid_attributes}
    return {"format": "grid.xml", "units": dict(grid.units), **kept}


def _first(names: tuple[str, ...], files: Mapping[str, object]) -> str | None:
    return next((name for name in names if name in files), None)


def _needed(paths: Mapping[str, str]) -> Iterator[str]:
    if "raster.zip" in paths:
        yield "raster.zip"
        return
    grid, uncertainty = _first(_GRIDS, paths), _first(_UNCERTAINTIES, paths)
    if grid is not None:
        yield grid
        if uncertainty is not None:
            yield uncertainty
