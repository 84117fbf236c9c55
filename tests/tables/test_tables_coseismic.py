"""The coseismic table as a contract: names, legends, ranges, sources."""

from __future__ import annotations

import re

import pytest

from headscarp.core.pci.table import Row
from headscarp.tables.coseismic import COSEISMIC, PAPER_CHANNELS
from headscarp.tables.legends import LEGENDS

SUPPORT = {"elevation", "land", "pga_ln_std", "pgv_ln_std", "vs30", "streams"}
FEATURES = {
    "slope", "aspect_east", "aspect_north", "relief", "roughness", "plan_curvature", "profile_curvature", "tpi",
    "twi", "river_distance", "fault_distance", "lithology", "soil", "land_cover", "ndvi", "rake_sin", "rake_cos",
    "pga", "pgv",
}  # fmt: skip


def test_seventeen_indicators_and_their_channels() -> None:
    assert len(COSEISMIC.features) == 17
    assert {channel for row in COSEISMIC.features for channel in row.outputs} == FEATURES
    assert set(COSEISMIC.channels) == FEATURES | SUPPORT


def test_the_paper_keeps_fourteen() -> None:
    assert len({COSEISMIC[channel].name for channel in PAPER_CHANNELS}) == 14
    dropped = {row.name for row in COSEISMIC.features} - {COSEISMIC[channel].name for channel in PAPER_CHANNELS}
    assert dropped == {"profile_curvature", "pgv", "focal_mechanism"}


@pytest.mark.parametrize("row", COSEISMIC, ids=lambda row: row.name)
def test_every_row_is_complete(row: Row) -> None:
    assert row.valid is not None and row.valid[0] < row.valid[1]
    assert row.missing and row.long_name
    assert re.search(r"https://doi\.org/10\.\d{4,}/\S+|\(\d{4}\)", row.cite)
    if row.source is not None:
        assert row.source.split(".")[0] in {"dem", "lithology", "soil", "land_cover", "ndvi", "shaking"}
    if row.source is not None and row.source.startswith("shaking.pg") and not row.source.endswith("std"):
        assert row.resampling == "bilinear_ln"


@pytest.mark.parametrize("row", [r for r in COSEISMIC if r.kind == "categorical"], ids=lambda row: row.name)
def test_legends_fit_in_a_byte_and_leave_zero_for_unknown(row: Row) -> None:
    codes = LEGENDS[row.legend or ""]
    assert row.transform == "code"
    assert (min(codes), max(codes)) == row.valid
    assert min(codes) > 0 and max(codes) < 256


def test_legend_sizes_and_order() -> None:
    assert {name: len(codes) for name, codes in LEGENDS.items()} == {"glim": 16, "worldcover": 11, "wrb": 30}
    short = [re.search(r"\((\w\w)\)", name) for name in LEGENDS["glim"].values()]
    assert " ".join(m.group(1) for m in short if m) == "su vb ss pb sm sc va mt pa vi wb py pi ev nd ig"
    assert list(LEGENDS["wrb"].values()) == sorted(LEGENDS["wrb"].values())


def test_the_digest_is_stable_across_processes() -> None:
    import subprocess
    import sys

    program = "from headscarp.tables.coseismic import COSEISMIC; print(COSEISMIC.digest)"
    other = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert other.stdout.strip() == COSEISMIC.digest
