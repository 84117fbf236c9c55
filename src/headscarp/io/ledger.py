"""The ledger: one object per run, moved only by conditional writes.

Whoever creates or replaces the object owns the step; whoever loses reads what happened. A worker
that dies leaves a lease that runs out, and the next claim takes the run over.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from headscarp.core.event import RunId
from headscarp.core.run import HELD, Run, State
from headscarp.core.types import Attributes
from headscarp.errors import AlreadyExists, Busy, Conflict, HeadscarpError, InvalidInput, NotFound, StoreError
from headscarp.io.store import Store

log = logging.getLogger(__name__)

MAX_REPLACE_ATTEMPTS = 8
CLAIM_LEASES = 3
"""A claim lasts this many leases, since its worker may wait in a queue; only then is it made anew."""


def worker_name() -> str:
    """Host, process and a random part: unique even after a restart with the same process id."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class Ledger:
    """Runs of one store, seen by one worker."""

    def __init__(
        self, store: Store, *, lease: timedelta, owner: str | None = None, clock: Callable[[], datetime] | None = None
    ) -> None:
        self._store, self._lease = store, lease
        self._clock = clock or (lambda: datetime.now(UTC))
        self.owner = owner or worker_name()

    def find(self, run_id: RunId) -> Run | None:
        """The run, None where it was never claimed."""
        try:
            return self._get(_key(run_id.event, str(run_id)))[0]
        except NotFound:
            return None

    def runs(self, event: str = "") -> Iterator[Run]:
        """All runs, or those of one event."""
        for key in self._store.list(f"ledger/{event}/" if event else "ledger/"):
            yield self._get(key)[0]

    def claim(self, run_id: RunId, request: Attributes | None = None) -> Run:
        """Take the run for this worker, or return it as it is where it has ended.

        Raises:
            Busy: another worker holds it.
        """
        now, key = self._clock(), _key(run_id.event, str(run_id))
        fresh = Run(
            id=str(run_id),
            event=run_id.event,
            update_time=run_id.shakemap.update_time,
            state=State.CLAIMED,
            attempt=1,
            owner=self.owner,
            lease_until=now + CLAIM_LEASES * self._lease,
            updated=now,
            request=request,
        )
        try:
            self._store.create(key, _dump(fresh))
        except AlreadyExists:
            return self._already_there(key, fresh)
        return fresh

    def _already_there(self, key: str, fresh: Run) -> Run:
        """The run that stands where `fresh` should be; our own where only the store's answer was lost."""
        run, tag = self._get(key)
        return fresh if run == fresh else self._take_over(key, run, tag, fresh.request)

    def _take_over(self, key: str, run: Run, tag: str, request: Attributes | None) -> Run:
        now = self._clock()
        if run.state in HELD and not run.claimable(now):
            raise Busy(f"run {run.id}: held by {run.owner} until {run.lease_until:%H:%M:%S} UTC")
        if not run.claimable(now):
            return run
        taken = run.retaken(self.owner, now, CLAIM_LEASES * self._lease)
        if request is not None:
            taken = taken.moved(taken.state, now, request=request)
        try:
            self._store.replace(key, _dump(taken), tag)
        except Conflict:
            raise Busy(f"run {run.id}: another worker took it over first") from None
        return taken

    def start(self, run: Run) -> Run:
        """CLAIMED to PROCESSING; returns the run at the attempt that is now worked on.

        Whoever comes first starts, whichever attempt it was sent for: a worker that waited in a queue until its
        claim was made anew would else never begin.

        Raises:
            Busy: the run is being worked on, or has ended.
        """
        now = self._clock()

        def step(current: Run) -> Run:
            if current.state is not State.CLAIMED:
                raise Busy(f"run {run.id}: attempt {current.attempt} is {current.state} already")
            return current.moved(State.PROCESSING, now, owner=self.owner, lease_until=now + self._lease)

        return self._move(run, step)

    def finish(
        self, run: Run, state: State, *, reason: str = "", item: str | None = None, seconds: Attributes | None = None
    ) -> Run:
        """Put the end of this attempt down; Busy where another worker has taken the run over."""
        now = self._clock()

        def step(current: Run) -> Run:
            if current.attempt != run.attempt:
                raise Busy(f"run {run.id}: attempt {run.attempt} was taken over by attempt {current.attempt}")
            if current.state not in HELD:
                raise Busy(f"run {run.id}: attempt {run.attempt} has already ended as {current.state}")
            kept = {"item": item or current.item, "seconds": seconds or current.seconds}
            return current.moved(state, now, reason=reason[:2000], **kept)

        return self._move(run, step)

    def confirm(self, run: Run) -> None:
        """Make sure that this attempt is still the one that works.

        A worker that was silent for longer than its lease may find the cube it read rewritten under it:
        what it made after that must not be published.

        Raises:
            Busy: another worker has taken the run over.
        """
        current, _ = self._get(_key(run.event, run.id))
        if current.attempt != run.attempt or current.state is not State.PROCESSING:
            raise Busy(f"run {run.id}: attempt {run.attempt} was taken over by attempt {current.attempt}")

    def supersede(self, run: Run, by: str) -> None:
        """Mark a published run as replaced by a newer one."""
        now = self._clock()

        def step(current: Run) -> Run:
            if current.state is not State.SUCCEEDED:
                return current
            return current.moved(State.SUPERSEDED, now, reason=f"superseded by {by}")

        self._move(run, step)

    @contextmanager
    def working(self, run: Run) -> Iterator[Run]:
        """Hold the run while the body works; its end goes into the ledger whatever happens.

        Invalid input ends as INVALID, any other error as FAILED; both are raised on.
        The body ends the run itself with `finish` where it succeeds.
        """
        held = self.start(run)
        stop = threading.Event()
        beat = threading.Thread(target=self._heartbeat, args=(held, stop), daemon=True, name="lease")
        beat.start()
        try:
            yield held
        except InvalidInput as error:
            self.finish(held, State.INVALID, reason=f"{type(error).__name__}: {error}")
            raise
        except Busy:
            raise
        except BaseException as error:
            self._note_failure(held, error)
            raise
        finally:
            stop.set()
            beat.join(timeout=5)

    def _note_failure(self, run: Run, error: BaseException) -> None:
        """Write FAILED; where even that fails the lease runs out, which says the same."""
        try:
            self.finish(run, State.FAILED, reason=f"{type(error).__name__}: {error}")
        except HeadscarpError as second:
            error.add_note(f"and the ledger could not be told: {second}")

    def _heartbeat(self, run: Run, stop: threading.Event) -> None:
        while not stop.wait(self._lease.total_seconds() / 3):
            try:
                self._move(run, self._extended(run))
            except Busy:
                return
            except HeadscarpError as error:
                # The next beat tries again; if none gets through, the lease runs out.
                log.warning("heartbeat of run %s did not get through: %s", run.id, error)

    def _extended(self, run: Run) -> Callable[[Run], Run]:
        def step(current: Run) -> Run:
            if current.attempt != run.attempt or current.state is not State.PROCESSING:
                raise Busy(f"run {run.id}: no longer ours")
            return current.moved(State.PROCESSING, self._clock(), lease_until=self._clock() + self._lease)

        return step

    def _move(self, run: Run, step: Callable[[Run], Run]) -> Run:
        key = _key(run.event, run.id)
        for _ in range(MAX_REPLACE_ATTEMPTS):
            current, tag = self._get(key)
            moved = step(current)
            if moved == current:
                return current
            try:
                self._store.replace(key, _dump(moved), tag)
            except Conflict:
                continue
            return moved
        raise Busy(f"run {run.id}: {MAX_REPLACE_ATTEMPTS} conditional writes lost in a row")

    def _get(self, key: str) -> tuple[Run, str]:
        data, tag = self._store.get(key)
        try:
            return Run.from_json(json.loads(data)), tag
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"ledger {key}: expected a run, found {data[:80]!r}: {error}") from error


def _key(event: str, run_id: str) -> str:
    return f"ledger/{event}/{run_id}.json"


def _dump(run: Run) -> bytes:
    plain: dict[str, Any] = run.to_json()
    return json.dumps(plain, indent=1).encode()
