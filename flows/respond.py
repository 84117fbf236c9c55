"""Answer one quake that the watch has claimed."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger, task

from headscarp.core.run import Run
from headscarp.pipeline.assemble import open_client, open_workshop
from headscarp.pipeline.quake import Quake, load_quake
from headscarp.pipeline.respond import Response, Workshop
from headscarp.pipeline.respond import respond as answer
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


@task(name="load", persist_result=False, cache_policy=None)
def load(source: str, settings: Settings) -> Quake:
    """Fetch the event and its ShakeMap."""
    with open_client(settings) as client:
        return load_quake(source, client)


@task(name="produce", persist_result=False, cache_policy=None)
def produce(quake: Quake, workshop: Workshop, claimed: Run) -> Response:
    """Cube, models, product."""
    return answer(quake, workshop, claimed=claimed, watcher=LoggedStages())


@flow(name="respond", persist_result=False)
def respond(run: dict[str, Any]) -> str | None:
    """Answer the quake of a claimed run; returns the store key of the published item."""
    claimed = Run.from_json(run)
    settings = Settings()
    quake = load((claimed.request or {})["source"], settings)
    return produce(quake, open_workshop(settings), claimed).item
