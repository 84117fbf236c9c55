"""Client of the USGS feeds, the event service and product files."""

from __future__ import annotations

import base64
import hashlib
import re
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlencode, urlsplit

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from headscarp.errors import Deleted, InvalidInput, NotAnEvent, NotFound, SourceUnavailable
from headscarp.io.inputs.usgs_models import EVENT_ID, parse_detail, parse_feed
from headscarp.io.inputs.usgs_products import Content, EventDetail, FeedEntry, ShakeMapProduct

__all__ = ["Content", "EventDetail", "FeedEntry", "ShakeMapProduct", "UsgsClient"]

MAX_JSON_BYTES = 50 * 2**20
MAX_FILE_BYTES = 200 * 2**20
MAX_REDIRECTS = 3
PATIENCE = 10
"""A response may trickle for this many timeouts before it is given up."""

_FEED = re.compile(r"^(all|1\.0|2\.5|4\.5|significant)_(hour|day|week|month)$")
_USER_AGENT = "headscarp (earthquake-triggered landslide maps)"


class UsgsClient:
    """Reads from one USGS-like server, `base_url`, and from *.usgs.gov where that server points there.

    Retries with jitter what may pass (no answer, 5xx, 429, HTML instead of JSON, a file that does
    not match its checksum), `attempts` times in all, and nothing else.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float,
        transport: httpx.BaseTransport | None = None,
        attempts: int = 4,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidInput(f"base address {base_url!r}: expected http:// or https:// and a host")
        self.base_url = base_url.rstrip("/")
        self._home = parts.netloc.lower()
        self._patience_s = PATIENCE * timeout_s
        self._http = httpx.Client(timeout=timeout_s, transport=transport, headers={"User-Agent": _USER_AGENT})
        self._retrying = Retrying(
            retry=retry_if_exception_type(SourceUnavailable),
            stop=stop_after_attempt(attempts),
            wait=wait_random_exponential(multiplier=0.5, max=8),
            sleep=sleep,
            reraise=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close idle connections."""
        self._http.close()

    def feed(self, name: str) -> tuple[FeedEntry, ...]:
        """The summary feed `name`, as `4.5_day`.

        Raises:
            InvalidInput: no such feed, or the response is no feed.
            SourceUnavailable: no proper answer in time.
        """
        if not _FEED.fullmatch(name):
            raise InvalidInput(f"feed {name!r}: expected all, 1.0, 2.5, 4.5 or significant, then _hour to _month")
        url = f"{self.base_url}/earthquakes/feed/v1.0/summary/{name}.geojson"
        return parse_feed(self._json(url), url)

    def detail(self, event_id: str) -> EventDetail:
        """The event `event_id` names now; an old alias gives the event under its present id.

        Raises:
            NotAnEvent: the id is malformed.
            NotFound: USGS does not know it. Deleted: USGS withdrew it.
            SourceUnavailable: no proper answer in time.
        """
        if not re.fullmatch(EVENT_ID, event_id):
            raise NotAnEvent(f"event id {event_id[:80]!r}: expected letters, digits, '_', '-' or '.'")
        query = urlencode({"eventid": event_id, "format": "geojson"})
        url = f"{self.base_url}/fdsnws/event/1/query?{query}"
        return parse_detail(self._json(url), url)

    def detail_from(self, source: str | Path) -> EventDetail:
        """The event detail at a URL of USGS or of the base address, or in a file, plain or gzipped.

        Raises:
            NotAnEvent: no such file, or something else than an event detail.
        """
        if isinstance(source, str) and re.match(r"^[A-Za-z][A-Za-z0-9+.-]*://", source):
            return parse_detail(self._json(source), source)
        return parse_detail(_file_bytes(Path(source)), str(source))

    def download(self, content: Content) -> bytes:
        """The file, checked against its length and SHA-256 where USGS gives them.

        Raises:
            NotFound: it has no address, or is gone.
            InvalidInput: it is larger than 200 MB, or lies on a host that is not USGS's.
            SourceUnavailable: no answer in time, or the checks keep failing.
        """
        if content.url is None:
            raise NotFound("product file: expected an address, found inline text")
        url = self._checked(content.url)
        return self._retrying(self._verified, url, content)

    def _verified(self, url: str, content: Content) -> bytes:
        body = self._get(url, MAX_FILE_BYTES)
        if content.length is not None and len(body) != content.length:
            raise SourceUnavailable(f"{url}: expected {content.length} bytes, found {len(body)}")
        found = base64.b64encode(hashlib.sha256(body).digest()).decode()
        if content.sha256_base64 and found != content.sha256_base64.strip():
            raise SourceUnavailable(f"{url}: expected sha256 {content.sha256_base64}, found {found}")
        return body

    def _json(self, url: str) -> bytes:
        return self._retrying(self._json_once, self._checked(url))

    def _json_once(self, url: str) -> bytes:
        body = self._get(url, MAX_JSON_BYTES)
        if body.lstrip()[:1] in {b"<", b""}:
            raise SourceUnavailable(f"{url}: expected JSON, found {'HTML' if body.strip() else 'nothing'}")
        return body

    def _get(self, url: str, limit: int) -> bytes:
        try:
            for _ in range(MAX_REDIRECTS + 1):
                with self._http.stream("GET", url) as response:
                    if not response.has_redirect_location:
                        _check_status(response.status_code, url)
                        return self._body(response, limit)
                    url = self._checked(str(response.url.join(response.headers["Location"])))
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise SourceUnavailable(f"{url}: {type(error).__name__}: {error}") from error
        raise SourceUnavailable(f"{url}: expected at most {MAX_REDIRECTS} redirects")

    def _body(self, response: httpx.Response, limit: int) -> bytes:
        deadline = time.monotonic() + self._patience_s
        chunks, size = [], 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > limit:
                raise InvalidInput(f"{response.url}: expected at most {limit} bytes")
            if time.monotonic() > deadline:
                raise SourceUnavailable(f"{response.url}: not complete after {self._patience_s:.0f} s")
            chunks.append(chunk)
        return b"".join(chunks)

    def _checked(self, url: str) -> str:
        """The address itself; InvalidInput unless it is http(s) on the base host or under usgs.gov."""
        try:
            parts = urlsplit(url)
            host, home = (parts.hostname or "").lower(), parts.netloc.lower() == self._home
            usgs = (host == "usgs.gov" or host.endswith(".usgs.gov")) and parts.port in {None, 80, 443}
        except ValueError as error:
            raise InvalidInput(f"{url[:200]!r}: expected a web address: {error}") from error
        if parts.scheme not in {"http", "https"} or "@" in parts.netloc or not (home or usgs):
            raise InvalidInput(f"{url[:200]!r}: expected http(s) on {self._home} or under usgs.gov")
        return url


