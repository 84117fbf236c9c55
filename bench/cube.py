"""Seconds and memory to build the cube of an event on a local S3 server: a cold lattice, then a warm one.

Run with `make bench`. The ground is SYNTHETIC: 1 arc second elevation, land cover and NDVI, 250 m soil and
lithology, lines for faults, as COG tiles and a GeoPackage in a bucket; the whole table of 17 indicators is
filled. `--footprint` adds the extent of a real M 7.8 (150 Mpx); `--ten-metres` has land cover and NDVI as
fine as the public ones.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio
import shapely
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rich.console import Console
from rich.table import Table

from headscarp.core.event import Event, Shaking
from headscarp.core.grid import Extent
from headscarp.core.lattice import BLOCK, BlockIndex, ZoneLattice
from headscarp.core.tiling import YX, blocks
from headscarp.demo.processes import Supervisor
from headscarp.demo.seaweed import start_seaweed
from headscarp.io.cubes.cube import Cube
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.store import Store, open_store
from headscarp.pipeline.cube import build_cube
from headscarp.tables.coseismic import COSEISMIC, PAPER_CHANNELS
from headscarp.tables.legends import WRB

SIDE = 6700
FOOTPRINT = 12_250
COLD_S, WARM_S, PEAK_GB, LINEAR = 22.0, 4.0, 8.0, 4.4
MALLOC = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592"
"""A resident worker keeps its memory instead of asking the kernel for it again and again."""
DEGREE = 3600
WEST, SOUTH = 84, 26
"""South-west corner of the SYNTHETIC ground; the first lattice block used begins 0.4 degrees inside it."""
QUAKE = Event("bench", "SYNTHETIC bench", datetime(2024, 1, 1, tzinfo=UTC), 7.8, 87.0, 28.0, 15.0, rake=90.0,
              synthetic=True)  # fmt: skip


def periodic(seed: int, size: int = DEGREE) -> np.ndarray:
    """A rough surface that goes on at its opposite edge, mean 0, standard deviation 1."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((size, size)).astype(np.float32)) * frequency**-2.0
    surface = np.fft.irfft2(spectrum, s=(size, size))
    return np.asarray((surface - surface.mean()) / surface.std(), dtype=np.float32)


def write_tile(path: Path, values: np.ndarray, west: float, north: float, degrees: float, nodata: float | None) -> Path:
    step = degrees / values.shape[0]
    profile = {"crs": "EPSG:4326", "transform": Affine(step, 0, west, 0, -step, north), "dtype": values.dtype}
    floats = values.dtype.kind == "f"
    with rasterio.open(
        path, "w", driver="COG", width=values.shape[1], height=values.shape[0], count=1, nodata=nodata,
        compress="DEFLATE", predictor="YES", level=1, blocksize=1024 if floats else 512, overviews="NONE", **profile,
    ) as file:  # fmt: skip
        file.update_tags(SYNTHETIC="YES")
        file.write(values, 1)
    return path


def classes(surface: np.ndarray, codes: list[int]) -> np.ndarray:
    edges = np.quantile(surface[::10, ::10], np.linspace(0, 1, len(codes) + 1)[1:-1])
    return np.array(codes, np.uint8)[np.digitize(surface, edges)]


