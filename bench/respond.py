"""Seconds from an event folder to a published item, by stage, with the servers up: S3 and TorchServe on this machine.

Run with `make bench`. The folder is the real Lefkada event by default: 10.5 Mpx, of which 2,942 km2 are land.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from headscarp.demo.processes import Supervisor
from headscarp.demo.services import BUCKET, ROOT, Timings, start_endpoint, start_store

LEFKADA = ROOT.parent / "shared" / "data" / "events" / "us_us10003ywp_lefkada2015_nolabel"
MODEL = "headscarp-small"
LIMIT_S = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=LEFKADA)
    folder = parser.parse_args().folder
    if not folder.is_dir():
        print(f"{folder} is not on this machine: nothing to measure")
        return 0
    with tempfile.TemporaryDirectory() as place, Supervisor(Path(place)) as supervisor:
        timings = Timings(lambda _: None)
        seaweed = start_store(supervisor, timings)
        endpoint = start_endpoint(supervisor, timings, bundle=ROOT / "model_store" / MODEL)
        env = os.environ | seaweed.env | {"HEADSCARP_ENDPOINT_TOKEN_FILE": str(endpoint.token_file)}
        command = (sys.executable, "-m", "headscarp", "respond", str(folder), "--json")
        options = ("--store", f"s3://{BUCKET}", "--endpoint", endpoint.url)
        started = time.perf_counter()
        done = subprocess.run((*command, *options), env=env, capture_output=True, text=True, check=False, cwd=ROOT)
        total = time.perf_counter() - started
    if done.returncode:
        print(done.stderr)
        return done.returncode
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return report(json.loads(done.stdout)["seconds"], total, peak_mb, folder)


def report(seconds: dict[str, float], total: float, peak_mb: float, folder: Path) -> int:
    table = Table("stage", "seconds", title=f"event folder to published item: {folder.name}")
    for stage, value in seconds.items():
        table.add_row(stage, f"{value:.2f}")
    table.add_row("whole command, imports included", f"{total:.2f}", style="bold")
    console = Console()
    console.print(table)
    verdict = "met" if total < LIMIT_S else "MISSED"
    console.print(f"limit {LIMIT_S:.0f} s: {verdict} ({total / LIMIT_S:.2f} of it); peak memory {peak_mb:.0f} MB")
    return 0 if total < LIMIT_S else 1


if __name__ == "__main__":
    raise SystemExit(main())
