"""Where block tasks run: threads of this process, or a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from headscarp.errors import Misconfigured, Unavailable

RETRIES = 2
"""Of a task whose worker was lost."""


@contextmanager
def open_executor(*, workers: int, dask: str | None = None, timeout_s: float = 30.0) -> Iterator[Executor]:
    """An executor for the body.

    Args:
        workers: threads, where there is no cluster.
        dask: address of a Dask scheduler; its workers have headscarp installed and reach the store.
        timeout_s: patience with the scheduler.

    Raises:
        Misconfigured: Dask is asked for and not installed.
        Unavailable: the scheduler does not answer.
    """
    if dask is None:
        with ThreadPoolExecutor(workers, thread_name_prefix="blocks") as threads:
            yield threads
        return
    try:
        from distributed import Client
    except ImportError:
        raise Misconfigured("a Dask cluster needs the `dask` extra: pip install 'headscarp[dask]'") from None
    try:
        client: Any = Client(dask, timeout=timeout_s)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise Unavailable(f"Dask scheduler {dask}: {error}") from error
    with client:
        yield client.get_executor(retries=RETRIES)
