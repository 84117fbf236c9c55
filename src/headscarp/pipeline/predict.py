"""Run a predictor over a cube, window by window, into a raster on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.io import DatasetWriter
from rasterio.windows import Window as RasterWindow

from headscarp.core.grid import PGA_FLOOR_G
from headscarp.core.normalisation import EventStatistics
from headscarp.core.predictor import Predictor
from headscarp.core.status import Status
from headscarp.core.tiling import YX, Window, blocks
from headscarp.core.types import Codes, Raster
from headscarp.errors import MissingChannel
from headscarp.io.cubes.cube import Cube
from headscarp.io.outputs.product import ModelMap
from headscarp.pipeline.gate import gated_by
from headscarp.pipeline.statistics import event_statistics

Progress = Callable[[int, int], None]
"""Called with windows done and windows in all."""

BLOCK = 1024


def predict_map(
    cube: Cube,
    predictor: Predictor,
    path: Path,
    *,
    statistics: EventStatistics | None = None,
    workers: int = 2,
    progress: Progress | None = None,
) -> ModelMap:
    """Write the predictor's map of the whole cube to `path` as a float32 GeoTIFF, NaN = no answer.

    Memory holds a few windows, whatever the extent. Windows whose centre holds no value of a
    required channel are not run. The result does not depend on `workers`. The predictor is bound to the
    event's statistics, which are taken from the cube where they are not given, and then to its channel gate.

    Raises:
        MissingChannel: a channel the model cannot do without is missing throughout.
    """
    absent = [c for c in predictor.channels if c in cube.missing]
    fatal = sorted(predictor.required.intersection(absent))
    if fatal:
        reasons = "; ".join(f"{c}: {cube.missing[c]}" for c in fatal)
        raise MissingChannel(f"model {predictor.name} needs {', '.join(fatal)}, which the cube lacks ({reasons})")
    bound = gated_by(cube, predictor.bound_to(statistics or event_statistics(cube, predictor.ranked)))
    margin = predictor.plan.margin if predictor.plan else 0
    cores = list(_cores(predictor, YX(*cube.grid.shape)))
    with _raster(path, cube.grid, "float32", np.nan) as target:
        jobs = ((core, core.padded(margin)) for core in cores)
        for done, (core, scores) in enumerate(_ordered(cube, bound, jobs, workers=workers), start=1):
            if scores is not None:
                _write(target, core, scores)
            if progress:
                progress(done, len(cores))
    gates = {name: gate.to_plain() for name, gate in bound.event_gates.items()}
    return ModelMap(predictor.name, predictor.version, predictor.quantity, path, tuple(absent), gates)


def status_map(cube: Cube, scores: Path, path: Path) -> Path:
    """Write why each pixel has a value or has none (`core.status`), as an uint8 GeoTIFF."""
    with rasterio.open(scores) as source, _raster(path, cube.grid, "uint8", Status.NODATA) as target:
        for window in blocks(YX(*cube.grid.shape), BLOCK):
            land, pga = cube.read(("land", "pga"), window)
            score = source.read(1, window=_rasterio(window))
            _write(target, window, classify(land, pga, score))
    return path


def classify(land: Raster, pga: Raster, score: Raster) -> Codes:
    """Status codes of one window: no data, sea, shaking below the floor, or valid."""
    status = np.where(np.isfinite(score), Status.VALID, Status.NODATA)
    status = np.where(pga < PGA_FLOOR_G, Status.WEAK_SHAKING, status)
    return np.asarray(np.where(land == 0, Status.SEA, status), dtype=np.uint8)


def mask_map(scores: Path, status: Path) -> None:
    """Blank a map in place at sea and where the shaking is too weak.

    The status is the published model's: where only that one lacks an input, another may well have an answer.
    """
    with rasterio.open(scores, "r+") as target, rasterio.open(status) as source:
        for window in blocks(YX(*target.shape), BLOCK):
            values = target.read(1, window=_rasterio(window))
            masked = np.isin(source.read(1, window=_rasterio(window)), (Status.SEA, Status.WEAK_SHAKING))
            _write(target, window, np.where(masked, np.float32(np.nan), values))


def _cores(predictor: Predictor, shape: YX) -> Iterator[Window]:
    return predictor.plan.cores(shape) if predictor.plan else blocks(shape, BLOCK)


def _ordered(
    cube: Cube, predictor: Predictor, jobs: Iterator[tuple[Window, Window]], *, workers: int
) -> Iterator[tuple[Window, Raster | None]]:
    """Results in the order of the jobs, with a bounded number of windows in memory."""
    with ThreadPoolExecutor(workers, thread_name_prefix="predict") as pool:
        waiting: deque[tuple[Window, Future[Raster | None]]] = deque()
        try:
            for core, seen in jobs:
                waiting.append((core, pool.submit(_run, cube, predictor, core, seen)))
                if len(waiting) > 2 * workers:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


def _run(cube: Cube, predictor: Predictor, core: Window, seen: Window) -> Raster | None:
    """The scores of a core, None where nothing is to be said there."""
    stack = cube.read(predictor.channels, seen)
    needed = [predictor.channels.index(c) for c in sorted(predictor.required)]
    centre = core.within(seen)
    if not np.isfinite(stack[needed][(slice(None), *centre)]).all(axis=0).any():
        return None
    return predictor.predict(stack)[centre]


@contextmanager
def _raster(path: Path, grid: GeoBox, dtype: str, nodata: float) -> Iterator[DatasetWriter]:
    profile = {"driver": "GTiff", "dtype": dtype, "count": 1, "nodata": nodata, "crs": str(grid.crs)}
    tiling = {"tiled": True, "blockxsize": 512, "blockysize": 512, "BIGTIFF": "IF_SAFER", "SPARSE_OK": True}
    with rasterio.open(
        path, "w", height=grid.shape[0], width=grid.shape[1], transform=grid.transform, **profile, **tiling
    ) as target:
        yield target


def _write(target: DatasetWriter, window: Window, values: Raster | Codes) -> None:
    inside = window.clipped(YX(*target.shape))
    target.write(values[inside.within(window)], 1, window=_rasterio(inside))


def _rasterio(window: Window) -> RasterWindow:
    return RasterWindow(window.x, window.y, window.width, window.height)
