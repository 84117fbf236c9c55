"""A real Prefect server, a deployment and a worker that runs it."""

from __future__ import annotations

import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from headscarp.demo.postgres import find_postgres, start_postgres
from headscarp.demo.prefect_server import PrefectServer, deploy, make_pool, start_prefect, start_worker
from headscarp.demo.processes import Supervisor, marked, tail
from headscarp.demo.services import ROOT
from headscarp.errors import Unavailable
from tests.conftest import need
from tests.pipeline.grounds import make_ground, part

pytestmark = pytest.mark.service

FLOW = """
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
import os
from prefect import flow

@flow
def write(path: str, text: str) -> None:
    Path(path).write_text(text + os.environ["GREETING"])
"""
PREFECT_YAML = """
name: test
pull:
  - prefect.deployments.steps.set_working_directory:
      directory: {folder}
deployments:
  - name: local
    entrypoint: flow_file.py:write
    work_pool:
      name: pool
  - name: prebuild
    entrypoint: {flows}/prebuild.py:prebuild
    work_pool:
      name: pool
"""


def call(server: PrefectServer, method: str, path: str, **json: Any) -> Any:
    """One API call; 503 is how the server says that SQLite is locked, and its own clients repeat it too."""
    for _ in range(20):
        answer = httpx.request(method, f"{server.api_url}{path}", json=json or None, timeout=30)
        if answer.status_code != 503:
            break
        time.sleep(0.5)
    return answer.raise_for_status().json()


def run_deployment(server: PrefectServer, name: str, **parameters: Any) -> str:
    """Ask for a run of a deployment and wait for its end; its last state."""
    deployment = call(server, "GET", f"/deployments/name/{name}")
    run = call(
        server, "POST", f"/deployments/{deployment['id']}/create_flow_run",
        parameters=parameters, state={"type": "SCHEDULED"},
    )  # fmt: skip
    deadline, state = time.monotonic() + 180, "SCHEDULED"
    while state not in {"COMPLETED", "FAILED", "CRASHED"} and time.monotonic() < deadline:
        time.sleep(0.5)
        state = call(server, "GET", f"/flow_runs/{run['id']}")["state_type"]
    return str(state)


def test_deploy_and_run(tmp_path: Path) -> None:
    """A small flow with the worker's environment; then the flow that fills the lattice ahead of time."""
    (tmp_path / "ground").mkdir()
    ground = make_ground(tmp_path / "ground", height=200, width=200)
    absent = {name: {"absent": "not in the test"} for name in ("soil", "ndvi", "rivers")}
    (tmp_path / "sources.yaml").write_text(yaml.safe_dump({"layers": {**ground.layers, **absent}}))
    (tmp_path / "flow_file.py").write_text(textwrap.dedent(FLOW))
    (tmp_path / "prefect.yaml").write_text(PREFECT_YAML.format(folder=tmp_path, flows=ROOT / "flows"))
    settings = {"HEADSCARP_STORE": str(tmp_path / "store"), "HEADSCARP_SOURCES": str(tmp_path / "sources.yaml")}
    with Supervisor(tmp_path / "demo") as supervisor:
        server = start_prefect(supervisor)
        make_pool(server, "pool")
        deploy(server, tmp_path / "prefect.yaml")
        worker = start_worker(supervisor, server, "pool", env={"GREETING": "!", **settings})
        output = tmp_path / "output.txt"
        assert run_deployment(server, "write/local", path=str(output), text="done") == "COMPLETED", tail(worker.log)
        assert output.read_text() == "done!"
        box = part(10, 10, 50, 50).geographic_extent.boundingbox
        state = run_deployment(server, "prebuild/prebuild", bbox=[box.left, box.bottom, box.right, box.top])
        assert state == "COMPLETED", tail(worker.log)
        assert len(list((tmp_path / "store/lattice").glob("*/32634/blocks/*.json"))) == 1
        assert (tmp_path / "demo" / "prefect" / "prefect.db").exists()
    assert marked(tmp_path / "demo") == []


def test_a_deployment_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "prefect.yaml").write_text("name: x\ndeployments:\n  - name: y\n    entrypoint: nowhere.py:flow\n")
    server = PrefectServer("http://127.0.0.1:9/api", tmp_path / "home", 0.0)
    with pytest.raises(Unavailable, match="prefect deploy"):
        deploy(server, tmp_path / "prefect.yaml")


@pytest.fixture
def postgres_programs() -> Path:
    """Debian's PostgreSQL."""
    found = find_postgres()
    return found or need(Path("/usr/lib/postgresql"), "PostgreSQL")


def test_postgres_keeps_deployments_over_a_restart_of_the_server(
    tmp_path_factory: pytest.TempPathFactory, postgres_programs: Path
) -> None:
    import shutil
    import tempfile

    place = Path(tempfile.mkdtemp(prefix="headscarp-pg-"))
    place.chmod(0o755)
    try:
        with Supervisor(tmp_path_factory.mktemp("postgres")) as supervisor:
            database = start_postgres(supervisor, data=place / "data")
            first = start_prefect(supervisor, database_url=database.url)
            make_pool(first, "kept")
            supervisor.stop("prefect")
            second = start_prefect(supervisor, database_url=database.url)
            pools = call(second, "POST", "/work_pools/filter")
            assert "kept" in {pool["name"] for pool in pools}
    finally:
        shutil.rmtree(place, ignore_errors=True)


class TestABusyServer:
    """SQLite locked is answered with 503, which is no reason to give up."""

    def test_is_asked_again(self) -> None:
        with answering(503, 503, 201) as (server, asked):
            make_pool(server, "pool")
        assert asked == ["POST /api/work_pools/"] * 3

    def test_a_refusal_is_not(self) -> None:
        with answering(422) as (server, asked), pytest.raises(Unavailable, match="422"):
            make_pool(server, "pool")
        assert len(asked) == 1


@contextmanager
def answering(*codes: int) -> Iterator[tuple[PrefectServer, list[str]]]:
    """A server that gives these answers in turn."""
    left, asked = list(codes), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(f"POST {self.path}")
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(left.pop(0))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield PrefectServer(f"http://127.0.0.1:{server.server_address[1]}/api", Path(), 0.0), asked
    finally:
        server.shutdown()
        server.server_close()
