"""The training archive: event folders out of inventories, one by one, going on where an earlier run stopped."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from headscarp.core.event import Event
from headscarp.errors import Busy, HeadscarpError, InvalidInput, StoreError
from headscarp.io.inputs.deposits import Deposit, find_deposits, named_files
from headscarp.io.inputs.earthquakes import Earthquake, EarthquakeRegistry
from headscarp.io.inputs.folder import read_event_folder
from headscarp.io.inputs.inventory_files import file_sha256
from headscarp.io.inputs.usgs import UsgsClient
from headscarp.pipeline.ingest import (
    Ingested,
    Sources,
    Subject,
    content_digest,
    ingest,
    options_of_folder,
    subject_of_folder,
    subject_of_quake,
)
from headscarp.pipeline.quake import load_quake

RECIPE: Final = 1
"""Raised when the same input gives another folder."""
JOURNAL: Final = "archive.json"
RECORD: Final = "record.json"
LOCK: Final = ".lock"
DATE_TOLERANCE: Final = timedelta(days=1)
MAGNITUDE_TOLERANCE: Final = 0.6

State = Literal["done", "kept", "failed", "absent"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one earthquake."""

    name: str
    state: State
    """done: made now; kept: made earlier from the same input; failed; absent: there is no inventory of it."""
    reason: str = ""
    retry: bool = False
    """Whether the same command may succeed later."""
    exit_code: int = 0
    digest: str = ""
    """Of everything that the folder was made from."""
    landslides: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Workplace:
    """What the archive is made with."""

    registry: EarthquakeRegistry
    client: UsgsClient
    sources: Sources


@dataclass(frozen=True, slots=True)
class _Job:
    name: str
    quake: Earthquake | None
    deposit: Deposit | None


def build_archive(
    events: Sequence[str],
    inventories: Path,
    out: Path,
    workplace: Workplace,
    *,
    told: Callable[[Outcome], None] = lambda _: None,
) -> tuple[Outcome, ...]:
    """Make one event folder below `out` per earthquake that is asked for and has an inventory.

    Each folder is whole or not there. A failure is recorded and the next earthquake goes on. The journal
    archive.json says after every earthquake how things stand.

    Args:
        events: Registry keys, USGS ids, names of event folders among the inventories, or `named`,
            `candidate` and `all`.
        inventories: See `find_deposits`.
        out: The archive.
        workplace: Registry, USGS and sources.
        told: Called after each earthquake.

    Raises:
        InvalidInput: a name that neither the registry nor the inventories know, or two inventories of one name.
        Busy: another process builds this archive.
    """
    deposits = find_deposits(inventories)
    jobs = _jobs(events, deposits, workplace.registry)
    out.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    with _alone(out):
        _sweep(out)
        for job in jobs:
            outcomes.append(_attempt(job, out, workplace))
            _write_journal(out, outcomes[-1])
            told(outcomes[-1])
    return tuple(outcomes)


def _jobs(events: Sequence[str], deposits: Mapping[str, Deposit], registry: EarthquakeRegistry) -> list[_Job]:
    """Earthquakes in the order of the registry, then event folders that it does not know."""
    listed = [job for quake in registry for job in _jobs_of(quake, deposits)]
    known = {job.deposit.name for job in listed if job.deposit}
    own = [_Job(name, None, d) for name, d in deposits.items() if d.is_event_folder and name not in known]
    wanted: set[str] = set()
    for name in dict.fromkeys(part for text in events for part in text.split(",") if part):
        chosen = [job.name for job in (*listed, *own) if _answers(job, name)]
        if not chosen:
            raise InvalidInput(f"event {name!r}: expected a key or id of the registry, or an event folder's name")
        wanted |= set(chosen)
    return [job for job in (*listed, *own) if job.name in wanted]


def _jobs_of(quake: Earthquake, deposits: Mapping[str, Deposit]) -> list[_Job]:
    """One job per inventory of an earthquake: an event may have several folders, as clips of it."""
    names = {quake.key, quake.usgs_id}
    found = [d for d in deposits.values() if d.name in names or (d.event_id and d.event_id == quake.usgs_id)]
    files = [str(d.path) for d in found if not d.is_event_folder]
    if len(files) > 1:
        raise InvalidInput(f"{quake.key}: expected one inventory, found {files}")
    jobs = [_Job(d.name if d.is_event_folder else quake.key, quake, d) for d in found]
    return jobs or [_Job(quake.key, quake, None)]


def _answers(job: _Job, name: str) -> bool:
    if name == "all":
        return job.quake is None or job.quake.excluded is None
    if job.quake is None:
        return name == job.name
    if name in {"named", "candidate"}:
        return job.quake.status == name and job.quake.excluded is None
    return name in {job.name, job.quake.key, job.quake.usgs_id}


