"""States of a run, and what may follow what: pure, so that every transition can be tested."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from headscarp.core.types import Attributes


class State(StrEnum):
    """Where a run stands; the names follow the practice of event-driven STAC pipelines."""

    CLAIMED = "CLAIMED"
    """Promised to a worker that has not begun."""
    PROCESSING = "PROCESSING"
    """A worker holds the lease and works."""
    SUCCEEDED = "SUCCEEDED"
    """The product is published."""
    FAILED = "FAILED"
    """Something broke; the run may be tried again."""
    INVALID = "INVALID"
    """The input is wrong; trying again cannot help."""
    ABORTED = "ABORTED"
    """Given up before publishing, for a newer ShakeMap or by an operator."""
    SUPERSEDED = "SUPERSEDED"
    """Published, and a newer version has been published since."""
    WITHDRAWN = "WITHDRAWN"
    """Published, and the quake has been deleted by its author since."""


HELD = frozenset({State.CLAIMED, State.PROCESSING})
"""States in which a lease counts."""
ENDED = frozenset({State.SUCCEEDED, State.INVALID, State.SUPERSEDED, State.WITHDRAWN})
"""States that a new claim cannot leave."""


@dataclass(frozen=True, slots=True)
class Run:
    """One line of the ledger."""

    id: str
    event: str
    update_time: int
    """The ShakeMap's, in milliseconds: what orders the versions of an event."""
    state: State
    attempt: int
    owner: str
    lease_until: datetime
    updated: datetime
    reason: str = ""
    """Why it failed, is invalid or was aborted, in words for an operator."""
    item: str | None = None
    """Store key of the published STAC item."""
    request: Attributes | None = None
    """What the worker needs to begin."""
    seconds: Attributes | None = None
    """How long each stage of the published attempt took."""

    def claimable(self, now: datetime) -> bool:
        """Whether another worker may take the run: it failed, or its holder fell silent."""
        return self.state not in ENDED and not (self.state in HELD and now < self.lease_until)

    def moved(self, state: State, now: datetime, **changes: Any) -> Run:
        """The run in another state."""
        return replace(self, state=state, updated=now, **changes)

    def retaken(self, owner: str, now: datetime, lease: timedelta) -> Run:
        """The next attempt, promised to `owner`."""
        return self.moved(
            State.CLAIMED, now, owner=owner, attempt=self.attempt + 1, lease_until=now + lease, reason=self.reason
        )

    def to_json(self) -> Attributes:
        """As plain data."""
        plain = asdict(self)
        return plain | {key: plain[key].isoformat() for key in ("lease_until", "updated")}

    @classmethod
    def from_json(cls, plain: Attributes) -> Run:
        """From plain data; raises KeyError, TypeError or ValueError where it is not a run."""
        times = {key: datetime.fromisoformat(plain[key]) for key in ("lease_until", "updated")}
        return cls(**(plain | times | {"state": State(plain["state"])}))
