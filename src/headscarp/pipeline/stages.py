"""Time the stages of a run and tell whoever watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Watcher(Protocol):
    """Sees stages begin, advance and end; the CLI draws them, the flow logs them."""

    def begin(self, stage: str) -> None:
        """A stage starts."""

    def advance(self, stage: str, done: int, total: int) -> None:
        """A part of it is done."""

    def end(self, stage: str, seconds: float) -> None:
        """It is over."""


class Silent:
    """Watches without a word."""

    def begin(self, stage: str) -> None:
        pass

    def advance(self, stage: str, done: int, total: int) -> None:
        pass

    def end(self, stage: str, seconds: float) -> None:
        pass


class Stages:
    """A stopwatch over named stages."""

    def __init__(self, watcher: Watcher | None = None) -> None:
        self._watcher: Watcher = watcher or Silent()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """Time the body; yields a progress callback. A stage that fails is not counted."""
        self._watcher.begin(name)
        started = time.perf_counter()
        yield lambda done, total: self._watcher.advance(name, done, total)
        self.seconds[name] = round(time.perf_counter() - started, 3)
        self._watcher.end(name, self.seconds[name])
