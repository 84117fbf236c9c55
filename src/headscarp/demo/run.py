"""The demo: the whole service on this machine, from a feed to a map page, with nothing from outside."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.status import Status as Spinner
from rich.table import Table as RichTable

from headscarp.core.run import HELD, Run, State
from headscarp.demo.processes import Supervisor, marked, sweep
from headscarp.demo.replay import ReplayServer
from headscarp.demo.seaweed import Seaweed
from headscarp.demo.services import BUCKET, ROOT, Timings, start_endpoint, start_flows, start_store
from headscarp.demo.stage import Play, upload_sources, write_play
from headscarp.errors import Unavailable
from headscarp.io.inputs.usgs import UsgsClient
from headscarp.io.ledger import Ledger
from headscarp.io.store import S3Store
from headscarp.pipeline.page import publish_page
from headscarp.pipeline.quake import load_quake
from headscarp.settings import Settings
from headscarp.viewer import page_files

MODEL = "headscarp-small"
LEASE_S = 45.0
"""On a machine that is loaded ten times over, heartbeats were seen to come 20 s apart."""
PATIENCE_S = 600.0


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What the command line asks of the demo."""

    folder: Path
    event: str | None = None
    """A real event id; the synthetic quake where None."""
    fresh: bool = False
    stay: bool = False
    services_only: bool = False


@dataclass(frozen=True, slots=True)
class House:
    """The running demo, as its steps need it."""

    store: S3Store
    ledger: Ledger
    public_url: str
    prefect_url: str


def run_demo(settings: DemoSettings, *, console: Console) -> None:
    """Start the servers, play the quake, wait for its products, show them; stop everything at the end.

    Raises:
        NotFound, NotYet: the real event is unknown, or has no ShakeMap.
        Unavailable: a server did not start, or a product did not come in time; logs are named.
    """
    if settings.event is not None:
        settings = replace(settings, event=_known_as(settings.event))
    folder = settings.folder.resolve()
    if settings.fresh and folder.exists():
        sweep(folder)
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with Supervisor(folder) as supervisor, ExitStack() as stack, console.status("starting") as spinner:
        timings = Timings(lambda what: spinner.update(f"starting: {what}"))
        seaweed = start_store(supervisor, timings)
        play, replay, sources = _stage(settings, seaweed, folder, timings, stack)
        house = _open_house(settings, supervisor, timings, seaweed, replay=replay, sources=sources)
        if settings.services_only:
            _print_addresses(house, console)
        else:
            _perform(settings, house, play, replay, spinner=spinner, timings=timings, console=console)
        if settings.stay or settings.services_only:
            spinner.update("serving until Ctrl-C")
            _wait_for_interrupt()


def _known_as(event: str) -> str:
    """The present id of a real event with a ShakeMap, before anything is started for it."""
    with UsgsClient(Settings().usgs_url, timeout_s=30.0) as client:
        return load_quake(event, client).event.id


def stop_demo(folder: Path) -> int:
    """Stop whatever an earlier demo left running; returns how many processes that were."""
    left = len(marked(folder.resolve()))
    sweep(folder.resolve())
    return left


def _stage(
    settings: DemoSettings, seaweed: Seaweed, folder: Path, timings: Timings, stack: ExitStack
) -> tuple[Play | None, ReplayServer | None, Path | None]:
    """The synthetic world in the store and its replay; nothing of it for a real event."""
    if settings.event is not None:
        return None, None, None
    with timings.step("synthetic world"):
        play = write_play(folder)
        store = S3Store(BUCKET, client=seaweed.client())
        sources = upload_sources(play.world, store, folder)
    return play, stack.enter_context(ReplayServer(play.script)), sources


