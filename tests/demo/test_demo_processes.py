"""The supervisor: readiness, order of stopping, and nobody left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from headscarp.demo.processes import Service, Supervisor, free_ports, marked, sweep
from headscarp.errors import Unavailable

STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN)
if sys.argv[1:]:
    subprocess.Popen([sys.executable, __file__], start_new_session=True)
print("up", flush=True)
time.sleep(300)
"""
OWNER = """
import sys, time
from pathlib import Path
from headscarp.demo.processes import Service, Supervisor
folder = Path(sys.argv[1])
with Supervisor(folder) as supervisor:
    supervisor.start(Service("stubborn", [sys.executable, sys.argv[2], "with-child"], folder, stop_s=0.5))
    print("started", flush=True)
    time.sleep(300)
"""


def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def sleeper(name: str, folder: Path, code: str = "import time; time.sleep(300)") -> Service:
    return Service(name, [sys.executable, "-c", code], folder, stop_s=5.0)


@pytest.fixture
def stubborn(tmp_path: Path) -> Path:
    """A program that ignores polite signals and starts another in a session of its own."""
    path = tmp_path / "stubborn.py"
    path.write_text(STUBBORN)
    return path


@pytest.fixture
def owner(tmp_path: Path, stubborn: Path) -> subprocess.Popen[str]:
    """A process that owns such a program; two of them run."""
    folder = tmp_path / "demo"
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder), str(stubborn)], stdout=subprocess.PIPE, text=True
    )
    assert eventually(lambda: len(marked(folder)) == 2)
    return process


class TestNobodyLeft:
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV])
    def test_when_the_owner_is_killed(
        self, owner: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
    ) -> None:
        guardians = [p for p in psutil.Process(owner.pid).children() if "headscarp.demo.guardian" in p.cmdline()]
        assert len(guardians) == 1
        owner.send_signal(number)
        owner.wait(30)
        assert eventually(lambda: not marked(tmp_path / "demo"))
        assert eventually(lambda: not guardians[0].is_running() or guardians[0].status() == psutil.STATUS_ZOMBIE)

    def test_when_a_fork_of_the_owner_still_holds_the_pipe(self, tmp_path: Path, stubborn: Path) -> None:
        code = OWNER.replace(
            '    print("started"', '    import os\n    if os.fork() == 0: time.sleep(60)\n    print("started"'
        )
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "demo"), str(stubborn)])
        assert eventually(lambda: len(marked(tmp_path / "demo")) == 2)
        forks = [p for p in psutil.Process(process.pid).children() if "-c" in p.cmdline() and p.ppid() == process.pid]
        try:
            process.kill()
            process.wait()
            assert eventually(lambda: not marked(tmp_path / "demo"))
        finally:
            for fork in forks:
                fork.kill()

    def test_when_owner_and_guardian_are_killed_the_next_run_sweeps(
        self, owner: subprocess.Popen[str], tmp_path: Path
    ) -> None:
        for process in psutil.Process(owner.pid).children():
            if "headscarp.demo.guardian" in process.cmdline():
                process.kill()
        owner.kill()
        owner.wait()
        time.sleep(1.0)
        assert len(marked(tmp_path / "demo")) == 2
        with Supervisor(tmp_path / "demo"):
            assert marked(tmp_path / "demo") == []

    def test_other_folders_are_left_alone(self, tmp_path: Path) -> None:
        with Supervisor(tmp_path / "one") as one:
            child = one.start(sleeper("a", tmp_path))
            with Supervisor(tmp_path / "two") as two:
                two.start(sleeper("a", tmp_path))
            assert sweep(tmp_path / "two") == 0
            assert child.running