def _check_status(status: int, url: str) -> None:
    if status == 200:
        return
    if status in {204, 404}:
        raise NotFound(f"{url}: {status}, USGS knows no such thing")
    if status == 409:
        raise Deleted(f"{url}: {status}, withdrawn by its author")
    if status in {408, 429} or status < 400 or status >= 500:
        raise SourceUnavailable(f"{url}: expected status 200, found {status}")
    raise InvalidInput(f"{url}: expected status 200, found {status}")


def _file_bytes(path: Path) -> bytes:
    """Content of a small file, unpacked if gzipped."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise NotAnEvent(f"{path}: expected an event detail file: {error.strerror}") from error
    if data[:2] == b"\x1f\x8b":
        data = _gunzipped(data, path)
    if len(data) > MAX_JSON_BYTES:
        raise InvalidInput(f"{path}: expected at most {MAX_JSON_BYTES} bytes")
    return data


def _gunzipped(data: bytes, path: Path) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(data, MAX_JSON_BYTES + 1)
    except zlib.error as error:
        raise NotAnEvent(f"{path}: expected a gzip file: {error}") from error
    if not unpacker.eof and len(text) <= MAX_JSON_BYTES:
        raise NotAnEvent(f"{path}: expected a whole gzip file, found its beginning only")
    return text
