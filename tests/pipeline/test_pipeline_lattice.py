"""The lattice under several events: what stands is read, what lacks is made, and no cube ever changes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headscarp.core.event import Event
from headscarp.core.lattice import BlockIndex
from headscarp.core.pci.kernels import KERNELS, Kernel
from headscarp.core.pci.table import Row, Table
from headscarp.core.tiling import Window
from headscarp.errors import InvalidInput, SourceUnavailable
from headscarp.io.cubes.cube import Cube
from headscarp.io.inputs.rasters import RasterLayer
from headscarp.io.store import LocalStore
from headscarp.pipeline import block as block_module
from headscarp.pipeline.block import make_block
from headscarp.pipeline.layers import open_layers
from headscarp.pipeline.recipe import static_recipe
from headscarp.tables.coseismic import COSEISMIC
from tests.pipeline.grounds import (
    BLOCK,
    QUICK,
    STATIC,
    ZONE,
    Ground,
    cube_of,
    keys,
    make_ground,
    motion,
    objects,
    part,
    whole,
)

FIRST, SECOND = part(60, 330, 300, 310), part(200, 500, 330, 300)
"""Two extents that share nine blocks in part, and have others each."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("ground"))


def lattice(cube: Cube) -> dict[str, Any]:
    return dict(cube.attributes["headscarp:lattice"])


def test_a_second_event_reads_what_is_shared_and_makes_the_rest(tmp_path: Path, ground: Ground) -> None:
    store = LocalStore(tmp_path)
    first = cube_of(store, "first.zarr", FIRST, ground.registry())
    shared = keys(FIRST) & keys(SECOND)
    assert 4 <= len(shared) < min(len(keys(FIRST)), len(keys(SECOND)))
    assert (set(lattice(first)["computed"]), lattice(first)["read"]) == (keys(FIRST), [])
    before = objects(store)

    # Its time, mechanism and shaking are others too: none of them is the ground's business.
    other = Event("two", "M 6", datetime(2023, 1, 1, tzinfo=UTC), 6.0, 21.0, 38.9, 5.0, rake=-90.0, synthetic=True)
    second = cube_of(store, "second.zarr", SECOND, ground.registry(), event=other, shaking=motion(SECOND, pga=0.1))
    assert set(lattice(second)["read"]) == shared
    assert set(lattice(second)["computed"]) == keys(SECOND) - shared
    after = objects(store)
    assert {key: after[key] for key in before} == before
    assert all(lattice(first)["blocks"][key] == lattice(second)["blocks"][key] for key in shared)

    a, b = whole(first, *STATIC), whole(second, *STATIC)
    overlap_a, overlap_b = a[:, 140:300, 170:310], b[:, :160, :140]
    assert np.isfinite(overlap_a[STATIC.index("slope")]).mean() > 0.5
    assert overlap_a.tobytes() == overlap_b.tobytes()
    assert (whole(first, "rake_sin")[np.isfinite(whole(first, "rake_sin"))] == 1).all()
    alone = cube_of(LocalStore(tmp_path / "alone"), "second.zarr", SECOND, ground.registry())
    np.testing.assert_array_equal(whole(alone, *STATIC), b)


def test_the_order_of_events_changes_no_object(tmp_path: Path, ground: Ground) -> None:
    stores = [LocalStore(tmp_path / name) for name in "ab"]
    for store, order in zip(stores, ((FIRST, SECOND), (SECOND, FIRST)), strict=True):
        for number, grid in enumerate(order):
            cube_of(store, f"{number}.zarr", grid, ground.registry())
    one, other = map(objects, stores)
    assert one == other
    assert sum("/c/" in key for key in one) > 50


def test_holes_are_not_kept_as_data_and_cubes_do_not_change(
    tmp_path: Path, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path)
    with monkeypatch.context() as patch:

        def gone(self: RasterLayer, *_: Any) -> np.ndarray:
            raise SourceUnavailable(f"layer {self.name}: the host went away")

        patch.setattr(RasterLayer, "codes", gone)
        first = cube_of(store, "first.zarr", FIRST, ground.registry())
    assert first.missing["lithology"].endswith("the host went away")
    assert first.attributes["headscarp:gaps"]["lithology"]["blocks"] > 4
    assert "fault_distance" not in first.missing
    assert set(lattice(first)["holes"]["lithology"]) <= keys(FIRST)
    seen = whole(first, *STATIC)

    second = cube_of(store, "second.zarr", FIRST, ground.registry())
    assert set(lattice(second)["computed"]) == set(lattice(first)["holes"]["lithology"])
    assert "lithology" not in second.missing and lattice(second)["holes"] == {}
    fresh = cube_of(LocalStore(tmp_path / "fresh"), "a.zarr", FIRST, ground.registry())
    np.testing.assert_array_equal(whole(second, *STATIC), whole(fresh, *STATIC))
    for cube in (first, Cube.open(store, "first.zarr")):
        np.testing.assert_array_equal(whole(cube, *STATIC), seen)
        assert np.isnan(whole(cube, "lithology")).all()


