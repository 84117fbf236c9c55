from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headscarp.core.event import RunId, ShakeMapId
from headscarp.core.run import State
from headscarp.errors import Busy, InvalidInput, SourceUnavailable, StoreError
from headscarp.io.ledger import Ledger
from headscarp.io.store import LocalStore, Store

RUN = RunId("us1", ShakeMapId("us", "us1", 1000), ("fcn-1",), "ab" * 32)
NEWER = RunId("us1", ShakeMapId("us", "us1", 2000), ("fcn-1",), "ab" * 32)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return LocalStore(tmp_path)


def ledger(store: Store, clock: Clock, owner: str = "one") -> Ledger:
    return Ledger(store, lease=timedelta(seconds=60), owner=owner, clock=clock)


def test_a_run_is_claimed_once(store: Store, clock: Clock) -> None:
    assert ledger(store, clock).claim(RUN).state is State.CLAIMED
    with pytest.raises(Busy, match="held by one"):
        ledger(store, clock, "two").claim(RUN)


def test_of_many_claimers_at_once_one_wins(store: Store, clock: Clock) -> None:
    barrier = threading.Barrier(16)

    def claim(owner: int) -> bool:
        mine = ledger(store, clock, f"w{owner}")
        barrier.wait()
        try:
            mine.claim(RUN)
        except Busy:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(claim, range(16))) == 1


def test_a_silent_worker_is_replaced_and_cannot_finish(store: Store, clock: Clock) -> None:
    first, second = ledger(store, clock), ledger(store, clock, "two")
    lost = first.start(first.claim(RUN))
    clock.pass_(181)
    taken = second.claim(RUN)
    assert taken.attempt == 2
    with pytest.raises(Busy, match="taken over"):
        first.finish(lost, State.SUCCEEDED, item="x")
    done = second.finish(second.start(taken), State.SUCCEEDED, item="catalog/x.json")
    assert first.find(RUN) == done


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.INVALID, State.SUPERSEDED, State.WITHDRAWN])
def test_what_has_ended_stays_ended(store: Store, clock: Clock, state: State) -> None:
    mine = ledger(store, clock)
    mine.finish(mine.claim(RUN), state)
    clock.pass_(1e6)
    assert mine.claim(RUN).state is state


def test_failed_runs_may_be_tried_again_and_keep_their_reason(store: Store, clock: Clock) -> None:
    mine = ledger(store, clock)
    with pytest.raises(SourceUnavailable), mine.working(mine.claim(RUN)):
        raise SourceUnavailable("USGS answered 503")
    failed = mine.find(RUN)
    assert failed is not None and failed.state is State.FAILED and "503" in failed.reason
    assert mine.claim(RUN).attempt == 2


def test_invalid_input_is_never_tried_again(store: Store, clock: Clock) -> None:
    mine = ledger(store, clock)
    with pytest.raises(InvalidInput), mine.working(mine.claim(RUN)):
        raise InvalidInput("all-zero PGA")
    assert mine.claim(RUN).state is State.INVALID


def test_an_interrupted_worker_leaves_a_failed_run(store: Store, clock: Clock) -> None:
    mine = ledger(store, clock)
    with pytest.raises(KeyboardInterrupt), mine.working(mine.claim(RUN)):
        raise KeyboardInterrupt
    assert mine.claim(RUN).attempt == 2


def test_a_worker_that_waited_too_long_may_still_start_what_nobody_has(store: Store, clock: Clock) -> None:
    """Else a queue that is longer than a claim would never get anything done."""
    mine, other = ledger(store, clock), ledger(store, clock, "two")
    waited = mine.claim(RUN)
    clock.pass_(181)
    again = other.claim(RUN)
    assert again.attempt == 2
    held = mine.start(waited)
    assert held.attempt == 2 and held.state is State.PROCESSING
    with pytest.raises(Busy, match="already"):
        other.start(again)
    assert mine.finish(held, State.SUCCEEDED).state is State.SUCCEEDED


def test_one_attempt_is_started_once(store: Store, clock: Clock) -> None:
    mine = ledger(store, clock)
    run = mine.claim(RUN)
    mine.start(run)
    with pytest.raises(Busy):
        ledger(store, clock, "two").start(run)


def test_the_heartbeat_holds_a_long_run(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    mine = Ledger(store, lease=timedelta(seconds=0.6), owner="one")
    other = Ledger(store, lease=timedelta(seconds=0.6), owner="two")
    with mine.working(mine.claim(RUN)) as held:
        time.sleep(1.5)
        with pytest.raises(Busy):
            other.claim(RUN)
        mine.finish(held, State.SUCCEEDED)
    assert other.claim(RUN).state is State.SUCCEEDED


def test_supersede_touches_published_runs_only(store: Store, clock: Clock) -> None:
    mine = ledger(store, clock)
    published = mine.finish(mine.claim(RUN), State.SUCCEEDED)
    failed = mine.finish(mine.claim(NEWER), State.FAILED)
    mine.supersede(published, by="newer")
    mine.supersede(failed, by="newer")
    assert {run.state for run in mine.runs("us1")} == {State.SUPERSEDED, State.FAILED}


def test_an_old_claim_cannot_change_what_has_ended(store: Store, clock: Clock) -> None:
    mine = ledger(store, clock)
    claim = mine.claim(RUN)
    done = mine.finish(mine.start(claim), State.SUCCEEDED, item="x")
    with pytest.raises(Busy, match="already ended"):
        mine.finish(claim, State.FAILED)
    assert mine.find(RUN) == done


def test_a_damaged_line_is_named(store: Store, clock: Clock) -> None:
    mine = ledger(store, clock)
    mine.claim(RUN)
    (key,) = store.list("ledger/")
    store.put(key, b'{"state": "NONSENSE"}')
    with pytest.raises(StoreError, match="ledger/us1"):
        mine.find(RUN)


@pytest.fixture(autouse=True)
def no_stray_threads() -> Iterator[None]:
    yield
    assert not [t for t in threading.enumerate() if t.name == "lease"]
