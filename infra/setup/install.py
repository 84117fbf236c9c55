"""Install the locked packages into the environment that runs this file.

torch comes first and through pip, which looks where the machine's owner configured it to look: a CPU
build where one is found, else the registry's build. The rest goes through uv, which is much faster.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TORCH = {(3, 11): "torch==2.13.0", (3, 12): "torch>=2.11,<2.14"}


def run(*command: str) -> None:
    subprocess.run(command, check=True, cwd=ROOT)


def main() -> None:
    started = time.perf_counter()
    python = sys.executable
    run(python, "-m", "pip", "install", "--quiet", TORCH[sys.version_info[:2]])
    uv = (python, "-m", "uv", "pip", "install", "--quiet", "--python", python)
    run(*uv, "-r", "requirements.lock")
    run(*uv, "--no-deps", "-e", ".")
    print(f"environment ready after {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
