"""Koeppen's main climate classes of any place, read from the `climate` layer of the source registry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo import wh_
from odc.geo.geobox import GeoBox

from headscarp.core.belts import FULL_TURN
from headscarp.core.region import ClimateLookup, Values
from headscarp.core.types import Codes
from headscarp.errors import BadRaster, InvalidInput
from headscarp.io.inputs.rasters import RasterLayer
from headscarp.io.inputs.spec import SourceSpec

PER_DEGREE: Final = 120
"""Places are looked up on half-minute cells, the spacing of the published map."""
BLOCK_DEGREES: Final = 4
"""Side of what is read at a time; it divides 180."""
MAIN_CLASSES: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "koeppen_main": (0, 1, 2, 3, 4, 5),
        "koeppen": (0, *[1] * 3, *[2] * 4, *[3] * 9, *[4] * 12, *[5] * 2),
    }
)
"""Main class, A to E as 1 to 5 and 0 at sea, of each code: five classes, or the thirty of Beck et al. (2023),
doi:10.1038/s41597-023-02549-6."""


def climate_lookup(spec: SourceSpec, *, timeout_s: float = 30.0) -> ClimateLookup:
    """Look main classes up in a raster of the world or a part of it; 0 at sea and beyond the raster.

    Blocks of 4 degrees are read when a place in them is asked for.

    Raises:
        InvalidInput: the layer's scheme is no Koeppen map.
        BadRaster: it cannot be read, or, when places are looked up, it holds a code outside its scheme.
        SourceUnavailable: its host did not answer.
    """
    if spec.scheme is None or spec.scheme not in MAIN_CLASSES:
        raise InvalidInput(
            f"layer climate: {spec.href}: expected scheme {' or '.join(sorted(MAIN_CLASSES))}, found {spec.scheme!r}"
        )
    layer, main = RasterLayer("climate", spec, timeout_s=timeout_s), np.array(MAIN_CLASSES[spec.scheme], np.uint8)
    layer.check()

    def look_up(longitudes: Values, latitudes: Values) -> NDArray[np.uint8]:
        columns = np.floor((longitudes + 180.0) % FULL_TURN * PER_DEGREE).astype(np.int64)
        rows = np.clip(np.floor((90.0 - latitudes) * PER_DEGREE), 0, 180 * PER_DEGREE - 1).astype(np.int64)
        side = BLOCK_DEGREES * PER_DEGREE
        blocks, place = np.unique(np.stack([rows // side, columns // side]), axis=1, return_inverse=True)
        out = np.zeros(longitudes.shape, np.uint8)
        for number, (row, column) in enumerate(blocks.T.tolist()):
            of_block = place.ravel() == number
            codes = _codes(layer, row, column)
            out[of_block] = _main(codes[rows[of_block] - row * side, columns[of_block] - column * side], main, spec)
        return out

    return look_up


def _codes(layer: RasterLayer, row: int, column: int) -> Codes:
    """(y, x) codes of one block, counted from 180 W and 90 N."""
    west, north = column * BLOCK_DEGREES - 180.0, 90.0 - row * BLOCK_DEGREES
    cells = min(BLOCK_DEGREES, north + 90.0) * PER_DEGREE
    to_degrees = Affine(1.0 / PER_DEGREE, 0.0, west, 0.0, -1.0 / PER_DEGREE, north)
    return layer.codes(GeoBox(wh_(BLOCK_DEGREES * PER_DEGREE, round(cells)), to_degrees, "EPSG:4326"), "nearest")


def _main(codes: Codes, main: NDArray[np.uint8], spec: SourceSpec) -> NDArray[np.uint8]:
    """Main classes of codes. Raises BadRaster if a code is outside the scheme."""
    if codes.size and codes.max() >= main.size:
        raise BadRaster(
            f"layer climate: {spec.href}: expected codes 0 to {main.size - 1} of {spec.scheme}, found {codes.max()}"
        )
    return np.asarray(main[codes])
