"""A Prefect server on SQLite, its deployments and a worker, all inside one folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_random

from headscarp.demo.processes import LOOPBACK, Child, Service, Supervisor, free_ports
from headscarp.errors import Unavailable

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PrefectServer:
    """A running Prefect server; `env` points clients, workers and flows at it."""

    api_url: str
    home: Path
    startup_s: float
    database_url: str | None = None
    """PostgreSQL; SQLite in `home` where None."""

    @property
    def env(self) -> dict[str, str]:
        """Environment for everything that talks to this server."""
        return _environment(self.home, self.api_url)


def start_prefect(
    supervisor: Supervisor, *, database_url: str | None = None, timeout_s: float = 120.0
) -> PrefectServer:
    """Start the server on a free loopback port, on `database_url` or on SQLite in the supervisor's `prefect/`."""
    home = supervisor.folder / "prefect"
    port = free_ports(1)[0]
    api_url = f"http://{LOOPBACK}:{port}/api"
    argv = [*_cli(), "server", "start", "--host", LOOPBACK, "--port", str(port)]
    env = _environment(home, api_url)
    env |= {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database_url} if database_url else {}
    child = supervisor.start(Service("prefect", argv, home, env, stop_s=15.0))
    elapsed = supervisor.wait_ready(child, lambda: _healthy(api_url), timeout_s)
    return PrefectServer(api_url, home, elapsed, database_url)


def make_pool(server: PrefectServer, pool: str) -> None:
    """Create a pool for process workers; calling it again is harmless.

    Raises:
        Unavailable: the server refused, or was busy all the time.
    """
    _ask("POST", f"{server.api_url}/work_pools/", {"name": pool, "type": "process"}, accepted=httpx.codes.CONFLICT)


def deploy(
    server: PrefectServer,
    prefect_file: Path,
    *,
    root: Path | None = None,
    env: Mapping[str, str] = _NOTHING,
    timeout_s: float = 240.0,
) -> str:
    """Deploy everything in a `prefect.yaml` and return what the command printed.

    Entrypoints in the file are relative to `root`, by default the file's own folder.

    Raises:
        Unavailable: the command failed; the message ends with its output.
    """
    argv = [*_cli(), "--no-prompt", "deploy", "--all", "--prefect-file", str(prefect_file.resolve())]
    environment = {**os.environ, **server.env, **env}
    folder = root or prefect_file.parent
    try:
        done = subprocess.run(  # noqa: S603
            argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"prefect deploy {prefect_file}: not done after {timeout_s:g} s") from error
    if done.returncode != 0:
        raise Unavailable(
            f"prefect deploy {prefect_file}: code {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}"
        )
    return done.stdout


def repeat_every(server: PrefectServer, deployment: str, seconds: float) -> None:
    """Give every schedule of a deployment (`flow/name`) another interval. Raises Unavailable."""
    found = _ask("GET", f"{server.api_url}/deployments/name/{deployment}").json()
    kept = [{"slug": s["slug"], "active": True, "schedule": {"interval": seconds}} for s in found["schedules"]]
    _ask("PATCH", f"{server.api_url}/deployments/{found['id']}", {"schedules": kept})


def start_worker(
    supervisor: Supervisor,
    server: PrefectServer,
    pool: str,
    *,
    env: Mapping[str, str] = _NOTHING,
    limit: int = 2,
    timeout_s: float = 90.0,
) -> Child:
    """Start a process worker and wait until the server sees it online; flows inherit `env`."""
    make_pool(server, pool)
    name = f"worker-{pool}"
    argv = [*_cli(), "worker", "start", "--pool", pool, "--type", "process", "--name", name, "--limit", str(limit)]
    service = Service(name, argv, supervisor.folder / name, server.env | dict(env), signal.SIGINT, stop_s=15.0)
    child = supervisor.start(service)
    supervisor.wait_ready(child, lambda: _online(server, pool, name), timeout_s)
    return child


def _ask(method: str, url: str, body: object = None, *, accepted: int = httpx.codes.OK) -> httpx.Response:
    """One call of the server's API; SQLite locked by the server's own services is answered with 503, so ask again."""
    waiting = Retrying(
        retry=retry_if_result(lambda a: a.status_code == httpx.codes.SERVICE_UNAVAILABLE),
        wait=wait_random(0.3, 1.0),
        stop=stop_after_delay(60.0),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    try:
        answer: httpx.Response = waiting(httpx.request, method, url, json=body, timeout=30.0, trust_env=False)
    except httpx.HTTPError as error:
        raise Unavailable(f"{method} {url}: {error}") from error
    if not answer.is_success and answer.status_code != accepted:
        raise Unavailable(f"{method} {url}: {answer.status_code} {answer.text[:300]}")
    return answer


def _cli() -> list[str]:
    return [sys.executable, "-m", "prefect"]


def _environment(home: Path, api_url: str) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": api_url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_COLORS": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "NO_PROXY": LOOPBACK,
    }


def _healthy(api_url: str) -> bool:
    try:
        return httpx.get(f"{api_url}/health", timeout=2.0, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _online(server: PrefectServer, pool: str, name: str) -> bool:
    url = f"{server.api_url}/work_pools/{pool}/workers/filter"
    try:
        answer = httpx.post(url, json={}, timeout=5.0, trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK and any(
        worker["name"] == name and worker["status"] == "ONLINE" for worker in answer.json()
    )