def upload(bucket: Any, folder: Path, *, degrees: int, finer: int) -> dict[str, Any]:
    """Put the SYNTHETIC ground into the bucket; returns its source registry."""
    dem = 2500.0 + 900.0 * periodic(1)
    cover = np.kron(classes(periodic(2), [10, 20, 30, 40, 50, 60]), np.ones((finer, finer), np.uint8))
    greenness = np.clip(175 + 19 * periodic(3), 0, 250).astype(np.uint8)
    ndvi = np.kron(greenness, np.ones((finer, finer), np.uint8))
    coarse = {"lithology": classes(periodic(4, 600), list(range(1, 16))), "soil": classes(periodic(5, 600), [*WRB])}
    layers = {"dem": dem, "land_cover": cover, "ndvi": ndvi}
    registry: dict[str, Any] = {}
    for name, values in layers.items():
        for x in range(WEST, WEST + degrees):
            for y in range(SOUTH, SOUTH + degrees):
                nodata = {"dem": np.nan, "land_cover": 0, "ndvi": 255}[name]
                path = write_tile(folder / "tile.tif", values, x, y + 1, 1.0, nodata)
                bucket.put_file(f"{name}/N{y:02d}E{x:03d}.tif", path)
        registry[name] = {"kind": "tiles", "href": f"{bucket.url}/{name}/{{ns}}{{lat:02d}}{{ew}}{{lon:03d}}.tif"}
    for name, values in coarse.items():
        whole = np.tile(values, (degrees, degrees))[: 400 * degrees, : 400 * degrees]
        path = write_tile(folder / "tile.tif", whole, WEST, SOUTH + degrees, degrees, 0)
        bucket.put_file(f"{name}.tif", path)
        registry[name] = {"kind": "raster", "href": bucket.address(f"{name}.tif")}
    bucket.put_file("faults.gpkg", write_faults(folder / "faults.gpkg", degrees))
    registry["faults"] = {"kind": "vector", "href": bucket.address("faults.gpkg")}
    for name, scheme in (("lithology", "glim"), ("soil", "wrb"), ("land_cover", "worldcover")):
        registry[name] |= {"scheme": scheme, "epoch": "2020"}
    registry["ndvi"] |= {"scale": 0.008, "offset": -1, "epoch": "2020"}
    return registry


def write_faults(path: Path, degrees: int) -> Path:
    rng = np.random.default_rng(6)
    starts = rng.uniform((WEST - 1, SOUTH - 1), (WEST + degrees + 1, SOUTH + degrees + 1), (1500, 2))
    lines = [shapely.LineString(start + np.cumsum(rng.normal(0, 0.02, (25, 2)), axis=0)) for start in starts]
    number = [np.arange(len(lines))]
    pyogrio.raw.write(path, shapely.to_wkb(np.array(lines)), number, ["id"], driver="GPKG", crs="EPSG:4326",
                      geometry_type="LineString")  # fmt: skip
    return path


def shaking(degrees: int) -> Shaking:
    """A smooth ShakeMap over the ground, 1 arc minute, every field there is."""
    cells = 60 * (degrees + 2)
    grid = GeoBox(wh_(cells, cells), Affine(1 / 60, 0, WEST - 1, 0, -1 / 60, SOUTH + degrees + 1), "EPSG:4326")
    x, y = np.meshgrid(np.linspace(-1, 1, cells), np.linspace(-1, 1, cells))
    pga = (0.6 * np.exp(-2 * np.hypot(x, y)) + 0.05).astype(np.float32)
    std = np.full_like(pga, 0.5)
    vs30 = (400 + 200 * np.sin(7 * x) * np.cos(5 * y)).astype(np.float32)
    return Shaking(grid, pga, pgv=100 * pga, pga_ln_std=std, pgv_ln_std=std, vs30=vs30)


