"""Shards that we encode are those that Zarr reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore

from headscarp.io.cubes.shards import compressor, encode_shard

DTYPES = ("uint8", "uint16", "int16", "float32")


def array(shape: tuple[int, int], dtype: str, *, chunk: int = 8, shard: int = 32) -> tuple[Any, dict[str, Any]]:
    """An empty array with its objects by key."""
    objects: dict[str, Any] = {}
    fill = np.nan if dtype == "float32" else int(np.iinfo(dtype).max)
    made = zarr.create_array(
        MemoryStore(objects), shape=shape, chunks=(chunk, chunk), shards=(shard, shard), dtype=dtype, fill_value=fill,
        compressors=compressor(np.dtype(dtype).itemsize),
    )  # fmt: skip
    return made, objects


@settings(deadline=None, max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 32), st.integers(1, 32)), dtype=st.sampled_from(DTYPES), seed=st.integers(0, 99),
    holes=st.floats(0, 1),
)  # fmt: skip
def test_zarr_reads_what_was_encoded(shape: tuple[int, int], dtype: str, seed: int, holes: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 100, shape).astype(dtype)
    target, objects = array(shape, dtype)
    values[np.kron(rng.random((4, 4)) < holes, np.ones((8, 8), bool))[: shape[0], : shape[1]]] = target.fill_value
    data = encode_shard(target, values)
    theirs, right = array(shape, dtype)
    theirs[...] = values
    assert (data is None) == ("c/0/0" not in right), "nothing takes no space, as with Zarr"
    if data is not None:
        from zarr.core.buffer import default_buffer_prototype

        objects["c/0/0"] = default_buffer_prototype().buffer.from_bytes(data)
    np.testing.assert_array_equal(target[...], values)
    np.testing.assert_array_equal(target[1:, :3], values[1:, :3])


@pytest.mark.parametrize("dtype", DTYPES)
def test_equal_values_are_equal_bytes_and_no_larger_than_zarrs(dtype: str) -> None:
    values = np.random.default_rng(0).integers(0, 50, (32, 32)).astype(dtype)
    target, objects = array((32, 32), dtype)
    target[...] = values
    data = encode_shard(target, values)
    assert data == encode_shard(target, np.asfortranarray(values))
    assert data is not None and len(data) == len(objects["c/0/0"].to_bytes())


def test_a_flipped_bit_of_the_index_is_noticed() -> None:
    values = np.arange(1024, dtype=np.uint16).reshape(32, 32)
    target, objects = array((32, 32), "uint16")
    data = bytearray(encode_shard(target, values) or b"")
    data[-10] ^= 1
    from zarr.core.buffer import default_buffer_prototype

    objects["c/0/0"] = default_buffer_prototype().buffer.from_bytes(bytes(data))
    with pytest.raises(ValueError, match="checksum"):
        target[...]
