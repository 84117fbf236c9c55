"""Starts services as child processes, waits until they are ready, and leaves none behind."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from headscarp.demo.guardian import MARK, OWNER, SERVICE, marked, sweep
from headscarp.errors import Unavailable

__all__ = ["Child", "Service", "Supervisor", "are_free", "free_ports", "marked", "sweep", "tail"]

LOOPBACK = "127.0.0.1"
_PORTS = range(20_000, 32_000)
"""Below the ports that the kernel gives to outgoing connections."""


def free_ports(count: int) -> list[int]:
    """Distinct loopback TCP ports that nobody listens on now."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        if not are_free([port]):
            continue
        found.append(port)
        if len(found) == count:
            return found
    raise Unavailable(f"expected {count} free ports in {_PORTS}, found {len(found)}")


def are_free(ports: Sequence[int]) -> bool:
    """Whether nobody listens on any of these loopback TCP ports now."""
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                return False
    return True


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log file; empty if there is none yet."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


@dataclass(frozen=True, slots=True)
class Service:
    """What to run and how to end it.

    `env` is added to the parent's environment; `stop_signal` goes to the first process alone and,
    after `stop_s`, everything that is left of the service is killed.
    """

    name: str
    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    stop_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Child:
    """A running service and its log file."""

    service: Service
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def running(self) -> bool:
        """Whether its first process lives."""
        return self.process.poll() is None


class Supervisor:
    """Owns the services of one folder; a context manager that stops them in reverse order.

    Every child leads its own session, so Ctrl-C reaches this process alone, and carries an
    environment mark. A guardian process ends what carries the mark when this process is killed;
    what an earlier run left is swept on entry. SIGTERM leaves the context as Ctrl-C does.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.logs = self.folder / "logs"
        self.children: dict[str, Child] = {}
        self.owner = uuid.uuid4().hex
        self._guardian: subprocess.Popen[bytes] | None = None
        self._old_handler: Callable[[int, FrameType | None], object] | int | None = None

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        sweep(self.folder)
        self._guardian = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "headscarp.demo.guardian", str(self.folder), str(os.getpid()), self.owner],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=self.folder, start_new_session=True,
        )  # fmt: skip
        if threading.current_thread() is threading.main_thread():
            self._old_handler = signal.signal(signal.SIGTERM, _leave)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop_all()
        finally:
            if self._old_handler is not None:
                signal.signal(signal.SIGTERM, self._old_handler)
            self._dismiss_guardian()

    def start(self, service: Service) -> Child:
        """Start a service; its output goes to `logs/<name>.log`. Raises Unavailable if it cannot be run."""
        if service.name in self.children:
            raise ValueError(f"service {service.name} is already started")
        log = self.logs / f"{service.name}.log"
        service.cwd.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, **service.env, MARK: str(self.folder), OWNER: self.owner, SERVICE: service.name}
        with log.open("ab") as output:
            try:
                process = subprocess.Popen(  # noqa: S603
                    list(service.argv), cwd=service.cwd, env=env, start_new_session=True,
                    stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                )  # fmt: skip
            except OSError as error:
                raise Unavailable(f"service {service.name}: cannot run {service.argv[0]}: {error}") from error
        child = Child(service, process, log)
        self.children[service.name] = child
        return child

    def wait_ready(self, child: Child, probe: Callable[[], bool], timeout_s: float) -> float:
        """Seconds until `probe` said yes.

        Raises:
            Unavailable: the process ended or the time ran out; the message ends with the log's tail.
        """
        begin = time.monotonic()
        while not probe():
            if not child.running:
                raise Unavailable(self._report(child, f"ended early with code {child.process.returncode}"))
            if time.monotonic() - begin > timeout_s:
                raise Unavailable(self._report(child, f"was not ready after {timeout_s:g} s"))
            time.sleep(0.1)
        return time.monotonic() - begin

    def stop(self, name: str) -> None:
        """Stop one service and all that it started; nothing happens if it is not known."""
        child = self.children.pop(name, None)
        if child is None:
            return
        if child.running:
            child.process.send_signal(child.service.stop_signal)
        try:
            child.process.wait(child.service.stop_s)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
        sweep(self.folder, name, patience_s=1.0)

    def stop_all(self) -> None:
        """Stop all services, the last started first."""
        for name in reversed(list(self.children)):
            self.stop(name)

    def _dismiss_guardian(self) -> None:
        if self._guardian is not None and self._guardian.stdin is not None:
            self._guardian.stdin.close()
            self._guardian.wait(timeout=60)
            self._guardian = None

    def _report(self, child: Child, what: str) -> str:
        return f"service {child.service.name} {what}; log {child.log}, last lines:\n{tail(child.log)}"


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
