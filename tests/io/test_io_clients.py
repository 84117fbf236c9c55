"""S3 clients are made once for an environment, and anew for another one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from headscarp.io.clients import s3_client


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)


def client(read_s: float = 5) -> object:
    return s3_client(attempts=2, connect_s=1, read_s=read_s)


def test_threads_share_one_client() -> None:
    with ThreadPoolExecutor(4) as pool:
        assert len({id(made) for made in pool.map(client, [7.5] * 8)}) == 1


def test_other_patience_credentials_or_endpoint_need_another(monkeypatch: pytest.MonkeyPatch) -> None:
    first = client()
    assert client(read_s=6) is not first
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "c")
    second = client()
    assert second is not first
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    third = s3_client(attempts=2, connect_s=1, read_s=5)
    assert third is not second
    assert third.meta.endpoint_url == "http://127.0.0.1:9"
