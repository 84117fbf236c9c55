"""Ends the services of one folder when their owner is gone, even if it was killed outright.

Run as `python -m headscarp.demo.guardian FOLDER PID OWNER`; the owner holds the other end of its stdin. A
parent-death signal would not do: it reaches only direct children, and it fires when the thread
that started the child ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from pathlib import Path

import psutil

MARK = "HEADSCARP_DEMO"
"""Environment variable that names the folder a process works for; children inherit it."""
SERVICE = "HEADSCARP_DEMO_SERVICE"
"""Environment variable that names the service a process belongs to."""
OWNER = "HEADSCARP_DEMO_OWNER"
"""Environment variable that names the run of the demo that started a process: a new run in the same folder may begin
while the guardian of the old one still sweeps."""


def marked(folder: Path, service: str | None = None, *, owner: str | None = None) -> list[psutil.Process]:
    """Running processes of one folder, of one service or one owner of it; zombies and other users' are left out."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            environment = process.environ()
            ours = environment.get(MARK) == str(folder.resolve()) and owner in {None, environment.get(OWNER)}
            if ours and process.pid != os.getpid() and service in {None, environment.get(SERVICE)}:
                found.append(process)
    return found


def end(processes: list[psutil.Process], *, patience_s: float = 2.0) -> None:
    """SIGTERM, then SIGKILL after `patience_s`."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    for process in psutil.wait_procs(processes, timeout=patience_s)[1]:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=patience_s)


def sweep(folder: Path, service: str | None = None, *, owner: str | None = None, patience_s: float = 2.0) -> int:
    """End every process of `folder` (or of one service or owner of it) and return how many there were.

    Repeated until none is left, because a service may restart its workers while it ends.
    """
    count = 0
    deadline = time.monotonic() + 4 * patience_s
    while (found := marked(folder, service, owner=owner)) and time.monotonic() < deadline:
        count += len(found)
        end(found, patience_s=patience_s)
    return count


def _wait_for(owner: int) -> None:
    """Return when stdin closes, or when the owner dies while a forked child still holds the pipe."""
    while os.getppid() == owner:
        if select.select([sys.stdin], [], [], 0.5)[0] and not os.read(sys.stdin.fileno(), 64):
            return


def main() -> None:
    """Watch, then sweep."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    folder, pid, owner = sys.argv[1:]
    _wait_for(int(pid))
    sweep(Path(folder), owner=owner, patience_s=1.0)


if __name__ == "__main__":
    main()