class TestStopping:
    def test_reverse_order_on_an_error(self, tmp_path: Path) -> None:
        code = textwrap.dedent("""
            import pathlib, signal, sys, time
            def leave(*_):
                with open("order.txt", "a") as f: f.write(sys.argv[1])
                sys.exit(0)
            signal.signal(signal.SIGTERM, leave)
            pathlib.Path(sys.argv[1]).touch()
            time.sleep(300)
        """)

        def run() -> None:
            with Supervisor(tmp_path / "demo") as supervisor:
                for name in "abc":
                    service = Service(name, [sys.executable, "-c", code, name], tmp_path)
                    supervisor.wait_ready(supervisor.start(service), (tmp_path / name).exists, 20)
                raise KeyError("on purpose")

        with pytest.raises(KeyError):
            run()
        assert (tmp_path / "order.txt").read_text() == "cba"
        assert marked(tmp_path / "demo") == []

    def test_one_service_with_its_children(self, tmp_path: Path, stubborn: Path) -> None:
        with Supervisor(tmp_path / "demo") as supervisor:
            other = supervisor.start(sleeper("other", tmp_path))
            argv = [sys.executable, str(stubborn), "with-child"]
            supervisor.start(Service("stubborn", argv, tmp_path, stop_s=0.3))
            assert eventually(lambda: len(marked(tmp_path / "demo", "stubborn")) == 2)
            supervisor.stop("stubborn")
            supervisor.stop("stubborn")
            assert marked(tmp_path / "demo", "stubborn") == []
            assert other.running

    def test_ctrl_c_reaches_the_owner_alone(self, tmp_path: Path) -> None:
        with Supervisor(tmp_path) as supervisor:
            child = supervisor.start(sleeper("a", tmp_path))
            assert os.getpgid(child.process.pid) != os.getpgid(0)
            assert os.getsid(child.process.pid) != os.getsid(0)

    def test_the_handler_of_sigterm_is_put_back(self, tmp_path: Path) -> None:
        found = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            with Supervisor(tmp_path):
                assert signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        finally:
            signal.signal(signal.SIGTERM, found)


class TestReadiness:
    def test_the_end_of_the_log_is_in_the_error(self, tmp_path: Path) -> None:
        with Supervisor(tmp_path) as supervisor:
            child = supervisor.start(sleeper("bad", tmp_path, "print('cannot open the gate'); raise SystemExit(3)"))
            with pytest.raises(Unavailable, match=r"(?s)bad ended early with code 3.*cannot open the gate"):
                supervisor.wait_ready(child, lambda: False, 20)

    def test_time_runs_out(self, tmp_path: Path) -> None:
        with Supervisor(tmp_path) as supervisor:
            code = "import time; print('still thinking', flush=True); time.sleep(99)"
            child = supervisor.start(sleeper("slow", tmp_path, code))
            assert eventually(lambda: "thinking" in child.log.read_text())
            with pytest.raises(Unavailable, match=r"(?s)not ready after 0\.3 s.*still thinking"):
                supervisor.wait_ready(child, lambda: False, 0.3)

    def test_a_program_that_does_not_exist(self, tmp_path: Path) -> None:
        with Supervisor(tmp_path) as supervisor, pytest.raises(Unavailable, match="no-such-program"):
            supervisor.start(Service("x", ["no-such-program"], tmp_path))

    def test_a_service_is_started_once(self, tmp_path: Path) -> None:
        with Supervisor(tmp_path) as supervisor:
            supervisor.start(sleeper("a", tmp_path))
            with pytest.raises(ValueError, match="already"):
                supervisor.start(sleeper("a", tmp_path))


def test_free_ports_are_distinct_and_free() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[0]))
        taken.listen()
        assert ports[0] not in free_ports(2000)


def test_a_guardian_that_still_sweeps_leaves_a_new_run_in_the_folder_alone(tmp_path: Path) -> None:
    """The old run was killed; the new one has begun before the old guardian is done."""
    with Supervisor(tmp_path) as fresh:
        child = fresh.start(Service("sleeper", ["sleep", "60"], tmp_path))
        assert sweep(tmp_path, owner="the run that was killed") == 0
        assert child.running
        assert sweep(tmp_path, owner=fresh.owner) == 1
