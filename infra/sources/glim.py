"""Turn the polygons of the Global Lithological Map into tiles that a source registry can name.

    python infra/sources/glim.py LiMW_GIS_2015.gdb glim --bbox 80 26 90 30

GLiM (Hartmann and Moosdorf 2012, https://doi.org/10.1029/2012GC004370) is handed out by its authors and is not part
of this project; docs/sources.md says how to ask for it. The tiles are COGs of 3 arc seconds, uint8: the 16 classes of
the first level in the order of `headscarp.tables.legends.GLIM`, 0 where no polygon is. A pixel gets the class at its
centre. `sources.yaml` beside the tiles is the registry to name in HEADSCARP_SOURCES.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from rasterio.features import rasterize

from headscarp.tables.legends import GLIM

CODES = {name.rpartition("(")[2].rstrip(")"): code for code, name in GLIM.items()}
"""Class code by the two letters of the first level."""
PIXELS_PER_DEGREE = 1_200
SEGMENT_M = 5_000.0
"""Straight edges are cut to this length before they are projected, in which they bend."""
NAME = "GLiM_{ns}{lat:02d}{ew}{lon:03d}.tif"
REGISTRY = f"""# Written by infra/sources/glim.py; name it in HEADSCARP_SOURCES.
layers:
  lithology:
    kind: tiles
    href: "{NAME}"
    tile_degrees: 1
    scheme: glim
    nodata: 0
    resolution: 3 arc seconds, from maps of about 1:4,000,000
    epoch: "2012"
    licence: as agreed with the authors of GLiM
    attribution: GLiM (Hartmann and Moosdorf 2012, https://doi.org/10.1029/2012GC004370)
"""

Corner = tuple[int, int]
Shapes = NDArray[np.object_]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("polygons", type=Path, help="GLiM as its authors hand it out: a .gdb, .gpkg or .shp")
    parser.add_argument("folder", type=Path, help="where the tiles go")
    parser.add_argument("--bbox", type=float, nargs=4, default=(-180, -90, 180, 90), metavar=("W", "S", "E", "N"))
    parser.add_argument("--layer", default=None, help="layer of the file; its first one otherwise")
    parser.add_argument("--field", default="xx", help="attribute with the two letters of the first level")
    given = parser.parse_args(arguments)
    written = convert(given.polygons, given.folder, tuple(given.bbox), layer=given.layer, field=given.field)
    print(f"{written} tiles and sources.yaml in {given.folder}")


def convert(
    polygons: Path, folder: Path, bbox: tuple[float, float, float, float], *, layer: str | None, field: str
) -> int:
    """Write every one-degree tile that any polygon touches; the number of tiles."""
    folder.mkdir(parents=True, exist_ok=True)
    crs = CRS.from_user_input(pyogrio.read_info(polygons, layer=layer)["crs"])
    written = 0
    for corner in corners(*bbox):
        codes = tile(polygons, crs, corner, layer=layer, field=field)
        if codes.any():
            write(folder / name(corner), codes, corner)
            written += 1
    (folder / "sources.yaml").write_text(REGISTRY, encoding="utf-8")
    return written


def corners(west: float, south: float, east: float, north: float) -> Iterator[Corner]:
    """South-west corners of the tiles of a box."""
    for y in range(math.floor(south), math.ceil(north)):
        yield from ((x, y) for x in range(math.floor(west), math.ceil(east)))


def name(corner: Corner) -> str:
    x, y = corner
    return NAME.format(ns="N" if y >= 0 else "S", lat=abs(y), ew="E" if x >= 0 else "W", lon=abs(x))


def tile(polygons: Path, crs: CRS, corner: Corner, *, layer: str | None, field: str) -> NDArray[np.uint8]:
    """Codes (y, x) of one tile, 0 where no polygon is."""
    shapes, codes = read(polygons, crs, corner, layer=layer, field=field)
    side = PIXELS_PER_DEGREE
    if not len(shapes):
        return np.zeros((side, side), np.uint8)
    pairs = zip(in_degrees(shapes, crs), codes, strict=True)
    return rasterize(pairs, out_shape=(side, side), transform=placed(corner), fill=0, dtype=np.uint8)


def read(
    polygons: Path, crs: CRS, corner: Corner, *, layer: str | None, field: str
) -> tuple[Shapes, NDArray[np.uint8]]:
    """Polygons near a tile in the CRS of the file, and their codes."""
    x, y = corner
    to_file = Transformer.from_crs(4326, crs, always_xy=True)
    box = to_file.transform_bounds(x, max(y, -89.9), x + 1, min(y + 1, 89.9), densify_pts=41)
    _, _, geometry, columns = pyogrio.raw.read(polygons, layer=layer, columns=[field], bbox=box, force_2d=True)
    letters = np.asarray(columns[0], dtype=object)
    unknown = sorted({str(text) for text in letters} - set(CODES))
    if unknown:
        raise SystemExit(f"{polygons}: {field}: expected the classes {sorted(CODES)}, found {unknown}")
    return shapely.from_wkb(geometry), np.array([CODES[text] for text in letters], np.uint8)


def in_degrees(shapes: Shapes, crs: CRS) -> Shapes:
    """Shapes in longitude and latitude."""
    if crs.is_geographic:
        return shapes
    to_degrees = Transformer.from_crs(crs, 4326, always_xy=True)
    cut = shapely.segmentize(shapes, SEGMENT_M)
    return shapely.transform(cut, lambda points: np.column_stack(to_degrees.transform(points[:, 0], points[:, 1])))


def placed(corner: Corner) -> Affine:
    pixel = 1 / PIXELS_PER_DEGREE
    return Affine(pixel, 0, corner[0], 0, -pixel, corner[1] + 1)


def write(path: Path, codes: NDArray[np.uint8], corner: Corner) -> None:
    with rasterio.open(
        path, "w", driver="COG", width=codes.shape[1], height=codes.shape[0], count=1, dtype="uint8", nodata=0,
        crs="EPSG:4326", transform=placed(corner), compress="DEFLATE", overview_resampling="mode",
    ) as target:  # fmt: skip
        target.write(codes, 1)
        target.update_tags(1, CLASSES=", ".join(f"{code} {text}" for code, text in GLIM.items()))


if __name__ == "__main__":
    main()