def _open_house(
    settings: DemoSettings,
    supervisor: Supervisor,
    timings: Timings,
    seaweed: Seaweed,
    *,
    replay: ReplayServer | None,
    sources: Path | None,
) -> House:
    models = (ROOT / Settings().model_store).resolve()
    endpoint = start_endpoint(supervisor, timings, bundle=models / MODEL)
    public_url = f"{seaweed.public_url(BUCKET)}/catalog"
    env = seaweed.env | {
        "HEADSCARP_STORE": f"s3://{BUCKET}",
        "HEADSCARP_PUBLIC_URL": public_url,
        "HEADSCARP_USGS_URL": replay.url if replay else Settings().usgs_url,
        "HEADSCARP_ENDPOINT": endpoint.url,
        "HEADSCARP_ENDPOINT_TOKEN_FILE": str(endpoint.token_file),
        "HEADSCARP_MODEL_STORE": str(models),
        "HEADSCARP_LEASE_S": str(LEASE_S),
        "HEADSCARP_LOG_JSON": "true",
    }
    env |= {"HEADSCARP_SOURCES": str(sources)} if sources else {}
    env |= {"HEADSCARP_WATCH_EVENT": settings.event} if settings.event else {}
    store = S3Store(BUCKET, client=seaweed.client())
    with timings.step("map page"):
        publish_page(store, page_files())
    prefect_url = start_flows(supervisor, timings, env=env)
    return House(store, Ledger(store, lease=timedelta(seconds=LEASE_S)), public_url, prefect_url)


def _perform(
    settings: DemoSettings,
    house: House,
    play: Play | None,
    replay: ReplayServer | None,
    *,
    spinner: Spinner,
    timings: Timings,
    console: Console,
) -> None:
    """Let it happen: nothing here starts a run, the watch flow does."""
    if play is None or replay is None:
        assert settings.event is not None  # noqa: S101
        with _waiting(timings, f"product of {settings.event}"):
            _await_run(house, settings.event, None, spinner)
    else:
        for number, shakemap in enumerate(play.shakemaps, start=1):
            replay.publish_next()
            with _waiting(timings, f"version {number}, from ShakeMap to published"):
                _await_run(house, play.world.event.id, shakemap.update_time, spinner)
    spinner.stop()
    _print_timings(timings, house, settings.event or (play.world.event.id if play else ""), console)
    _print_addresses(house, console)
    spinner.start()


@contextmanager
def _waiting(timings: Timings, name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    timings.seconds[name] = time.perf_counter() - started


def _await_run(house: House, event: str, update_time: int | None, spinner: Spinner) -> Run:
    """Watch the ledger until the run of this ShakeMap is published.

    Raises:
        Unavailable: it ended otherwise, or not in time.
    """
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for run in house.ledger.runs(event):
            if update_time not in {None, run.update_time}:
                continue
            if run.state in {State.SUCCEEDED, State.SUPERSEDED}:
                return run
            if run.state is State.INVALID:
                raise Unavailable(f"run {run.id} was refused: {run.reason}")
            held = "" if run.state in HELD else f" ({run.reason})"
            spinner.update(f"run {run.id}: {run.state}, attempt {run.attempt}{held}")
        time.sleep(0.5)
    raise Unavailable(f"event {event}: no product within {PATIENCE_S:.0f} s; see the logs in {house.prefect_url}")


def _print_timings(timings: Timings, house: House, event: str, console: Console) -> None:
    table = RichTable("step", "seconds", title="What it took")
    for name, seconds in timings.seconds.items():
        table.add_row(name, f"{seconds:.1f}")
    for run in sorted(house.ledger.runs(event), key=lambda r: r.update_time):
        for stage, seconds in (run.seconds or {}).items():
            table.add_row(f"  {run.state.lower()} version: {stage}", f"{seconds:.1f}", style="dim")
    console.print(table)


def _print_addresses(house: House, console: Console) -> None:
    console.print(f"map page   {house.public_url}/index.html", highlight=False)
    console.print(f"catalogue  {house.public_url}/catalog.json", highlight=False)
    console.print(f"flows      {house.prefect_url}", highlight=False)


def _wait_for_interrupt() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return
