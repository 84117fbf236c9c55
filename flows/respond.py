"""Answer one quake that the watch has claimed."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger

from headscarp.core.run import Run
from headscarp.log import set_up
from headscarp.pipeline.attend import answer
from headscarp.settings import Settings


class LoggedStages:
    """Stages as lines in Prefect's log."""

    def __init__(self) -> None:
        self._log = get_run_logger()

    def begin(self, stage: str) -> None:
        self._log.info("%s begins", stage)

    def advance(self, stage: str, done: int, total: int) -> None:
        pass

    def end(self, stage: str, seconds: float) -> None:
        self._log.info("%s took %.2f s", stage, seconds)


@flow(name="respond", persist_result=False)
def respond(run: dict[str, Any]) -> str | None:
    """Answer the quake of a claimed run; returns the store key of the published item."""
    settings = Settings()
    set_up(json_lines=settings.log_json)
    return answer(Run.from_json(run), settings, watcher=LoggedStages()).item
