"""Who may do what on the local S3 service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from botocore.exceptions import ClientError

from headscarp.demo.processes import Supervisor, marked
from headscarp.demo.seaweed import start_seaweed

pytestmark = pytest.mark.service
ORIGIN = {"Origin": "https://map.example"}


@pytest.fixture(scope="module")
def public(s3_store: Any) -> Iterator[str]:
    """Address of the bucket for anonymous readers, with one public and one private object."""
    store = s3_store.store("")
    store.put("catalog/item.json", b"0123456789", "application/json")
    store.put("ledger/run.json", b"secret", "application/json")
    yield s3_store.server.public_url(s3_store.bucket)
    store.delete("catalog")
    store.delete("ledger")


class TestAnonymous:
    def test_may_read_the_catalogue(self, public: str) -> None:
        answer = httpx.get(f"{public}/catalog/item.json")
        assert answer.status_code == 200
        assert answer.content == b"0123456789"
        assert answer.headers["content-type"] == "application/json"

    @pytest.mark.parametrize(
        "path",
        [
            "/ledger/run.json", "/ledger/none.json", "", "/", "/?list-type=2", "/?list-type=2&prefix=catalog/",
            "/?policy", "/?versions", "/catalog/../ledger/run.json", "/catalog/%2e%2e/ledger/run.json",
            "/catalog%2f..%2fledger/run.json", "/catalogue", "//ledger/run.json",
        ],
    )  # fmt: skip
    def test_may_read_nothing_else(self, public: str, path: str) -> None:
        answer = httpx.get(public + path)
        assert answer.status_code in {400, 403, 404}
        assert b"secret" not in answer.content

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "PATCH"])
    def test_may_write_nothing(self, public: str, s3_store: Any, method: str) -> None:
        for path in ("/catalog/item.json", "/catalog/new.json", "/ledger/run.json"):
            assert httpx.request(method, public + path, content=b"x").status_code in {400, 403, 405}
        store = s3_store.store("")
        assert store.read("catalog/item.json") == b"0123456789"
        assert not store.exists("catalog/new.json")


class TestBrowsers:
    def test_see_the_headers_of_a_range(self, public: str) -> None:
        answer = httpx.get(f"{public}/catalog/item.json", headers=ORIGIN | {"Range": "bytes=2-4"})
        assert answer.status_code == 206
        assert answer.content == b"234"
        assert answer.headers["content-range"] == "bytes 2-4/10"
        assert answer.headers["access-control-allow-origin"] in {"*", ORIGIN["Origin"]}
        exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
        assert {"content-range", "etag", "content-length", "accept-ranges"} <= exposed

    def test_preflight(self, public: str) -> None:
        asked = ORIGIN | {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
        answer = httpx.options(f"{public}/catalog/item.json", headers=asked)
        assert answer.status_code == 200
        assert "GET" in answer.headers["access-control-allow-methods"]
        asked["Access-Control-Request-Method"] = "PUT"
        refused = httpx.options(f"{public}/catalog/item.json", headers=asked)
        assert "PUT" not in refused.headers.get("access-control-allow-methods", "")


def test_bucket_without_a_public_prefix_is_closed(s3_store: Any) -> None:
    s3_store.server.make_bucket("closed-bucket")
    s3_store.server.make_bucket("closed-bucket")
    s3_store.server.client().put_object(Bucket="closed-bucket", Key="catalog/x", Body=b"1")
    assert httpx.get(f"{s3_store.url}/closed-bucket/catalog/x").status_code == 403


def test_two_side_by_side_on_loopback_alone_and_data_outlive_a_kill(tmp_path: Path) -> None:
    with Supervisor(tmp_path / "one") as one, Supervisor(tmp_path / "two") as two:
        first, second = start_seaweed(one), start_seaweed(two)
        first.make_bucket("data")
        first.client().put_object(Bucket="data", Key="k", Body=b"kept")
        with pytest.raises(ClientError):
            second.client().get_object(Bucket="data", Key="k")
        with pytest.raises(ClientError):
            second.client(access_key=first.access_key, secret_key=first.secret_key).list_buckets()
        for process in marked(tmp_path / "one") + marked(tmp_path / "two"):
            listening = [c for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
            assert listening
            assert {c.laddr.ip for c in listening} == {"127.0.0.1"}
        one.children["seaweed"].process.kill()
        one.stop("seaweed")
        again = start_seaweed(one)
        assert again.client().get_object(Bucket="data", Key="k")["Body"].read() == b"kept"
    assert marked(tmp_path / "one") == []
