from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headscarp.core.event import Event, RunId, ShakeMapId
from headscarp.core.policy import Action, Policy, decide
from headscarp.core.run import HELD, Run, State

NOW = datetime(2026, 5, 1, tzinfo=UTC)
QUAKE = Event("us1", "M 6.5 somewhere", NOW - timedelta(hours=1), 6.5, 84.0, 28.0, 10.0)
MAP = ShakeMapId("us", "us1", 5)


def run(state: State, lease: float) -> Run:
    return Run("us1-x", "us1", 5, state, 1, "me", NOW + timedelta(seconds=lease), NOW, reason="why")


def test_a_new_shakemap_is_answered() -> None:
    assert decide(QUAKE, MAP, known=None, policy=Policy(), now=NOW).action is Action.RESPOND


@pytest.mark.parametrize(
    "event", [replace(QUAKE, magnitude=5.4), replace(QUAKE, time=NOW - timedelta(days=31))], ids=["small", "old"]
)
def test_what_is_below_the_policy_is_skipped(event: Event) -> None:
    assert decide(event, MAP, known=None, policy=Policy(), now=NOW).action is Action.SKIP


def test_a_missing_shakemap_is_waited_for_a_day_and_no_longer() -> None:
    waiting = decide(QUAKE, None, known=None, policy=Policy(), now=NOW)
    assert waiting.action is Action.WAIT and "2026-05-01 23:00" in waiting.reason
    later = decide(QUAKE, None, known=None, policy=Policy(), now=NOW + timedelta(hours=24))
    assert later.action is Action.SKIP


@given(st.sampled_from(list(State)), st.integers(-10_000, 10_000))
def test_a_known_run_is_answered_again_only_if_it_failed_or_fell_silent(state: State, lease: int) -> None:
    known = run(state, lease)
    action = decide(QUAKE, MAP, known=known, policy=Policy(), now=NOW).action
    silent = state in HELD and lease <= 0
    again = silent or state is State.ABORTED
    assert (action is Action.RESPOND) == again


def test_a_failed_run_is_tried_again_after_a_pause_that_doubles_up_to_an_hour() -> None:
    pauses = []
    for attempt in (1, 2, 3, 12):
        failed = replace(run(State.FAILED, 0), attempt=attempt)
        soon = Policy().retry_at(failed)
        before = decide(QUAKE, MAP, known=failed, policy=Policy(), now=soon - timedelta(seconds=1))
        assert before.action is Action.WAIT
        assert decide(QUAKE, MAP, known=failed, policy=Policy(), now=soon).action is Action.RESPOND
        pauses.append((soon - failed.updated).total_seconds())
    assert pauses == [30, 60, 120, 3600]


@given(
    st.text("abcXYZ019._:/ -", min_size=1, max_size=20),
    st.integers(0, 2**42),
    st.text("abc/._19", min_size=1, max_size=12),
)
def test_run_ids_are_safe_names_and_keep_update_times_apart(code: str, time: int, model: str) -> None:
    def name(moment: int) -> str:
        return str(RunId("us1", ShakeMapId("us", code, moment), (model,), "0123456789abcdef"))

    assert set(name(time)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
    assert name(time) != name(time + 1)


def test_a_run_survives_json() -> None:
    known = run(State.FAILED, 10.0)
    assert Run.from_json(known.to_json()) == known
