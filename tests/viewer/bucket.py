"""A public bucket as the page sees one: anonymous GET of files, byte ranges, nothing else."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
}


@dataclass
class Bucket:
    """A running bucket; `requests` and `sent` say what was asked for and how many bytes left."""

    folder: Path
    url: str = ""
    broken: dict[str, int] = field(default_factory=dict)
    """Status to answer with, by path."""
    slow: dict[str, float] = field(default_factory=dict)
    """Seconds to wait before answering, by path."""
    requests: list[str] = field(default_factory=list)
    sent: int = 0


@contextmanager
def serve(folder: Path) -> Iterator[Bucket]:
    """Serve a folder on a free port of loopback."""
    bucket = Bucket(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(bucket))
    server.daemon_threads = True
    bucket.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield bucket
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(bucket: Bucket) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            key = self.path.partition("?")[0].lstrip("/")
            bucket.requests.append(key)
            path = bucket.folder / key
            time.sleep(bucket.slow.get(key, 0.0))
            if key in bucket.broken or not path.is_file():
                self.answer(bucket.broken.get(key, 404), b"no", {})
                return
            data, status, headers = path.read_bytes(), 200, {}
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if asked:
                first, last = int(asked[1]), min(int(asked[2]), len(data) - 1)
                headers, status = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}, 206
                data = data[first : last + 1]
            self.answer(status, data, headers | {"Content-Type": TYPES.get(path.suffix, "application/octet-stream")})

        def answer(self, status: int, data: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(data))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
            bucket.sent += len(data)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
