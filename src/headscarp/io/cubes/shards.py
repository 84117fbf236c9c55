"""One shard of a Zarr array as bytes, so that it can be stored whole, at once and durably.

Zarr itself reads a shard before it writes it, and would stumble over one that a crash has cut off.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import zarr
from numpy.typing import NDArray
from zarr.storage import MemoryStore

from headscarp.io.store import Store

_WRITERS = 4


def encode_shard(array: Any, values: NDArray[Any]) -> bytes | None:
    """The object that holds `values`, which fill a shard or end at the array's edge; None where all are the fill value.

    Args:
        array: the Zarr array the shard belongs to, for its codecs.
        values: stored values, (y, x).
    """
    objects: dict[str, Any] = {}
    alone = zarr.create_array(
        MemoryStore(objects),
        shape=values.shape,
        chunks=array.chunks,
        shards=array.shards,
        dtype=array.dtype,
        fill_value=array.fill_value,
        compressors=array.compressors,
    )
    alone[...] = values
    found = objects.get("c/0/0")
    return None if found is None else bytes(found.to_bytes())


def put_shards(store: Store, shards: Mapping[str, tuple[Any, NDArray[Any]]]) -> None:
    """Store shards by key, several at a time, each with the array it belongs to."""

    def put(key: str) -> None:
        data = encode_shard(*shards[key])
        if data is not None:
            store.put(key, data)
        elif store.exists(key):
            store.delete(key)

    with ThreadPoolExecutor(_WRITERS, thread_name_prefix="shards") as pool:
        list(pool.map(put, shards))
