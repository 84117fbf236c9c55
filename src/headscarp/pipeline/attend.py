"""Watch and answer in one process: the service without Prefect."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from headscarp.core.run import Run
from headscarp.pipeline.assemble import open_client, open_workshop, watch_with
from headscarp.pipeline.quake import load_quake
from headscarp.pipeline.respond import Response, respond_to_claim
from headscarp.pipeline.stages import Watcher
from headscarp.pipeline.watch import Sighting
from headscarp.settings import Settings


def attend(settings: Settings, *, interval: float, once: bool) -> Iterator[Sequence[Sighting]]:
    """Look, answer what is due, yield what was decided; then wait `interval` seconds and look again."""
    while True:
        yield watch_with(settings, lambda run: _answer(run, settings))
        if once:
            return
        time.sleep(interval)


def answer(run: Run, settings: Settings, *, watcher: Watcher | None = None) -> Response:
    """Do the work of a claimed run here and now."""
    source = (run.request or {})["source"]
    with open_client(settings) as client:
        return respond_to_claim(run, lambda: load_quake(source, client), open_workshop(settings), watcher=watcher)


def _answer(run: Run, settings: Settings) -> None:
    answer(run, settings)
