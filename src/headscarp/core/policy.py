"""Which quakes are answered: a pure decision over data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from headscarp.core.event import SHAKEMAP_EXPECTED_WITHIN, Event, ShakeMapId
from headscarp.core.run import Run, State


class Action(StrEnum):
    """What to do about a quake now."""

    RESPOND = "respond"
    WAIT = "wait"
    SKIP = "skip"


class Decision(NamedTuple):
    """An action and its reason, for the log."""

    action: Action
    reason: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Which quakes matter."""

    minimum_magnitude: float = 5.5
    maximum_age: timedelta = timedelta(days=30)
    """Older quakes in a feed are revisions of the past: a backfill's work, not the watch's."""
    first_retry: timedelta = timedelta(seconds=30)
    """Pause after the first failure of a run; it doubles with each further one, up to an hour."""

    def retry_at(self, run: Run) -> datetime:
        """When a failed run may be tried again."""
        pause: timedelta = self.first_retry * 2.0 ** min(run.attempt - 1, 16)
        return run.updated + min(pause, timedelta(hours=1))


def worth_a_look(magnitude: float | None, time: datetime, *, policy: Policy, now: datetime) -> bool:
    """Whether a quake of this magnitude and origin time is one to answer; an unknown magnitude is not."""
    return magnitude is not None and magnitude >= policy.minimum_magnitude and now - time <= policy.maximum_age


def decide(event: Event, shakemap: ShakeMapId | None, *, known: Run | None, policy: Policy, now: datetime) -> Decision:
    """What to do about an event whose preferred ShakeMap is `shakemap` and whose run is `known`."""
    if not worth_a_look(event.magnitude, event.time, policy=policy, now=now):
        return Decision(Action.SKIP, f"M {event.magnitude:.1f} of {event.time:%Y-%m-%d} is too small or too old")
    if shakemap is None:
        until = event.time + SHAKEMAP_EXPECTED_WITHIN
        if now > until:
            return Decision(Action.SKIP, f"no ShakeMap came by {until:%Y-%m-%d %H:%M} UTC")
        return Decision(Action.WAIT, f"no ShakeMap yet; waiting until {until:%Y-%m-%d %H:%M} UTC")
    if known is None:
        return Decision(Action.RESPOND, f"ShakeMap {shakemap} is new")
    return _again(known, policy, now)


def _again(known: Run, policy: Policy, now: datetime) -> Decision:
    """What to do about a run that was claimed before."""
    if known.state is State.FAILED and now < policy.retry_at(known):
        return Decision(Action.WAIT, f"attempt {known.attempt} failed; next at {policy.retry_at(known):%H:%M:%S} UTC")
    if known.claimable(now):
        return Decision(Action.RESPOND, f"attempt {known.attempt} ended as {known.state}: {known.reason}")
    return Decision(Action.SKIP, f"run is {known.state}")
