"""PostgreSQL as Prefect's database, as in a deployment with more than one host; Debian's server, not a wheel."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from headscarp.demo.processes import LOOPBACK, Service, Supervisor, free_ports
from headscarp.errors import Unavailable

USER = "postgres"


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server with an empty database."""

    url: str
    """As SQLAlchemy's asyncpg driver wants it."""
    startup_s: float


def find_postgres() -> Path | None:
    """Folder of the newest PostgreSQL programs on this machine, None where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def start_postgres(supervisor: Supervisor, *, data: Path, timeout_s: float = 60.0) -> Postgres:
    """Make a cluster in `data` where there is none and serve it on a free loopback port.

    PostgreSQL refuses to run as root: then it runs as the user `postgres`, to whom `data` is given.

    Raises:
        Unavailable: no PostgreSQL on this machine, or it did not start.
    """
    programs = find_postgres()
    if programs is None:
        raise Unavailable("no PostgreSQL: install Debian's package `postgresql`")
    if not (data / "PG_VERSION").exists():
        _make_cluster(programs, data)
    port = free_ports(1)[0]
    argv = [*_as_user(), str(programs / "postgres"), "-D", str(data), "-p", str(port), "-h", LOOPBACK, "-k", str(data)]
    child = supervisor.start(Service("postgres", argv, supervisor.folder))
    probe = [str(programs / "pg_isready"), "-h", LOOPBACK, "-p", str(port)]
    elapsed = supervisor.wait_ready(child, lambda: _succeeds(probe), timeout_s)
    return Postgres(f"postgresql+asyncpg://{USER}@{LOOPBACK}:{port}/postgres", elapsed)


def _make_cluster(programs: Path, data: Path) -> None:
    data.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        owner = pwd.getpwnam(USER)
        os.chown(data, owner.pw_uid, owner.pw_gid)
    argv = [*_as_user(), str(programs / "initdb"), "-D", str(data), "-U", USER, "-A", "trust", "-E", "UTF8"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    if done.returncode:
        raise Unavailable(f"initdb {data}: code {done.returncode}: {done.stderr[-500:]}")


def _as_user() -> list[str]:
    """What makes a command run as `postgres` where we are root."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        return []
    return [setpriv, f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]


def _succeeds(argv: list[str]) -> bool:
    return subprocess.run(argv, capture_output=True, check=False, timeout=30).returncode == 0  # noqa: S603