def event_grid(side: int) -> GeoBox:
    """An event grid of `side` pixels that begins 50 pixels inside a block of the lattice, over the ground."""
    zone = ZoneLattice(32645)
    x, y = Transformer.from_crs(4326, zone.crs, always_xy=True).transform(WEST + 0.4, SOUTH + 0.4)
    column, row = ~zone.transform * (x, y)
    high = -(-(side + 50) // BLOCK)
    corner = zone.window(BlockIndex(int(row) // BLOCK - high, int(column) // BLOCK + 1))
    return zone.geobox(replace(corner, y=corner.y + 50, x=corner.x + 50, height=side, width=side))


def build(
    store: Store, key: str, side: int, registry: SourceRegistry, motion: Shaking, workers: int
) -> tuple[Cube, float]:
    started = time.perf_counter()
    cube = build_cube(
        store, key, event=QUAKE, shaking=motion, extent=Extent(event_grid(side), cut_by_shakemap_edge=False),
        table=COSEISMIC, registry=registry, lineage={"source": "bench"}, workers=workers,
    )  # fmt: skip
    return cube, time.perf_counter() - started


def read_all(cube: Cube) -> float:
    """Seconds to read the paper's channels over the whole grid, shard by shard."""
    started = time.perf_counter()
    for window in blocks(YX(*cube.grid.shape), 1024):
        cube.read(PAPER_CHANNELS, window)
    return time.perf_counter() - started


def measure(url: str, layers: dict[str, Any], degrees: int, sides: list[int], workers: int) -> dict[str, Any]:
    """All figures, in this process."""
    registry = SourceRegistry({}, {}).with_overrides(layers, others="not in the bench")
    motion = shaking(degrees)
    build(open_store(f"{url}/warm-up"), "a.zarr", 200, registry, motion, workers)
    found: dict[str, Any] = {}
    stores = {side: open_store(f"{url}/{side}") for side in sides}
    for side in sides:
        cpu = time.process_time()
        _, found[f"cold {side}"] = build(stores[side], "first.zarr", side, registry, motion, workers)
        found[f"cpu {side}"] = time.process_time() - cpu
        found["peak"] = found[f"peak {side}"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    side = sides[1]
    cpu = time.process_time()
    cube, found[f"warm {side}"] = build(stores[side], "second.zarr", side, registry, motion, workers)
    found["cpu warm"] = time.process_time() - cpu
    lattice = cube.attributes["headscarp:lattice"]
    found["blocks"] = {"read": len(lattice["read"]), "computed": len(lattice["computed"])}
    found["missing"] = dict(cube.missing)
    found["read"] = read_all(cube)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=SIDE, help="pixels along the side of the event grid")
    parser.add_argument("--footprint", action="store_true", help="150 Mpx besides")
    parser.add_argument("--ten-metres", action="store_true", help="land cover and NDVI of a third of an arc second")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(measure(**json.loads(given.child))))
        return 0
    with tempfile.TemporaryDirectory() as place, Supervisor(Path(place)) as supervisor:
        seaweed = start_seaweed(supervisor)
        os.environ.update(seaweed.env)
        for name in ("sources", "cubes"):
            seaweed.make_bucket(name)
        degrees = 5 if given.footprint else 4
        layers = upload(open_store("s3://sources"), Path(place), degrees=degrees, finer=3 if given.ten_metres else 1)
        sides = [given.side // 2, given.side, *([FOOTPRINT] if given.footprint else [])]
        asked = {"url": "s3://cubes", "layers": layers, "degrees": degrees, "workers": given.workers}
        command = [sys.executable, __file__, "--child", json.dumps({**asked, "sides": sides})]
        env = os.environ | {"GLIBC_TUNABLES": MALLOC}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=env)
    return report(json.loads(done.stdout.splitlines()[-1]), given.side)


def report(found: dict[str, Any], side: int) -> int:
    cold, half, warm = found[f"cold {side}"], found[f"cold {side // 2}"], found[f"warm {side}"]
    lines = [
        (f"cold, {side} x {side} px", f"{cold:.1f} s", f"{COLD_S:g} s", cold <= COLD_S),
        ("lattice warm", f"{warm:.2f} s", f"{WARM_S:g} s", warm <= WARM_S),
        ("peak memory", f"{found['peak']:.2f} GB", f"{PEAK_GB:g} GB", found["peak"] <= PEAK_GB),
        ("4 x the pixels", f"{cold / half:.2f} x the time", f"{LINEAR:g} x", cold <= LINEAR * half),
    ]
    table = Table("what", "found", "limit", "", title="cube of 17 indicators on a local S3 server, SYNTHETIC ground")
    for what, value, limit, met in lines:
        table.add_row(what, value, limit, "met" if met else "[red]MISSED[/]")
    table.add_row("reading the paper's 14 indicators", f"{found['read']:.2f} s", "", "")
    for name, value in found.items():
        if name.endswith(f" {FOOTPRINT}"):
            table.add_row(f"{name} px", f"{value:.1f}", "", "")
    Console().print(table)
    cpu = f"cold {found[f'cpu {side}']:.1f} s, warm {found['cpu warm']:.1f} s"
    Console().print(f"CPU time of the process: {cpu}; load of the machine {os.getloadavg()[0]:.1f}")
    Console().print(f"second event: blocks {found['blocks']}; missing {found['missing'] or 'nothing'}")
    return 0 if all(met for *_, met in lines) else 1


if __name__ == "__main__":
    raise SystemExit(main())
