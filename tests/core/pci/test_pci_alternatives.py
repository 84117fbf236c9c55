"""Kernels that the coseismic table does not use: a row of another table may name them."""

from __future__ import annotations

import numpy as np
import pytest

from headscarp.core.pci.kernels import KERNELS
from headscarp.core.pci.table import Row, Table
from headscarp.core.types import Raster
from tests.core.pci.landforms import fractal, grid_of

DEM = Row(name="elevation", long_name="x", units="m", role="support", source="dem", resampling="bilinear", cite="x")
RAIN = Row(name="rain", long_name="x", units="mm", per="event", source="rain", resampling="bilinear", cite="x")
SLOPE = Row(name="slope", long_name="x", units="degree", kernel="terrain", inputs=("elevation",), halo_m=30.0, cite="x")
REACH_PX = {
    "laplacian": 4, "gradient": 1, "local_position": 1, "local_range": 1, "elevation_std": 4, "residual_std": 8,
    "surface_ratio": 0,
}  # fmt: skip


def alternative(channel: str) -> Row:
    """A row of another name than its channel, beside the coseismic ones."""
    kernel = channel if channel in KERNELS else "terrain"
    inputs = ("slope",) if channel == "surface_ratio" else ("elevation",)
    return Row(
        name=f"my_{channel}", long_name="x", units="m", channels=(channel,), kernel=kernel, inputs=inputs,
        halo_m=30.0 * REACH_PX[channel], cite="x",
    )  # fmt: skip


def derived(table: Table, channel: str, z: Raster) -> Raster:
    known: dict[str, Raster] = {"elevation": z}
    for row in table.ordered():
        if row.kernel:
            known |= KERNELS[row.kernel].function({name: known[name] for name in row.inputs}, grid_of(z.shape))
    return known[channel]


@pytest.mark.parametrize("channel", REACH_PX)
def test_a_tile_with_the_reach_is_a_crop_of_the_whole_and_with_less_is_not(channel: str) -> None:
    table = Table("other", (DEM, RAIN, SLOPE, alternative(channel)))
    z = fractal((90, 100), seed=2)
    whole = derived(table, channel, z)
    reach = round(table.halo_m(channel) / 30.0)
    for halo in (reach, reach - 1):
        part = derived(table, channel, np.ascontiguousarray(z[40 - halo : 60 + halo, 30 - halo : 70 + halo]))
        same = np.array_equal(part[halo : 20 + halo, halo : 40 + halo], whole[40:60, 30:70])
        assert same == (halo == reach)
    assert np.isfinite(whole[40:60, 30:70]).all()


def test_alternatives_for_roughness_differ_from_one_another() -> None:
    """Of slope, which the paper's selection drops for it, only the surface ratio is a function."""
    z = fractal((120, 120), seed=3)
    inner = (slice(20, -20), slice(20, -20))
    slope = KERNELS["terrain"].function({"elevation": z}, grid_of(z.shape))["slope"]
    layers = [KERNELS[n].function({"elevation": z, "slope": slope}, grid_of(z.shape)) for n in
              ("roughness", "elevation_std", "residual_std", "local_range", "surface_ratio")]  # fmt: skip
    ranks = [np.argsort(np.argsort(next(iter(layer.values()))[inner].ravel())) for layer in layers]
    likeness = np.corrcoef([np.argsort(np.argsort(slope[inner].ravel())), *ranks])
    assert likeness[0, -1] > 0.999999
    assert (likeness[0, 1:-1] < 0.999).all() and likeness[0, 1] < likeness[0, 2]
