"""A table that contradicts itself cannot be built, and its digest says what it holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headscarp.core.pci.kernels import KERNELS, Kernel
from headscarp.core.pci.table import Row, Table

SOURCED = Row(
    name="pga", long_name="x", units="g", per="event", source="shaking.pga", resampling="bilinear_ln", cite="x"
)
DEM = Row(name="elevation", long_name="x", units="m", role="support", source="dem", resampling="bilinear", cite="x")
SLOPE = Row(name="slope", long_name="x", units="degree", kernel="terrain", inputs=("elevation",), halo_m=30.0, cite="x")
ROCK = Row(
    name="rock", long_name="x", units="code", kind="categorical", source="rock", resampling="nearest", legend="glim",
    cite="x",
)  # fmt: skip


def test_a_sound_table() -> None:
    table = Table("t", (SLOPE, DEM, SOURCED, ROCK))
    assert table.channels == ("slope", "elevation", "pga", "rock")
    assert [row.name for row in table.ordered()].index("elevation") < [r.name for r in table.ordered()].index("slope")
    assert table["slope"] is SLOPE and [row.name for row in table.features] == ["slope", "pga", "rock"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (replace(ROCK, resampling="bilinear"), "rock: a categorical layer can only be resampled by nearest or mode"),
        (replace(ROCK, legend=None), "rock: a categorical layer needs a legend"),
        (replace(SLOPE, kernel="hillshade"), "slope: unknown kernel 'hillshade'"),
        (replace(SLOPE, source="dem", resampling="bilinear"), "slope: exactly one of source and kernel"),
        (replace(SLOPE, kernel=None), "slope: exactly one of source and kernel"),
        (replace(DEM, resampling=None), "elevation: a source needs a resampling"),
        (replace(SLOPE, units="deg"), "slope: unit 'deg' is not one of"),
        (replace(SLOPE, halo_m=-1.0), "slope: halo must not be negative"),
        (replace(SLOPE, cite=""), "slope: a citation is missing"),
    ],
)
def test_a_row_that_contradicts_itself(row: Row, message: str) -> None:
    others = tuple(other for other in (DEM, SLOPE, SOURCED) if other.name != row.name)
    with pytest.raises(ValueError, match=message):
        Table("t", (*others, row))


def test_a_cycle_is_named() -> None:
    one = replace(SLOPE, name="one", inputs=("two",))
    two = replace(SLOPE, name="two", inputs=("one",))
    with pytest.raises(ValueError, match=r"cycle among \['one', 'two'\]"):
        Table("t", (DEM, SOURCED, one, two))


def test_a_channel_has_one_row() -> None:
    with pytest.raises(ValueError, match="'slope' is defined twice"):
        Table("t", (DEM, SOURCED, SLOPE, replace(SLOPE, name="steepness", channels=("slope",))))


def test_something_must_depend_on_the_event() -> None:
    with pytest.raises(ValueError, match="no feature depends on the event"):
        Table("t", (DEM, SLOPE, replace(SOURCED, role="support")))


def test_halos_add_up_along_the_inputs() -> None:
    steeper = replace(SLOPE, name="steeper", inputs=("slope", "faults"), halo_m=100.0)
    table = Table("t", (DEM, SOURCED, SLOPE, steeper))
    assert table.halo_m("steeper") == 130.0
    assert table.halo_m("elevation") == 0.0
    assert table.halo_all_m == 130.0


def test_digest_follows_rows_and_kernel_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table("t", (DEM, SLOPE, SOURCED))
    assert table.digest == Table("t", (DEM, SLOPE, SOURCED)).digest
    assert table.digest != Table("t", (DEM, replace(SLOPE, halo_m=60.0), SOURCED)).digest
    assert table.digest != Table("t", (DEM, SLOPE, SOURCED), version=2).digest
    assert table.digest != Table("t", (SLOPE, DEM, SOURCED)).digest
    raised = Kernel(KERNELS["terrain"].function, KERNELS["terrain"].version + 1)
    monkeypatch.setitem(KERNELS, "terrain", raised)
    assert table.digest != Table("t", (DEM, SLOPE, SOURCED)).digest
    monkeypatch.setitem(KERNELS, "relief", Kernel(KERNELS["relief"].function, 99))
    assert Table("t", (DEM, SOURCED)).digest == Table("t", (DEM, SOURCED)).digest
