"""Where a source file is, whether it is there, and what identifies its content."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from headscarp.core.types import Attributes
from headscarp.errors import BadRaster, SourceUnavailable
from headscarp.io.clients import s3_client

ATTEMPTS = 3
"""At a request; a host that never answers costs this many time-outs, and is then unavailable."""
_VIRTUAL_HOST = re.compile(r"(?P<bucket>[a-z0-9][a-z0-9.-]+)\.s3([.-][a-z0-9-]+)?\.amazonaws\.com")
_PATH_HOST = re.compile(r"s3([.-][a-z0-9-]+)?\.amazonaws\.com")


def is_remote(href: str) -> bool:
    """Whether the href is an http(s) or s3 URL."""
    return href.startswith(("http://", "https://", "s3://"))


def gdal_path(href: str) -> str:
    """The href in GDAL's file system."""
    if href.startswith("s3://"):
        return f"/vsis3/{href.removeprefix('s3://')}"
    return f"/vsicurl/{href}" if is_remote(href) else href


def mirrored(href: str, mirror: str) -> str:
    """Where a mirror keeps what a URL names: `<mirror>/<bucket>/<key>`, or `<mirror>/<host>/<path>` of no S3 host.

    A bucket is that of `s3://bucket/key`, `https://bucket.s3[.region].amazonaws.com/key` or
    `https://s3[.region].amazonaws.com/bucket/key`. Paths of local files are returned as they are.
    """
    if not is_remote(href):
        return href
    scheme, _, rest = href.partition("://")
    host, _, path = rest.partition("/")
    bucket = _VIRTUAL_HOST.fullmatch(host)
    if bucket:
        return f"{mirror}/{bucket['bucket']}/{path}"
    if scheme != "s3" and _PATH_HOST.fullmatch(host):
        return f"{mirror}/{path}"
    return f"{mirror}/{host}/{path}"


def gdal_options(timeout_s: float) -> dict[str, str | int]:
    """GDAL settings for reads by range, on S3 services named by AWS_ENDPOINT_URL too.

    GDAL takes credentials from the process environment; without any, requests are not signed.
    """
    options: dict[str, str | int] = {
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
        "GDAL_HTTP_MULTIPLEX": "YES",
        "GDAL_HTTP_CONNECTTIMEOUT": f"{min(10.0, timeout_s):g}",
        "GDAL_HTTP_TIMEOUT": f"{timeout_s:g}",
        "GDAL_HTTP_MAX_RETRY": str(ATTEMPTS - 1),
        "GDAL_HTTP_RETRY_DELAY": "1",
        "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
        "GDAL_PAM_ENABLED": "NO",
        "GDAL_CACHEMAX": 256,
    }
    endpoint = urlparse(os.environ.get("AWS_ENDPOINT_URL", ""))
    if endpoint.netloc:
        options |= {
            "AWS_S3_ENDPOINT": endpoint.netloc,
            "AWS_HTTPS": "NO" if endpoint.scheme == "http" else "YES",
            "AWS_VIRTUAL_HOSTING": "FALSE",
        }
    if "AWS_ACCESS_KEY_ID" not in os.environ:
        options["AWS_NO_SIGN_REQUEST"] = "YES"
    return options


def identify(href: str, *, timeout_s: float) -> Attributes | None:
    """What identifies the content now: sha256 and bytes of a file, ETag and bytes of a URL; None if nothing is there.

    Raises:
        SourceUnavailable: the host did not answer, refused, or answered with a web page.
        BadRaster: a local path that cannot be read.
    """
    if href.startswith("s3://"):
        return _identify_s3(href, timeout_s)
    return _identify_http(href, timeout_s) if is_remote(href) else _identify_file(Path(href))


def _identify_file(path: Path) -> Attributes | None:
    try:
        with path.open("rb") as file:
            return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BadRaster(f"{path}: cannot be read: {error.strerror}") from error


def _identify_http(href: str, timeout_s: float) -> Attributes | None:
    import httpx
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

    retrying = Retrying(
        retry=retry_if_exception_type(SourceUnavailable),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.2, max=2),
        reraise=True,
    )
    with httpx.Client(timeout=httpx.Timeout(timeout_s, connect=min(10.0, timeout_s)), follow_redirects=True) as client:
        answer = retrying(_head, client, href)
    if answer.status_code in {404, 410}:
        return None
    if answer.status_code >= 400:
        raise SourceUnavailable(f"{href}: refused with HTTP status {answer.status_code}")
    if answer.headers.get("content-type", "").startswith("text/html"):
        raise SourceUnavailable(f"{href}: expected a data file, found a web page")
    length = answer.headers.get("content-length")
    return {"etag": answer.headers.get("etag"), "bytes": int(length) if length else None}


def _head(client: Any, href: str) -> Any:
    """One HEAD request; worth another attempt where it raises."""
    import httpx

    try:
        answer = client.head(href)
    except httpx.HTTPError as error:
        raise SourceUnavailable(f"{href}: {type(error).__name__}: {error}") from error
    if answer.status_code >= 500 or answer.status_code == 429:
        raise SourceUnavailable(f"{href}: HTTP status {answer.status_code}")
    return answer


def _identify_s3(href: str, timeout_s: float) -> Attributes | None:
    from botocore.exceptions import BotoCoreError, ClientError

    signed = "AWS_ACCESS_KEY_ID" in os.environ
    bucket, _, key = href.removeprefix("s3://").partition("/")
    try:
        client = s3_client(attempts=ATTEMPTS, connect_s=min(10.0, timeout_s), read_s=timeout_s, signed=signed)
        answer = client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status == 404:
            return None
        raise SourceUnavailable(f"{href}: refused with HTTP status {status}") from error
    except BotoCoreError as error:
        raise SourceUnavailable(f"{href}: {error}") from error
    return {"etag": answer["ETag"], "bytes": answer["ContentLength"]}
