"""Resolve requirements.lock for Python 3.11 and 3.12, without addresses and without torch's CUDA packages."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAD = "# Pinned for Python 3.11 and 3.12 on Linux; made by `make lock`. torch is installed first, by `make setup`.\n"
LEFT_OUT = re.compile(r"(torch==|nvidia-|cuda-|triton)")


def main() -> None:
    command = (sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--all-extras", "--universal")
    options = ("--python-version", "3.11", "--no-header", "--no-annotate", "--no-emit-index-url", "--quiet")
    lines = subprocess.run((*command, *options), check=True, cwd=ROOT, capture_output=True, text=True).stdout
    kept = [line for line in lines.splitlines(keepends=True) if not LEFT_OUT.match(line)]
    (ROOT / "requirements.lock").write_text(HEAD + "".join(kept))


if __name__ == "__main__":
    main()
