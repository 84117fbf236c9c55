"""Real services for tests: one object store per session, one endpoint per session."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from headscarp.core.normalisation import EventStatistics, Normalisation
from headscarp.demo.processes import Supervisor
from headscarp.demo.seaweed import Seaweed, start_seaweed
from headscarp.demo.torchserve import TorchServe, start_torchserve
from headscarp.io.store import S3Store
from headscarp.pipeline.archive import Archive, build_archive

BUCKET = "headscarp-test"


@dataclass(frozen=True)
class S3Service:
    """A running S3 server with one bucket whose `catalog/` folder anyone may read."""

    server: Seaweed
    bucket: str = BUCKET
    _count: Iterator[int] = field(default_factory=itertools.count)

    @property
    def url(self) -> str:
        return self.server.url

    def url_of(self, prefix: str = "") -> str:
        """Store URL for `open_store`; the environment must hold the credentials (fixture `s3_env`)."""
        return f"s3://{self.bucket}/{prefix}".rstrip("/")

    def store(self, prefix: str | None = None) -> S3Store:
        """A store with its own client; by default below a prefix that nobody else has."""
        chosen = f"test-{next(self._count)}" if prefix is None else prefix
        return S3Store(self.bucket, chosen, self.server.client())


@pytest.fixture(scope="session")
def s3_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Service]:
    """SeaweedFS on free loopback ports."""
    with Supervisor(tmp_path_factory.mktemp("s3")) as supervisor:
        server = start_seaweed(supervisor)
        server.make_bucket(BUCKET, "catalog")
        yield S3Service(server)


@pytest.fixture
def s3_env(s3_store: S3Service, monkeypatch: pytest.MonkeyPatch) -> S3Service:
    """The same, with the AWS_* variables set for boto3, s3fs and `open_store`."""
    import s3fs

    for name, value in s3_store.server.env.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    return s3_store


@pytest.fixture(scope="session")
def tiny_event() -> EventStatistics:
    """SYNTHETIC statistics of what the tiny bundle normalises by the event."""
    return TINY_EVENT


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with random weights and a categorical channel that normalises by the event."""
    return random_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


TINY_EVENT = EventStatistics(
    {
        "slope": tuple(1.0 + 1.2 * k for k in range(13)),
        "river_distance": tuple(2.0**k / 256.0 for k in range(13)),
        "pga": tuple(0.5 + k for k in range(13)),
    }
)
"""SYNTHETIC statistics for what the tiny bundle normalises by the event."""


def random_bundle(folder: Path, *, version: str = "1.0", seed: int = 0, normalisation: Normalisation = "event") -> Path:
    """Write a small bundle with random weights."""
    import torch

    from headscarp.core.manifest import Architecture, InputChannel, Manifest
    from headscarp.core.tiling import CropPlan
    from headscarp.ml.bundle import save_bundle
    from headscarp.ml.network import build_network

    manifest = Manifest(
        name="tiny",
        version=version,
        inputs=(
            InputChannel("slope", "dem", "identity"),
            InputChannel("river_distance", "dem", "log1p"),
            InputChannel("pga", "shakemap", "ln"),
            InputChannel("lithology", "lithology", classes=16),
        ),
        required=frozenset({"slope", "pga"}),
        architecture=Architecture("C", 4),
        table_digest="0123456789abcdef" * 4,
        plan=CropPlan(128, 88),
        normalisation=normalisation,
        absolute=frozenset({"pga"} if normalisation == "event" else ()),
        synthetic=True,
    )
    torch.manual_seed(seed)
    network = build_network(manifest)
    with torch.no_grad():
        layer = network.standardise
        medians = {"slope": (20.0, 10.0), "river_distance": (5.0, 2.0), "pga": (-2.0, 1.0)}
        seen = [medians[layer.inputs[i].name] for i in layer.by_value]
        layer.median.copy_(torch.tensor([median for median, _ in seen]))
        layer.scale.copy_(torch.tensor([scale for _, scale in seen]))
    save_bundle(folder, manifest, network.eval(), card="SYNTHETIC: random weights for tests.\n")
    return folder


@pytest.fixture(scope="session")
def tiny_archive(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory, root: Path) -> Archive:
    """The bundle as a TorchServe archive."""
    return archive_of(tiny_bundle, tmp_path_factory.mktemp("mar"), root)


def archive_of(bundle: Path, folder: Path, root: Path) -> Archive:
    """An archive with the project's handler."""
    serving = root / "serving"
    return build_archive(bundle, folder, handler=serving / "handler.py", config=serving / "model-config.yaml")


@pytest.fixture(scope="session")
def torchserve(tiny_archive: Archive, tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[TorchServe]:
    """TorchServe with the random bundle, READY."""
    with Supervisor(tmp_path_factory.mktemp("ts")) as supervisor:
        yield start_torchserve(supervisor, tiny_archive, config=root / "serving" / "config.properties")
