"""The kernels as a table calls them: by name, on a grid, with what is missing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from headscarp.core.pci.kernels import KERNELS
from headscarp.core.pci.pixels import PixelSize
from headscarp.core.pci.terrain import terrain
from headscarp.core.types import Raster
from tests.core.pci.landforms import fractal, grid_of, plane

SHAPE = (24, 30)
GRID = grid_of(SHAPE)
TERRAIN = ["terrain", "relief", "local_range", "roughness", "elevation_std", "residual_std", "topographic_position"]


@pytest.mark.parametrize("rake", [0.0, 90.0, -90.0, 180.0, 37.5])
def test_rake_is_the_same_everywhere(rake: float) -> None:
    out = KERNELS["focal_mechanism"].function({"event.rake": rake}, GRID)
    assert out["rake_sin"].shape == SHAPE
    assert np.degrees(np.arctan2(out["rake_sin"], out["rake_cos"])) == pytest.approx(rake, abs=1e-4)


def test_an_unknown_rake_is_not_zero() -> None:
    out = KERNELS["focal_mechanism"].function({"event.rake": None}, GRID)
    assert np.isnan(out["rake_sin"]).all() and np.isnan(out["rake_cos"]).all()


def test_no_fault_within_reach_is_not_an_unknown_fault() -> None:
    far = [np.array([[900_000.0, 4_000_000.0], [900_000.0, 4_100_000.0]])]
    for faults in ([], far):
        assert (KERNELS["fault_distance"].function({"faults": faults}, GRID)["fault_distance"] == 200_000.0).all()
    missing = KERNELS["fault_distance"].function({"faults": None}, GRID)["fault_distance"]
    assert np.isnan(missing).all()


def test_distance_to_a_straight_fault_is_that_to_the_line() -> None:
    faults = [np.array([[300_000.0, 3_000_000.0], [300_000.0, 5_000_000.0]])]
    out = KERNELS["fault_distance"].function({"faults": faults}, GRID)["fault_distance"]
    assert out == pytest.approx(np.broadcast_to(15.0 + 30.0 * np.arange(SHAPE[1]), SHAPE))


def test_rivers_are_as_far_as_the_next_channel_and_unknown_in_voids() -> None:
    streams = np.zeros(SHAPE, np.float32)
    streams[:, 4] = 1.0
    streams[3, 20] = np.nan
    out = KERNELS["river_distance"].function({"streams": streams}, GRID)["river_distance"]
    assert out[0] == pytest.approx(30.0 * np.abs(np.arange(SHAPE[1]) - 4))
    assert np.isnan(out[3, 20]) and np.isnan(out).sum() == 1


def test_terrain_kernels_use_the_grid_they_are_given() -> None:
    z = fractal(SHAPE, seed=1)
    fine = KERNELS["terrain"].function({"elevation": z}, GRID)
    coarse = KERNELS["terrain"].function({"elevation": z}, grid_of(SHAPE, pixel_m=90.0))
    assert np.array_equal(fine["slope"], terrain(z, PixelSize(30.0, 30.0)).slope)
    assert np.array_equal(coarse["slope"], terrain(z, PixelSize(90.0, 90.0)).slope)


@pytest.mark.parametrize("name", TERRAIN)
def test_missing_elevation_is_missing_whatever_is_derived(name: str) -> None:
    z = plane((160, 160), slope=20.0, azimuth=30.0)
    z[40:44, 40:44] = np.nan
    for channel, layer in KERNELS[name].function({"elevation": z}, grid_of(z.shape)).items():
        assert layer.dtype == np.float32
        assert np.isnan(layer[np.isnan(z)]).all(), channel
        assert np.isfinite(layer[60:120, 60:120]).all(), channel


def test_kernels_may_run_in_threads() -> None:
    """Blocks are worked on side by side: no kernel may keep anything between calls."""
    blocks = [fractal((120, 120), seed=seed) for seed in range(6)]
    grid = grid_of((120, 120))

    def derive(z: Raster) -> list[Raster]:
        known = {"elevation": z, "land": np.ones_like(z), "faults": [], "event.rake": 1.0}
        for kernel in KERNELS.values():
            known.update(kernel.function(known, grid))
        return [
            known[name] for name in ("slope", "plan_curvature", "relief", "roughness", "tpi", "twi", "river_distance")
        ]

    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(derive, blocks))
    for one, other in zip(together, map(derive, blocks), strict=True):
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        ("terrain", {}, "'elevation'.*NoneType"),
        ("relief", {"elevation": np.zeros((3, 3), np.float32)}, r"'elevation'.*\(3, 3\)"),
        ("fault_distance", {"faults": 3.0}, "'faults' as a list, found float"),
        ("focal_mechanism", {"event.rake": []}, "'event.rake'.*list"),
    ],
)
def test_inputs_of_the_wrong_kind_are_named(name: str, inputs: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KERNELS[name].function(inputs, GRID)
