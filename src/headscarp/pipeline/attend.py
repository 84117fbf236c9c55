"""Watch and answer in one process: the service without Prefect."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence

from headscarp.core.run import Run
from headscarp.errors import HeadscarpError
from headscarp.pipeline.assemble import open_client, open_workshop, watch_with
from headscarp.pipeline.quake import load_quake
from headscarp.pipeline.respond import Response, respond_to_claim
from headscarp.pipeline.stages import Watcher
from headscarp.pipeline.watch import Sighting
from headscarp.settings import Settings

log = logging.getLogger(__name__)


def attend(settings: Settings, *, interval: float, once: bool) -> Iterator[Sequence[Sighting]]:
    """Look, answer what is due, yield what was decided; then wait `interval` seconds and look again."""
    while True:
        try:
            yield watch_with(settings, lambda run: _answer(run, settings))
        except HeadscarpError as error:
            if once:
                raise
            log.warning("this look failed, the next comes in %.0f s: %s", interval, error)
        if once:
            return
        time.sleep(interval)


def answer(run: Run, settings: Settings, *, watcher: Watcher | None = None) -> Response:
    """Do the work of a claimed run here and now."""
    source = (run.request or {})["source"]
    with open_client(settings) as client:
        return respond_to_claim(run, lambda: load_quake(source, client), open_workshop(settings), watcher=watcher)


def _answer(run: Run, settings: Settings) -> None:
    """One quake's trouble must not end the watch over all others; the ledger has its reason."""
    try:
        answer(run, settings)
    except Exception:
        log.exception("run %s failed", run.id)
