"""Arrays read by rows of chunks: what Zarr reads, in fewer requests, and never half old and half new."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from headscarp.core.tiling import Window
from headscarp.errors import Conflict, NotFound, StoreError
from headscarp.io.cubes.chunks import ChunkCache
from headscarp.io.cubes.sharded import Band, ShardedArray
from headscarp.io.cubes.shards import compressor, encode_shard, put_shards
from headscarp.io.store import LocalStore, Store

CHUNK, SHARD = 8, 32
KEY = "a.zarr/slope"


def array(store: Store, shape: tuple[int, int], dtype: str = "uint16") -> Any:
    fill = np.nan if dtype == "float32" else 65535 if dtype == "uint16" else 0
    return zarr.create_array(
        store.zarr(KEY), shape=shape, chunks=(CHUNK, CHUNK), shards=(SHARD, SHARD), dtype=dtype, fill_value=fill,
        compressors=compressor(np.dtype(dtype).itemsize), overwrite=True,
    )  # fmt: skip


def put(store: Store, made: Any, values: np.ndarray) -> None:
    rows, columns = (range(0, size, SHARD) for size in values.shape)
    put_shards(store, {f"{KEY}/c/{y // SHARD}/{x // SHARD}": (made, values[y : y + SHARD, x : x + SHARD])
                       for y in rows for x in columns})  # fmt: skip


def read(source: ShardedArray, window: Window, cache: ChunkCache | None = None) -> np.ndarray:
    out = np.empty((window.height, window.width), source.dtype)
    for at, values in (cache or ChunkCache()).parts(source, window):
        out[at] = values
    return out


class Counting(LocalStore):
    """Counts reads, and can do something before one."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.parts: list[tuple[str, int]] = []
        self.before: Any = None

    def part(self, key: str, start: int, length: int, *, tag: str | None = None) -> tuple[bytes, str]:
        self.parts.append((key, length))
        if self.before is not None:
            self.before(len(self.parts))
        return super().part(key, start, length, tag=tag)


@settings(deadline=None, max_examples=25)
@given(
    shape=st.tuples(st.integers(1, 70), st.integers(1, 70)), dtype=st.sampled_from(("uint8", "uint16", "float32")),
    seed=st.integers(0, 99), ours=st.booleans(),
)  # fmt: skip
def test_what_zarr_reads(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, int], dtype: str, seed: int, ours: bool
) -> None:
    rng, store = np.random.default_rng(seed), LocalStore(tmp_path_factory.mktemp("sharded"))
    made, values = array(store, shape, dtype), rng.integers(0, 100, shape).astype(dtype)
    holes = np.kron(rng.random((9, 9)) < rng.random(), np.ones((CHUNK, CHUNK), bool))
    values[holes[: shape[0], : shape[1]]] = made.fill_value
    if ours:
        put(store, made, values)
    else:
        made[...] = values
    y, x = (int(rng.integers(0, size)) for size in shape)
    window = Window(y, x, int(rng.integers(1, shape[0] - y + 1)), int(rng.integers(1, shape[1] - x + 1)))
    np.testing.assert_array_equal(read(ShardedArray(store, KEY, made), window), made[window.slices])


def test_two_requests_read_a_shard_and_one_more_a_row_below(tmp_path: Path) -> None:
    store = Counting(tmp_path)
    made, values = array(store, (64, 64)), np.arange(4096, dtype=np.uint16).reshape(64, 64)
    put(store, made, values)
    source, cache = ShardedArray(store, KEY, made), ChunkCache()
    read(source, Window(0, 0, 8, 8), cache)
    assert len(store.parts) == 2, "the index, and a row of chunks"
    read(source, Window(0, 8, 8, 24), cache)
    assert len(store.parts) == 2
    np.testing.assert_array_equal(read(source, Window(8, 0, 24, 32), cache), values[8:32, :32])
    assert len(store.parts) == 3, "three rows of chunks at once"


