from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headscarp import errors
from headscarp.errors import HeadscarpError


def lint(root: Path, config: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--config", str(config), "--no-cache"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_layers_hold(root: Path) -> None:
    result = lint(root, root / "pyproject.toml")
    assert result.returncode == 0, result.stdout


def test_a_breach_is_reported(root: Path, tmp_path: Path) -> None:
    """The contract can fail: turned upside down, today's imports break it."""
    config = tmp_path / "upside_down.toml"
    config.write_text(
        '[tool.importlinter]\nroot_package = "headscarp"\n\n'
        '[[tool.importlinter.contracts]]\nname = "upside down"\ntype = "layers"\n'
        'layers = ["headscarp.core", "headscarp.io", "headscarp.pipeline"]\n'
    )
    result = lint(root, config)
    assert result.returncode != 0
    assert "upside down BROKEN" in result.stdout


@pytest.mark.parametrize(
    "module", ["headscarp", "headscarp.cli", "headscarp.pipeline.respond", "headscarp.pipeline.watch"]
)
def test_importing_starts_nothing_heavy(module: str) -> None:
    code = f"import {module}, sys; print([m for m in ('torch', 'prefect', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def leaves(kind: type[HeadscarpError]) -> list[type[HeadscarpError]]:
    below = [leaf for sub in kind.__subclasses__() for leaf in leaves(sub)]
    return [kind, *below]


def test_every_error_is_drawn_in_the_tree_and_says_if_a_retry_helps() -> None:
    kinds = [k for k in leaves(HeadscarpError) if k.__module__ == errors.__name__]
    assert len(kinds) > 10
    for kind in kinds:
        assert kind.__name__ in (errors.__doc__ or ""), kind
        assert isinstance(kind.retry, bool)
        assert kind.exit_code > 0
