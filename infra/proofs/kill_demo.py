"""Kill the demo outright at several moments, start it again on the same store, and count what it published.

`make kill-demo`. Moments are seconds after the first claim appears in the ledger or after the start, drawn from a
seed; each kill is SIGKILL to the demo's process, whose guardian must end the servers. At the end there must be exactly
one complete product of each version and no process. The summary goes to docs/results/kill_demo.md.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from headscarp.core.run import Run
from headscarp.demo.guardian import marked
from headscarp.demo.services import ROOT
from headscarp.errors import HeadscarpError
from headscarp.io.ledger import Ledger

sys.path.insert(0, str(ROOT))
from tests.demo.test_demo_end_to_end import seaweed_store
from tests.io.outputs.products import Reader

SCHEMAS = ROOT.parent / "shared" / "schemas"


def start(folder: Path, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "headscarp", "demo", "--folder", str(folder), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=log.open("ab"), stderr=subprocess.STDOUT)


def runs(folder: Path) -> list[Run]:
    """What the ledger of a running demo says; nothing while its store is not up."""
    try:
        return list(Ledger(seaweed_store(folder), lease=timedelta(1)).runs())
    # A store that is being killed is away, refuses, or leaves half a file of settings.
    except (HeadscarpError, BotoCoreError, ClientError, OSError, ValueError):
        return []


def moments(count: int, rng: random.Random) -> Iterator[tuple[str, float]]:
    """When to kill: during the start, or some seconds into the first or second version's work."""
    kinds = ("start", "version 1 claimed", "version 1 working", "version 2 claimed", "version 2 working")
    for number in range(count):
        kind = kinds[number % len(kinds)]
        yield kind, rng.uniform(5, 40) if kind == "start" else rng.uniform(0, 12)


def reached(kind: str, folder: Path) -> bool:
    if kind == "start":
        return True
    version, stage = int(kind.split()[1]), kind.split()[2]
    known = sorted(runs(folder), key=lambda run: run.update_time)
    if len(known) < version:
        return False
    return stage == "claimed" or known[version - 1].state != "CLAIMED"


def kill_once(folder: Path, log: Path, kind: str, delay: float) -> str:
    """Start, wait for the moment, kill, wait until nothing is left; what the ledger said at that moment."""
    process = start(folder, log, "--stay")
    deadline = time.monotonic() + 600
    while not reached(kind, folder):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the demo did not reach {kind!r}: see {log}")
        time.sleep(0.3)
    time.sleep(delay)
    states = ", ".join(run.state for run in sorted(runs(folder), key=lambda run: run.update_time)) or "nothing claimed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    while marked(folder):
        if time.monotonic() > deadline + 60:
            raise SystemExit(f"processes left: {marked(folder)}")
        time.sleep(0.2)
    return states


def finish(folder: Path, log: Path) -> tuple[list[Run], int]:
    """Run the demo to its end, look at everything while it still serves, and stop it."""
    process = start(folder, log, "--stay")
    deadline = time.monotonic() + 900
    while [r.state for r in sorted(runs(folder), key=lambda r: r.update_time)] != ["SUPERSEDED", "SUCCEEDED"]:
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the demo did not finish: see {log}")
        time.sleep(1)
    store = seaweed_store(folder)
    found = sorted(runs(folder), key=lambda run: run.update_time)
    items = Reader(store, SCHEMAS if SCHEMAS.exists() else None).items()
    if sorted(items) != sorted(run.id for run in found):
        raise SystemExit(f"expected one item a run, found {sorted(items)}")
    process.send_signal(signal.SIGTERM)  # SIGINT is ignored by what a shell starts in the background
    process.wait(timeout=90)
    return found, len(items)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng, lines, started = random.Random(options.seed), [], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="headscarp-kill-") as place:
        folder, log = Path(place) / "demo", Path(os.environ.get("TMPDIR", "/tmp")) / "headscarp-kill.log"
        folder.mkdir()
        for number, (kind, delay) in enumerate(moments(options.kills, rng), start=1):
            states = kill_once(folder, log, kind, delay)
            lines.append(f"| {number} | {kind} + {delay:.1f} s | {states} |")
            print(lines[-1], flush=True)
        found, items = finish(folder, log)
        left = len(marked(folder))
    attempts = ", ".join(str(run.attempt) for run in found)
    summary = f"""# Killing the demo (SYNTHETIC)

`make kill-demo`, seed {options.seed}: killed (SIGKILL) {options.kills} times on one kept store, then run to its end.

| kill | moment | ledger at that moment |
|---|---|---|
{chr(10).join(lines)}

At the end: {items} items in the catalogue, each crawled from the root and validated with all its assets;
states {", ".join(run.state for run in found)}; attempts {attempts}; {left} processes left;
{time.monotonic() - started:.0f} s in all.
"""
    (ROOT / "docs" / "results" / "kill_demo.md").write_text(summary)
    print(summary)


if __name__ == "__main__":
    main()