def test_chunks_beside_the_extent_are_not_fetched(tmp_path: Path) -> None:
    store = Counting(tmp_path)
    made, values = array(store, (32, 32)), np.random.default_rng(0).integers(0, 60000, (32, 32)).astype(np.uint16)
    put(store, made, values)
    read(ShardedArray(store, KEY, made), Window(0, 10, 8, 2))
    read(ShardedArray(store, KEY, made, Window(0, 9, 32, 10)), Window(0, 10, 8, 2))
    (_, whole), (_, narrow) = store.parts[1], store.parts[3]
    assert narrow == pytest.approx(whole / 2, rel=0.05), "two of four chunks"


def test_a_block_rewritten_is_seen_by_a_new_reader(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    made = array(store, (32, 32))
    put(store, made, np.full((32, 32), 7, np.uint16))
    cache, source, window = ChunkCache(), ShardedArray(store, KEY, made), Window(0, 0, 32, 32)
    assert (read(source, window, cache) == 7).all()
    put(store, made, np.random.default_rng(0).integers(8, 60, (32, 32)).astype(np.uint16))
    assert (read(source, window, cache) == 7).all(), "what was read stays what it was"
    np.testing.assert_array_equal(read(ShardedArray(store, KEY, made), window), made[...])


@pytest.mark.parametrize("emptied", [False, True])
def test_a_shard_replaced_between_index_and_chunks_is_read_as_it_now_is(tmp_path: Path, emptied: bool) -> None:
    store = Counting(tmp_path)
    made, rng = array(store, (32, 32)), np.random.default_rng(0)
    put(store, made, rng.integers(0, 9, (32, 32)).astype(np.uint16))
    later = np.full((32, 32), 65535, np.uint16) if emptied else rng.integers(0, 60000, (32, 32)).astype(np.uint16)
    store.before = lambda count: put(store, made, later) if count == 2 else None
    np.testing.assert_array_equal(read(ShardedArray(store, KEY, made), Window(0, 0, 32, 32)), later)


def test_a_shard_that_never_stands_still_is_an_error(tmp_path: Path) -> None:
    store = Counting(tmp_path)
    made, rng = array(store, (32, 32)), np.random.default_rng(0)
    put(store, made, np.zeros((32, 32), np.uint16))
    store.before = lambda _: put(store, made, rng.integers(0, 60000, (32, 32)).astype(np.uint16))
    with pytest.raises(Conflict):
        read(ShardedArray(store, KEY, made), Window(0, 0, 32, 32))


@pytest.mark.parametrize(("place", "said"), [(-10, "checksum"), (4, "bytes"), (12, "cut off")])
def test_damage_is_noticed(tmp_path: Path, place: int, said: str) -> None:
    store = LocalStore(tmp_path)
    made, values = array(store, (32, 32)), np.arange(1024, dtype=np.uint16).reshape(32, 32)
    data = bytearray(encode_shard(made, values) or b"")
    data[place] ^= 0xFF
    store.put(f"{KEY}/c/0/0", bytes(data))
    with pytest.raises(StoreError, match=said):
        read(ShardedArray(store, KEY, made), Window(0, 0, 8, 8))


def test_an_object_that_is_too_short_is_damaged(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    made = array(store, (32, 32))
    store.put(f"{KEY}/c/0/0", b"short")
    with pytest.raises(StoreError, match="checksum"):
        ShardedArray(store, KEY, made).fetch([Band(0, 0)])


def parts_of(store: Store) -> None:
    data = bytes(range(100))
    tag = store.put("parts/a", data) and store.part("parts/a", 0, 1)[1]
    assert store.part("parts/a", 10, 5) == (data[10:15], tag)
    assert store.part("parts/a", -4, 4, tag=tag) == (data[-4:], tag)
    assert store.part("parts/a", 95, 50)[0] == data[95:]
    store.put("parts/a", data[::-1])
    with pytest.raises(Conflict):
        store.part("parts/a", 0, 1, tag=tag)
    with pytest.raises(NotFound):
        store.part("parts/b", 0, 1)


def test_parts_of_an_object(tmp_path: Path) -> None:
    parts_of(LocalStore(tmp_path))


@pytest.mark.service
def test_parts_of_an_object_on_s3(s3_env: Any) -> None:
    parts_of(s3_env.store())
