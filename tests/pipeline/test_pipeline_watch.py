from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo import wh_
from odc.geo.geobox import GeoBox

from headscarp.core.event import Event, RunId, ShakeMapId, Shaking
from headscarp.core.policy import Action, Policy
from headscarp.core.run import Run, State
from headscarp.demo.publications import Script, publication, withdrawn
from headscarp.demo.replay import ReplayServer
from headscarp.errors import SourceUnavailable
from headscarp.io.inputs.usgs import UsgsClient
from headscarp.io.inputs.usgs_products import EventDetail
from headscarp.io.ledger import Ledger
from headscarp.io.outputs.usgs_format import shakemap_release
from headscarp.io.store import LocalStore
from headscarp.pipeline.watch import Sighting, watch

NOW = datetime.now(UTC).replace(microsecond=0)
QUAKE = Event(
    "syn1", "M 6.5 nowhere", NOW - timedelta(minutes=20), 6.5, -27.0, 47.5, 10.0, ids=("syn1",), synthetic=True
)


def shaking(peak: float) -> Shaking:
    pga = np.full((12, 12), peak, dtype=np.float32)
    return Shaking(GeoBox(wh_(12, 12), Affine(1 / 60, 0, -27.1, 0, -1 / 60, 47.6), "EPSG:4326"), pga, pga * 80)


def releases(count: int) -> list[object]:
    times = [int((NOW - timedelta(minutes=10 - i)).timestamp() * 1000) for i in range(count)]
    return [shakemap_release(QUAKE, shaking(0.2 + i / 10), ShakeMapId("us", "syn1", t)) for i, t in enumerate(times)]


def script() -> Script:
    first, second = releases(2)
    return (publication(QUAKE), publication(QUAKE, [first]), publication(QUAKE, [first, second]))  # type: ignore[list-item]


def identity(detail: EventDetail) -> RunId:
    assert detail.preferred_shakemap
    return RunId(detail.event.id, detail.preferred_shakemap.id, ("fcn-1",), "ab" * 32)


class Watcher:
    """A watch over one replay, with workers that do as they are told."""

    def __init__(self, folder: Path, url: str) -> None:
        self.store = LocalStore(folder)
        self.ledger = Ledger(self.store, lease=timedelta(seconds=60), owner="watcher")
        self.client = UsgsClient(url, timeout_s=5.0)
        self.started: list[Run] = []

    def look(self, now: datetime = NOW) -> list[Sighting]:
        return list(
            watch(
                "4.5_day",
                self.client,
                store=self.store,
                ledger=self.ledger,
                policy=Policy(),
                identity=identity,
                dispatch=self.started.append,
                now=now,
            )
        )


@pytest.fixture
def replay() -> Iterator[ReplayServer]:
    with ReplayServer(script()) as server:
        yield server


@pytest.fixture
def watcher(tmp_path: Path, replay: ReplayServer) -> Watcher:
    return Watcher(tmp_path, replay.url)


def test_each_shakemap_starts_one_run(watcher: Watcher, replay: ReplayServer) -> None:
    replay.publish_next()
    assert [s.decision.action for s in watcher.look()] == [Action.WAIT]
    replay.publish_next()
    assert [s.decision.action for s in watcher.look()] == [Action.RESPOND]
    assert [s.decision.action for s in watcher.look()] == [Action.SKIP]
    replay.publish_next()
    watcher.look()
    assert len(watcher.started) == 2
    assert watcher.started[0].update_time < watcher.started[1].update_time


def test_nothing_is_asked_about_what_has_not_changed(watcher: Watcher, replay: ReplayServer) -> None:
    replay.publish_next()
    replay.publish_next()
    watcher.look()
    watcher.ledger.finish(watcher.started[0], State.SUCCEEDED)
    assert watcher.look() == []


def test_a_failed_and_a_silent_run_are_started_again(watcher: Watcher, replay: ReplayServer) -> None:
    replay.publish_next()
    replay.publish_next()
    watcher.look()
    watcher.ledger.finish(watcher.started[-1], State.FAILED, reason="killed")
    assert watcher.look(datetime.now(UTC))[0].decision.action is Action.WAIT
    watcher.look(datetime.now(UTC) + timedelta(seconds=31))
    assert [run.attempt for run in watcher.started] == [1, 2]
    assert watcher.look()[0].decision.action is Action.SKIP
    lapsed = Ledger(watcher.store, lease=timedelta(seconds=60), clock=lambda: datetime.now(UTC) + timedelta(minutes=5))
    watcher.ledger = lapsed
    watcher.look(datetime.now(UTC) + timedelta(minutes=5))
    assert [run.attempt for run in watcher.started] == [1, 2, 3]


def test_two_watchers_start_a_run_once(tmp_path: Path, replay: ReplayServer) -> None:
    replay.publish_next()
    replay.publish_next()
    first, second = Watcher(tmp_path, replay.url), Watcher(tmp_path, replay.url)
    second.ledger = Ledger(second.store, lease=timedelta(seconds=60), owner="other")
    first.look()
    second.look()
    assert len(first.started) + len(second.started) == 1


def test_an_outage_of_the_feed_is_raised_and_loses_nothing(watcher: Watcher, replay: ReplayServer) -> None:
    replay.publish_next()
    replay.publish_next()
    replay.fail_next(50)
    with pytest.raises(SourceUnavailable):
        watcher.look()
    replay.fail_next(-50)
    replay._faults.clear()
    assert [s.decision.action for s in watcher.look()] == [Action.RESPOND]


def test_trouble_with_one_event_does_not_hide_another(tmp_path: Path) -> None:
    other = replace(QUAKE, id="syn2", ids=("syn2",))
    (release,) = releases(1)
    broken = publication(replace(QUAKE, id="syn0", ids=("syn0",)), [release])  # type: ignore[list-item]
    broken.detail["properties"]["products"]["shakemap"] = [release.product | {"status": None}]  # type: ignore[attr-defined]
    with ReplayServer((broken, publication(other, [release]))) as server:  # type: ignore[list-item]
        server.advance(1.0)
        watcher = Watcher(tmp_path, server.url)
        actions = {s.event: s.decision.action for s in watcher.look()}
    assert actions == {"syn0": Action.WAIT, "syn2": Action.RESPOND}


def test_a_deleted_quake_starts_nothing(tmp_path: Path) -> None:
    (release,) = releases(1)
    with ReplayServer((publication(QUAKE, [release]), withdrawn(QUAKE, after_s=1.0))) as server:  # type: ignore[list-item]
        server.advance(5.0)
        watcher = Watcher(tmp_path, server.url)
        assert watcher.look() == []
    assert watcher.started == []
