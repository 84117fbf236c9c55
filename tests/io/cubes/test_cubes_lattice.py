"""The group of a zone: laid out once however many do it, records that join, and blocks that count last."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headscarp.core.lattice import BlockIndex, ZoneLattice
from headscarp.errors import Conflict, NotFound
from headscarp.io.cubes.lattice import BlockRecord, ChannelRecord, LatticeGroup, lattice_key
from headscarp.io.store import LocalStore
from headscarp.tables.coseismic import COSEISMIC

ZONE = ZoneLattice(32745, 256)
INDEX = BlockIndex(700, 80)
DIGEST = "0123456789abcdef" * 4


def ensure(store: LocalStore) -> LatticeGroup:
    return LatticeGroup.ensure(store, DIGEST, ZONE, COSEISMIC.static, {"rows": 17})


def record(*channels: str, land: int = 5) -> BlockRecord:
    found = {name: ChannelRecord(name * 4, 3, 0) for name in channels}
    return BlockRecord(land, 1, found, {name: {"files": {f"{name}.tif": {"bytes": 1}}} for name in channels})


def test_many_lay_out_the_same_group_at_once(tmp_path: Path) -> None:
    one, other = LocalStore(tmp_path / "one"), LocalStore(tmp_path / "other")
    with ThreadPoolExecutor(6) as pool:
        groups = list(pool.map(ensure, [one] * 6))
    ensure(other)
    assert {group.key for group in groups} == {lattice_key(DIGEST, ZONE)} == {"lattice/0123456789abcdef/32745.zarr"}
    assert [(k, one.read(k)) for k in one.list("lattice/")] == [(k, other.read(k)) for k in other.list("lattice/")]
    assert LatticeGroup.open(one, groups[0].key).zone == ZONE


def test_a_group_whose_layout_was_cut_off_is_laid_out_again(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    key = ensure(store).key
    right = {name: store.read(name) for name in store.list("lattice/")}
    store.delete(f"{key}/zarr.json")
    store.delete(f"{key}/slope/zarr.json")
    with pytest.raises(NotFound, match="no lattice"):
        LatticeGroup.open(store, key)
    ensure(store)
    assert {name: store.read(name) for name in store.list("lattice/")} == right


def test_blocks_lie_where_their_index_says(tmp_path: Path) -> None:
    group = ensure(LocalStore(tmp_path))
    values = np.arange(256 * 256, dtype=np.uint16).reshape(256, 256)
    group.write(INDEX, {"slope": values})
    window = ZONE.window(INDEX)
    np.testing.assert_array_equal(group.array("slope")[window.slices], values)
    assert (group.array("slope")[window.y - 1, window.x : window.x + 256] == 65535).all()
    assert group.store.exists(f"{group.key}/slope/c/700/80")
    assert group.record(INDEX) is None, "data alone do not count"


def test_a_block_rewritten_without_values_holds_none(tmp_path: Path) -> None:
    group = ensure(LocalStore(tmp_path))
    group.write(INDEX, {"soil": np.ones((256, 256), np.uint8)})
    group.write(INDEX, {"soil": np.zeros((256, 256), np.uint8)})
    assert not group.store.exists(f"{group.key}/soil/c/700/80")


def test_records_join_and_are_read_back(tmp_path: Path) -> None:
    group = ensure(LocalStore(tmp_path))
    assert group.records([INDEX]) == {}
    group.commit(INDEX, record("slope", "soil"))
    joined = group.commit(INDEX, record("ndvi", "soil"))
    assert set(joined.channels) == set(joined.sources) == {"slope", "soil", "ndvi"}
    assert group.record(INDEX) == joined
    assert group.records([INDEX, BlockIndex(0, 0)]) == {INDEX: joined}
    tag = group.store.get(f"{group.key.removesuffix('.zarr')}/blocks/700_80.json")[1]
    group.commit(INDEX, record("ndvi"))
    assert group.store.get(f"{group.key.removesuffix('.zarr')}/blocks/700_80.json")[1] == tag, "nothing new, no write"


def test_concurrent_records_lose_nothing(tmp_path: Path) -> None:
    group = ensure(LocalStore(tmp_path))
    channels = [channel for row in COSEISMIC.static for channel in row.outputs]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: group.commit(INDEX, record(name)), channels))
    found = group.record(INDEX)
    assert found is not None and set(found.channels) == set(channels)


def test_a_race_that_is_never_won_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = ensure(LocalStore(tmp_path))
    group.commit(INDEX, record("slope"))

    def lost(*_: object) -> str:
        raise Conflict("changed meanwhile")

    monkeypatch.setattr(group.store, "replace", lost)
    monkeypatch.setattr("headscarp.io.cubes.lattice._ATTEMPTS", 3)
    with pytest.raises(Conflict):
        group.commit(INDEX, record("ndvi"))


def test_the_digest_of_a_block_is_that_of_its_values() -> None:
    one = record("slope", "soil")
    assert one.digest(["slope", "soil"]) == one.digest(["soil", "slope"]) != one.digest(["slope"])
    other = BlockRecord(one.land, one.sea, {**one.channels, "soil": replace(one.channels["soil"], sha256="f" * 64)})
    assert other.digest(["slope", "soil"]) != one.digest(["slope", "soil"])
    assert BlockRecord.from_json(one.to_json()) == one
