"""Fixtures shared by all tests: where real data lie, and no credentials of anyone's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = ["tests.fixtures_services"]

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

for name in [n for n in os.environ if n.startswith(("AWS_", "HEADSCARP_", "PREFECT_"))]:
    del os.environ[name]
os.environ.update(AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing", AWS_REGION="us-east-1")


def need(path: Path, what: str, *, installed_by_ci: bool = True) -> Path:
    """The path; skips where it is absent, fails in CI where .ci/run installs it."""
    if path.exists():
        return path
    message = f"{what} is not on this machine"
    if installed_by_ci and os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def record_property(record_property: Callable[[str, object], None]) -> Callable[[str, object], None]:
    """As pytest's, in words: numbers of numpy do not travel between test processes."""
    return lambda name, value: record_property(name, str(value))


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real events, ShakeMaps and USGS responses."""
    return need(SHARED / "data", "the folder of real data", installed_by_ci=False)


@pytest.fixture(scope="session")
def shared_schemas() -> Path:
    """JSON schemas of the STAC extensions."""
    return need(SHARED / "schemas", "the folder of STAC extension schemas", installed_by_ci=False)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Debian's Chromium."""
    return need(Path("/usr/bin/chromium"), "Chromium")
