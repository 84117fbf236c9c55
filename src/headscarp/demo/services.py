"""Start every server of the demo, in the order in which they need one another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from headscarp.demo.prefect_server import deploy, repeat_every, start_prefect, start_worker
from headscarp.demo.processes import Supervisor
from headscarp.demo.seaweed import Seaweed, start_seaweed
from headscarp.demo.torchserve import TorchServe, start_torchserve
from headscarp.pipeline.archive import build_archive

ROOT = Path(__file__).resolve().parents[3]
"""The project's root: the demo runs the flows and the handler of a checkout."""
BUCKET = "headscarp"
POOL = "headscarp"
WATCH_EVERY_S = 10.0
Announce = Callable[[str], None]


@dataclass
class Timings:
    """Seconds by step, in order."""

    announce: Announce
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time the body and tell that it began."""
        self.announce(name)
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started


def start_store(supervisor: Supervisor, timings: Timings) -> Seaweed:
    """The S3 server with one bucket, whose `catalog/` anyone may read."""
    with timings.step("S3 server (SeaweedFS)"):
        seaweed = start_seaweed(supervisor)
        seaweed.make_bucket(BUCKET, public_prefix="catalog")
    return seaweed


def start_endpoint(supervisor: Supervisor, timings: Timings, *, bundle: Path) -> TorchServe:
    """TorchServe with one bundle."""
    with timings.step("inference endpoint (TorchServe)"):
        serving = ROOT / "serving"
        archive = build_archive(
            bundle,
            supervisor.folder / "archives",
            handler=serving / "handler.py",
            config=serving / "model-config.yaml",
        )
        return start_torchserve(supervisor, archive, config=serving / "config.properties")


def start_flows(supervisor: Supervisor, timings: Timings, *, env: Mapping[str, str]) -> str:
    """Prefect's server, the deployments of `flows/prefect.yaml` and a worker; returns the address of its pages."""
    with timings.step("orchestration (Prefect server)"):
        server = start_prefect(supervisor)
    with timings.step("deployments and worker"):
        start_worker(supervisor, server, POOL, env=env, limit=4)
        deploy(
            server,
            ROOT / "flows" / "prefect.yaml",
            root=ROOT,
            env={**env, "HEADSCARP_ROOT": str(ROOT)},
        )
        repeat_every(server, "watch/watch", WATCH_EVERY_S)
    return server.api_url.removesuffix("/api")
