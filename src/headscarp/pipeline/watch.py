"""One look at a feed: claim every run that is due and hand it on."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from headscarp.core.event import RunId
from headscarp.core.policy import Action, Decision, Policy, decide, worth_a_look
from headscarp.core.run import HELD, Run, State
from headscarp.errors import Busy, HeadscarpError, NotFound
from headscarp.io.inputs.usgs import UsgsClient
from headscarp.io.inputs.usgs_products import EventDetail
from headscarp.io.ledger import Ledger
from headscarp.io.store import Store

log = logging.getLogger(__name__)

CURSOR = "watch/cursor.json"

Dispatch = Callable[[Run], None]
"""Starts a worker on a claimed run; the run's `request` holds what it needs."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was decided about one event of the feed."""

    event: str
    title: str
    decision: Decision
    run: Run | None = None


def watch(
    feed: str,
    client: UsgsClient,
    *,
    store: Store,
    ledger: Ledger,
    policy: Policy,
    identity: Callable[[EventDetail], RunId],
    dispatch: Dispatch,
    now: datetime | None = None,
) -> Sequence[Sighting]:
    """Look at a summary feed once.

    Details are fetched only for events that changed since the last look or whose run has not ended.
    Each run is claimed in the ledger before it is handed on, so two watchers start it once; a claim
    that leads nowhere runs out and is made again by a later look.

    Raises:
        SourceUnavailable: the feed could not be read; nothing was decided.
    """
    now = now or datetime.now(UTC)
    seen = _read_cursor(store)
    sightings = []
    for entry in client.feed(feed):
        if entry.type != "earthquake" or not worth_a_look(entry.magnitude, entry.time, policy=policy, now=now):
            continue
        stamp = entry.updated.isoformat()
        if seen.get(entry.id) == stamp and not _has_open_runs(ledger, entry.id):
            continue
        sighting = look_at(
            entry.id, client, ledger=ledger, policy=policy, identity=identity, dispatch=dispatch, now=now
        )
        sightings.append(sighting)
        if sighting.decision.action is not Action.WAIT:
            seen[entry.id] = stamp
    _write_cursor(store, seen)
    return sightings


def look_at(
    event_id: str,
    client: UsgsClient,
    *,
    ledger: Ledger,
    policy: Policy,
    identity: Callable[[EventDetail], RunId],
    dispatch: Dispatch,
    now: datetime | None = None,
) -> Sighting:
    """Decide about one event and start what is due; trouble is part of the sighting, not raised."""
    now = now or datetime.now(UTC)
    try:
        detail = client.detail(event_id)
        if detail.deleted:
            return Sighting(event_id, detail.event.title, Decision(Action.SKIP, "deleted by its author"))
        run_id = identity(detail) if detail.preferred_shakemap else None
        known = ledger.find(run_id) if run_id else None
        decision = decide(detail.event, run_id.shakemap if run_id else None, known=known, policy=policy, now=now)
        if decision.action is not Action.RESPOND or run_id is None:
            return Sighting(event_id, detail.event.title, decision)
        run = ledger.claim(run_id, request={"source": detail.event.id})
        dispatch(run)
    except (Busy, NotFound) as error:
        return Sighting(event_id, event_id, Decision(Action.SKIP, str(error)))
    except HeadscarpError as error:
        log.warning("event %s: %s", event_id, error)
        return Sighting(event_id, event_id, Decision(Action.WAIT, f"{type(error).__name__}: {error}"))
    return Sighting(event_id, detail.event.title, decision, run)


def _has_open_runs(ledger: Ledger, event: str) -> bool:
    """Whether a run of the event is under way or may be tried again."""
    return any(run.state in HELD or run.state is State.FAILED for run in ledger.runs(event))


def _read_cursor(store: Store) -> dict[str, str]:
    """When each event was last changed as of the last look; empty is always safe, only slower."""
    try:
        return {str(k): str(v) for k, v in json.loads(store.read(CURSOR)).items()}
    except NotFound:
        return {}


def _write_cursor(store: Store, seen: dict[str, str]) -> None:
    """Keep the newest entries. Two watchers may overwrite each other: that costs a detail request."""
    newest = dict(sorted(seen.items(), key=lambda item: item[1])[-5000:])
    store.put(CURSOR, json.dumps(newest, indent=1).encode(), "application/json")