def test_a_source_that_is_away_for_one_block_leaves_that_hole_alone(
    tmp_path: Path, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, calls = LocalStore(tmp_path), []
    right = RasterLayer.codes

    def flaky(self: RasterLayer, *arguments: Any) -> np.ndarray:
        calls.append(self.name)
        if calls.count("land_cover") > 2 and self.name == "land_cover":
            raise SourceUnavailable("gone")
        return right(self, *arguments)

    monkeypatch.setattr(RasterLayer, "codes", flaky)
    cube = cube_of(store, "a.zarr", FIRST, ground.registry())
    holes = set(lattice(cube)["holes"]["land_cover"])
    assert 0 < len(holes) < len(keys(FIRST)) and "land_cover" not in cube.missing
    assert calls.count("land_cover") == 3, "a host that went away is not asked again"
    cover, slope = whole(cube, "land_cover", "slope")
    for index in ZONE.blocks_under(FIRST):
        at = ZONE.offset(FIRST)
        inside = ZONE.part(index, Window(at.y, at.x, *FIRST.shape))
        here = inside.within(Window(at.y, at.x, *FIRST.shape))
        if np.isfinite(slope[here]).any():
            assert np.isnan(cover[here]).all() == (index.key in holes)


def test_half_a_block_is_no_block(tmp_path: Path, ground: Ground) -> None:
    store = LocalStore(tmp_path)
    first = cube_of(store, "first.zarr", FIRST, ground.registry())
    right = objects(store)
    record = next(key for key in sorted(right) if "/blocks/" in key and json.loads(right[key])["land"] > 0)
    key = record.rpartition("/")[2].removesuffix(".json")
    shard = next(name for name in right if name.endswith(f"/slope/c/{key.replace('_', '/')}"))
    store.delete(record)
    store.put(shard, right[shard][: len(right[shard]) // 2])
    second = cube_of(store, "second.zarr", FIRST, ground.registry())
    assert lattice(second)["computed"] == [key]
    assert objects(store) == right
    np.testing.assert_array_equal(whole(second, *STATIC), whole(first, *STATIC))


def digest(table: Table, ground: Ground, **changes: dict[str, Any]) -> str:
    return static_recipe(table, ground.registry(**changes), block=BLOCK).digest


def changed(name: str, **values: Any) -> Table:
    rows = tuple(replace(row, **values) if row.name == name else row for row in QUICK)
    return Table("changed", rows)


def test_rows_kernels_and_sources_are_in_the_key_and_the_event_is_not(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = digest(QUICK, ground)
    assert digest(changed("pga", valid=(0.0, 3.0)), ground) == right
    assert digest(Table("other", tuple(reversed(QUICK.rows))), ground) == right
    assert digest(QUICK, ground, dem={"attribution": "somebody"}) == right
    moved = tmp_path / "moved.tif"
    moved.write_bytes(Path(ground.layers["dem"]["href"]).read_bytes())
    assert digest(QUICK, ground, dem={"href": str(moved)}) == right, "a file is its content, wherever it lies"
    moved.write_bytes(moved.read_bytes() + b"\0")
    others = [
        digest(changed("slope", valid=(0.0, 80.0)), ground),
        digest(changed("land_cover", resampling="nearest"), ground),
        digest(QUICK, ground, dem={"sea": 5.0}),
        digest(QUICK, ground, dem={"href": str(moved)}),
        static_recipe(QUICK, ground.registry(), block=2 * BLOCK).digest,
    ]
    kernel = QUICK["slope"].kernel or ""
    monkeypatch.setitem(KERNELS, kernel, Kernel(KERNELS[kernel].function, KERNELS[kernel].version + 1))
    others.append(digest(QUICK, ground))
    assert len({right, *others}) == 1 + len(others)


def test_a_changed_kernel_reads_nothing_of_the_old(
    tmp_path: Path, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path)
    cube_of(store, "first.zarr", FIRST, ground.registry())
    kernel = QUICK["tpi"].kernel or ""
    twice = Kernel(lambda given, grid: {k: 2 * v for k, v in KERNELS_BEFORE[kernel].function(given, grid).items()}, 99)
    monkeypatch.setitem(KERNELS, kernel, twice)
    second = cube_of(store, "second.zarr", FIRST, ground.registry())
    assert lattice(second)["read"] == []
    np.testing.assert_allclose(
        whole(second, "tpi"), 2 * whole(Cube.open(store, "first.zarr"), "tpi"), atol=0.11, equal_nan=True
    )


KERNELS_BEFORE = dict(KERNELS)


def test_what_an_event_must_not_see_is_masked_for_it_alone(tmp_path: Path, ground: Ground) -> None:
    store = LocalStore(tmp_path)
    early = Event("early", "M 7", datetime(2019, 1, 1, tzinfo=UTC), 7.0, 21.0, 38.9, 10.0, rake=90.0, synthetic=True)
    first = cube_of(store, "first.zarr", FIRST, ground.registry(), event=early)
    assert "observed 2020, not before the earthquake" in first.missing["land_cover"]
    assert np.isnan(whole(first, "land_cover")).all()
    assert "land_cover" not in first.attributes["headscarp:sources"]
    late = cube_of(store, "late.zarr", FIRST, ground.registry())
    assert lattice(late)["computed"] == []
    assert np.isfinite(whole(late, "land_cover")).mean() > 0.3
    assert np.isnan(whole(first, "land_cover")).all()


def test_blocks_without_shaking_are_not_made_and_not_read(tmp_path: Path, ground: Ground) -> None:
    store = LocalStore(tmp_path)
    everywhere = cube_of(store, "all.zarr", FIRST, ground.registry())
    shaking = motion(FIRST)
    columns = shaking.pga.shape[1]
    weak = np.where(np.arange(columns) < columns * 0.45, 0.3, 0.001).astype(np.float32)
    cube = cube_of(store, "weak.zarr", FIRST, ground.registry(), shaking=motion(FIRST, pga=weak[None, :]))
    used = set(lattice(cube)["blocks"])
    assert 0 < len(used) < len(keys(FIRST))
    assert cube.attributes["headscarp:skipped_blocks"]["PGA below 0.02 g"] == len(keys(FIRST)) - len(used)
    pga, slope, right = *whole(cube, "pga", "slope"), whole(everywhere, "slope")[0]
    at = ZONE.offset(FIRST)
    frame = Window(at.y, at.x, *FIRST.shape)
    for index in ZONE.blocks_under(FIRST):
        here = ZONE.part(index, frame).within(frame)
        assert (index.key in used) == bool((pga[here] >= 0.02).any() or np.isnan(pga[here]).all())
        np.testing.assert_array_equal(slope[here], right[here] if index.key in used else np.nan * right[here])


def test_grids_off_the_lattice_are_refused(tmp_path: Path, ground: Ground) -> None:
    shifted = part(0, 0, 100, 100).translate_pix(0.5, 0)
    with pytest.raises(InvalidInput, match="multiples of 30 m"):
        cube_of(LocalStore(tmp_path), "a.zarr", shifted, ground.registry())


def test_work_on_the_box_of_the_land_is_work_on_the_block(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a block of sea and unknown ground: leaving it out changes no byte, water that flows included."""
    recipe = static_recipe(COSEISMIC, ground.registry(), block=512)
    zone = replace(ZONE, block=512)
    rows = tuple(row for row in recipe.rows if set(row.outputs) <= set(recipe.channels))
    indices = [zone.blocks_under(part(y, x, 1, 1))[0] for y, x in ((10, 300), (650, 800), (10, 10))]

    def made(index: BlockIndex) -> dict[str, np.ndarray]:
        return make_block(open_layers(recipe, timeout_s=2), rows, zone, index, wanted=rows).values

    trimmed = [made(index) for index in indices]
    monkeypatch.setattr(block_module, "_box", lambda _, window: window)
    for index, found in zip(indices, trimmed, strict=True):
        right = made(index)
        assert set(found) == set(right)
        for channel, values in right.items():
            np.testing.assert_array_equal(found[channel], values, err_msg=f"{channel} of {index}")
    assert np.isfinite(trimmed[0]["twi"]).any() and np.isfinite(trimmed[1]["river_distance"]).any()


@pytest.mark.parametrize("row", [r for r in COSEISMIC if r.precision], ids=lambda row: row.name)
def test_rounding_is_within_half_a_step(row: Row) -> None:
    from headscarp.io.cubes.variables import Encoding

    assert row.valid is not None and row.precision is not None
    rng = np.random.default_rng(0)
    values = rng.uniform(*row.valid, (40, 50)).astype(np.float32)
    values.ravel()[:4] = [row.valid[0], row.valid[1], np.nan, max(row.valid[0], 0.0)]
    encoding, found = Encoding.of(row), np.empty_like(values)
    encoding.unpack_to(found, encoding.pack(values))
    largest = 0.5 * row.precision + 2e-7 * max(map(abs, row.valid))
    assert np.nanmax(np.abs(found - values)) <= largest
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    assert found.ravel()[3] == values.ravel()[3] or row.valid[0] > 0, "zero stays zero"