def _attempt(job: _Job, out: Path, workplace: Workplace) -> Outcome:
    """One earthquake; what goes wrong is its outcome."""
    if job.deposit is None:
        return Outcome(job.name, "absent", reason=_where_to_get(job.quake, workplace.registry))
    started = time.monotonic()
    try:
        digest = _digest(job, workplace.sources)
        if _is_whole(out / job.name, digest):
            return Outcome(job.name, "kept", digest=digest)
        made = _make(job, job.deposit, out / job.name, digest, workplace)
    except HeadscarpError as error:
        reason = f"{type(error).__name__}: {error}"
        return Outcome(job.name, "failed", reason, error.retry, error.exit_code, seconds=time.monotonic() - started)
    except OSError as error:  # a full disk, or no rights: the next earthquake may be smaller or lie elsewhere
        reason, code = f"{type(error).__name__}: {error}", StoreError.exit_code
        return Outcome(job.name, "failed", reason, exit_code=code, seconds=time.monotonic() - started)
    return Outcome(
        job.name,
        "done",
        digest=digest,
        landslides=len(made.inventory.coseismic),
        seconds=time.monotonic() - started,
    )


def _make(job: _Job, deposit: Deposit, target: Path, digest: str, workplace: Workplace) -> Ingested:
    """Write the folder beside its place; then, and only then, it takes it."""
    beside = target.with_name(f".{target.name}-new")
    finish = partial(_write_record, digest=digest)
    if deposit.is_event_folder:
        folder = read_event_folder(deposit.path)
        file, options = options_of_folder(folder)
        _check_same(job.quake, folder.event)
        made = ingest(file, subject_of_folder(deposit.path, folder), options, beside, finish=finish)
    else:
        subject = _subject(job, workplace)
        made = ingest(deposit.path, subject, deposit.options, beside, sources=workplace.sources, finish=finish)
    _set_aside(target)
    beside.replace(target)
    return replace(made, folder=target)


def _subject(job: _Job, workplace: Workplace) -> Subject:
    """The earthquake of the registry as USGS has it."""
    if job.quake is None or job.quake.usgs_id is None:
        raise InvalidInput(f"{job.name}: expected a USGS id: give it in a registry of your own, or an event folder")
    quake = load_quake(job.quake.usgs_id, workplace.client)
    _check_same(job.quake, quake.event)
    return subject_of_quake(quake)


def _check_same(quake: Earthquake | None, event: Event) -> None:
    """Compare what the registry says with the event itself: an id may be another earthquake's."""
    if quake is None:
        return
    days = abs(event.time.astimezone(UTC).date() - quake.date)
    if days > DATE_TOLERANCE or abs(event.magnitude - quake.magnitude) > MAGNITUDE_TOLERANCE:
        raise InvalidInput(
            f"{quake.key}: expected magnitude {quake.magnitude:g} on {quake.date}, "
            f"found {event.id}, magnitude {event.magnitude:g} on {event.time:%Y-%m-%d}"
        )


def _digest(job: _Job, sources: Sources) -> str:
    """Of everything that the folder is made from, except what USGS says: a made folder keeps its ShakeMap."""
    deposit = job.deposit
    assert deposit is not None  # noqa: S101
    content: dict[str, Any] = {"recipe": RECIPE, "registry": job.quake and job.quake.model_dump(mode="json")}
    if deposit.is_event_folder:
        content["folder"] = content_digest(deposit.path)
        content["named"] = [file_sha256(path) for path in named_files(deposit.path)]
    else:
        options = {**asdict(deposit.options), "extent": None, "ignore": None}
        extent = deposit.options.extent
        content["options"] = {**options, "extent": extent if isinstance(extent, str) else "file"}
        content["files"] = [file_sha256(path) for path in deposit.files]
        content["sources"] = sources.registry.digest
        content["rows"] = [(row.name, row.source, row.resampling) for row in sources.table if row.source]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _write_record(folder: Path, *, digest: str) -> None:
    record = {"digest": digest, "content": content_digest(folder, without=RECORD)}
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _is_whole(folder: Path, digest: str) -> bool:
    """Whether a folder was made from this input, and is still what was made."""
    try:
        record = json.loads((folder / RECORD).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    if not isinstance(record, dict) or record.get("digest") != digest:
        return False
    return bool(record.get("content") == content_digest(folder, without=RECORD))


def _set_aside(target: Path) -> None:
    """Make way for a folder that replaces a stale one."""
    if target.exists():
        aside = target.with_name(f".{target.name}-stale")
        shutil.rmtree(aside, ignore_errors=True)
        target.replace(aside)
        shutil.rmtree(aside)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the archive's lock; the kernel gives it back when the process dies."""
    with (out / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"{out}: another process builds this archive") from None
        yield


def _sweep(out: Path) -> None:
    """Remove what a killed run left half made."""
    for path in out.glob(".*-*"):
        if path.is_dir():
            shutil.rmtree(path)


def _write_journal(out: Path, outcome: Outcome) -> None:
    """Set one earthquake's entry; a journal that cannot be read is begun anew."""
    path = out / JOURNAL
    try:
        held = json.loads(path.read_text("utf-8"))["events"]
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        held = {}
    entries = {**held, outcome.name: asdict(outcome)}
    part = path.with_name(f".{JOURNAL}.part")
    part.write_text(json.dumps({"events": entries}, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def _where_to_get(quake: Earthquake | None, registry: EarthquakeRegistry) -> str:
    public = None if quake is None else registry.public_inventory(quake)
    if public is None:
        return "no inventory given, and no public one is known to the registry"
    return f"no inventory given; a public one is at {public.url or f'https://doi.org/{public.doi}'}"
