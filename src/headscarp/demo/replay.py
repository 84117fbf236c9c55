"""A server that answers like USGS, from a script."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from headscarp.demo.publications import Publication
from headscarp.errors import InvalidInput
from headscarp.io.outputs.usgs_format import USGS_URL, Json, feed, to_json

_FEED = re.compile(
    r"^/earthquakes/feed/v1\.0/summary/((all|1\.0|2\.5|4\.5|significant)_(hour|day|week|month))\.geojson$"
)
_FEED_DETAIL = re.compile(r"^/earthquakes/feed/v1\.0/detail/([A-Za-z0-9_.-]+)\.geojson$")
_THRESHOLDS = {"all": -10.0, "1.0": 0.95, "2.5": 2.45, "4.5": 4.45, "significant": -10.0}
_SIGNIFICANT = 600
_TYPES = {"json": "application/json", "xml": "application/xml", "zip": "application/zip"}
_JSON_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """One response."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Replay:
    """The state of the replayed service and its answers; every method may be called from any thread.

    Feeds hold every published event of sufficient magnitude: origins may lie years back, so the
    period in a feed's name is not applied.
    """

    def __init__(
        self, script: Sequence[Publication], *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._lock = threading.Lock()
        self._waiting = sorted(script, key=lambda step: step.after_s)
        self._events: list[Json] = []
        self._files: dict[str, bytes] = {}
        self._faults: list[int] = []
        self._now = now

    def publish_next(self) -> Publication | None:
        """Publish the next step of the script, whatever its time; None at the end."""
        with self._lock:
            return self._publish() if self._waiting else None

    def advance(self, to_s: float) -> int:
        """Publish every step due `to_s` seconds after the start; how many these were."""
        count = 0
        with self._lock:
            while self._waiting and self._waiting[0].after_s <= to_s:
                self._publish()
                count += 1
        return count

    def next_due_s(self) -> float | None:
        """Time of the next step, None at the end."""
        with self._lock:
            return self._waiting[0].after_s if self._waiting else None

    def fail_next(self, count: int, *, status: int = 503) -> None:
        """Answer the next `count` requests with an HTML page and `status`, which may be 200."""
        with self._lock:
            self._faults += [status] * count

    def answer(self, target: str, base_url: str) -> Answer:
        """The response to a GET of `target` (path and query); addresses in it begin with `base_url`."""
        with self._lock:
            if self._faults:
                page = b"<html><body>The service is temporarily unavailable</body></html>"
                return Answer(self._faults.pop(0), page, {"Content-Type": "text/html"})
            answer = self._route(target)
        return Answer(answer.status, answer.body.replace(USGS_URL.encode(), base_url.encode()), answer.headers)

    def _publish(self) -> Publication:
        step = self._waiting.pop(0)
        ids = _ids(step.detail)
        self._events = [*(event for event in self._events if not ids & _ids(event)), step.detail]
        self._files.update(step.files)
        return step

    def _route(self, target: str) -> Answer:
        parts = urlsplit(target)
        if match := _FEED.fullmatch(parts.path):
            return self._feed(match[1], match[2])
        if match := _FEED_DETAIL.fullmatch(parts.path):
            return self._detail(match[1], {})
        if parts.path == "/fdsnws/event/1/query":
            return self._query({key: values[-1] for key, values in parse_qs(parts.query).items()})
        if parts.path.startswith("/product/"):
            return self._product(parts.path[1:])
        return _error(404, "no such page")

    def _feed(self, name: str, size: str) -> Answer:
        chosen = [event for event in self._events if _in_feed(event["properties"], size)]
        return self._json(feed(map(_current, chosen), name, generated=self._now()))

    def _query(self, query: Mapping[str, str]) -> Answer:
        format_ = query.get("format", "quakeml")
        if "eventid" not in query:
            return _error(400, "this replay answers queries by eventid only")
        if query.get("includedeleted") == query.get("includesuperseded") == "true":
            return _error(400, "includedeleted and includesuperseded exclude each other")
        if format_ != "geojson":
            known = self._find(query["eventid"]) is not None
            return _error(400, f"this replay does not write {format_}") if known else Answer(204)
        return self._detail(query["eventid"], query)

    def _detail(self, event_id: str, query: Mapping[str, str]) -> Answer:
        event = self._find(event_id)
        if event is None:
            return _error(404, f"{event_id} not found")
        if event["properties"]["status"] == "deleted" and query.get("includedeleted") != "true":
            return _error(409, f"{event_id} has been deleted")
        return self._json(event if query.get("includesuperseded") == "true" else _current(event))

    def _find(self, event_id: str) -> Json | None:
        return next((event for event in self._events if event_id in _ids(event)), None)

    def _json(self, content: Json) -> Answer:
        headers = {
            "Content-Type": _JSON_TYPE,
            "Cache-Control": "public, max-age=60",
            "Last-Modified": formatdate(self._now().timestamp(), usegmt=True),
        }
        return Answer(200, to_json(content), headers)

    def _product(self, path: str) -> Answer:
        if path not in self._files:
            return _error(404, "no such file")
        body = self._files[path]
        headers = {
            "Content-Type": _TYPES.get(path.rpartition(".")[2], "application/octet-stream"),
            "Cache-Control": "public, max-age=315360000",
            "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        }
        return Answer(200, body, headers)


class ReplayServer(Replay):
    """The replay on a loopback port, 0 for any free one; a context manager."""

    def __init__(
        self,
        script: Sequence[Publication],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(script, now=now)
        if host not in {"127.0.0.1", "localhost", "::1"}:
            raise InvalidInput(f"replay: expected a loopback host, found {host!r}")
        self._server = ThreadingHTTPServer((host, port), _handler(self))
        self._server.daemon_threads = True
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._serving = False
        self.url = f"http://{host}:{self._server.server_address[1]}"
        """Base address, to be given to the client."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Answer from now on, in a thread."""
        self._serving = True
        self._run(lambda: self._server.serve_forever(poll_interval=0.05))

    def play(self, *, speed: float = 1.0) -> None:
        """Publish the script in real time, `speed` times as fast, in a thread."""
        self._run(lambda: self._play(speed))

    def stop(self) -> None:
        """Close the port and end the threads."""
        self._stopping.set()
        if self._serving:
            self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join(timeout=10)
        self._threads.clear()

    def _run(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name="replay", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _play(self, speed: float) -> None:
        started = time.monotonic()
        while (due_s := self.next_due_s()) is not None:
            if self._stopping.wait(max(0.0, started + due_s / speed - time.monotonic())):
                return
            self.advance(due_s)


def _handler(replay: ReplayServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "headscarp-replay"

        def do_GET(self) -> None:
            self._send(replay.answer(self.path, replay.url), body=True)

        def do_HEAD(self) -> None:
            self._send(replay.answer(self.path, replay.url), body=False)

        def _send(self, answer: Answer, *, body: bool) -> None:
            self.send_response(answer.status)
            headers = {"Access-Control-Allow-Origin": "*", **answer.headers}
            if answer.status != HTTPStatus.NO_CONTENT:
                headers["Content-Length"] = str(len(answer.body))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is the base class's
            """Keep quiet: callers log what they ask for."""

    return Handler


def _ids(detail: Json) -> set[str]:
    """Every alias of the event."""
    return {detail["id"], *(part for part in detail["properties"].get("ids", "").split(",") if part)}


def _in_feed(properties: Json, size: str) -> bool:
    if properties["status"] == "deleted" or properties["mag"] is None:
        return False
    significant = size != "significant" or (properties.get("sig") or 0) >= _SIGNIFICANT
    return significant and properties["mag"] >= _THRESHOLDS[size]


def _current(detail: Json) -> Json:
    """The detail with the newest update of each product only, withdrawn ones left out, preferred ones first."""
    products = {}
    for kind, updates in detail["properties"]["products"].items():
        newest: dict[tuple[str, str], Json] = {}
        for update in sorted(updates, key=lambda u: u["updateTime"]):
            newest[update["source"], update["code"]] = update
        alive = [update for update in newest.values() if update["status"] != "DELETE"]
        if alive:
            products[kind] = sorted(alive, key=lambda u: (-u["preferredWeight"], -u["updateTime"]))
    return {**detail, "properties": {**detail["properties"], "products": products}}


def _error(status: int, message: str) -> Answer:
    text = f"Error {status}: {HTTPStatus(status).phrase}\n\n{message}\n"
    return Answer(status, text.encode(), {"Content-Type": "text/plain; charset=utf-8"})
