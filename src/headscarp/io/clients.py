"""Clients of S3 services, made once: botocore takes half a second of a core to make one."""

from __future__ import annotations

import os
from functools import lru_cache
from threading import Lock
from typing import Any

_making = Lock()


def s3_client(*, attempts: int, connect_s: float, read_s: float, signed: bool = True) -> Any:
    """The boto3 client for these time-outs and for the AWS_* environment as it is now; threads may share it.

    Args:
        attempts: at a request.
        connect_s: patience with a connection.
        read_s: patience with an answer.
        signed: whether requests carry credentials.
    """
    environment = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
    with _making:  # else threads that begin together would each make one
        return _made(attempts, connect_s, read_s, signed, environment, os.getpid())


@lru_cache(maxsize=8)
def _made(
    attempts: int, connect_s: float, read_s: float, signed: bool, _environment: tuple[tuple[str, str], ...], _pid: int  # noqa: FBT001
) -> Any:  # fmt: skip
    """A forked process makes its own: connections cannot be shared with another process."""
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    config = Config(
        retries={"max_attempts": attempts, "mode": "standard"},
        connect_timeout=connect_s,
        read_timeout=read_s,
        signature_version=None if signed else UNSIGNED,
        max_pool_connections=32,
    )
    return boto3.Session().client("s3", config=config)
