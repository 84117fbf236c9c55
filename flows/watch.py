"""Look at the USGS feed once and start a respond run for every quake that is due."""

from __future__ import annotations

from prefect import flow, get_run_logger
from prefect.deployments import run_deployment

from headscarp.core.run import Run
from headscarp.log import set_up
from headscarp.pipeline.assemble import watch_with
from headscarp.settings import Settings


def dispatch(run: Run) -> None:
    """Start the worker; the key holds the attempt, so a run that died can be started again."""
    run_deployment(
        "respond/respond",
        parameters={"run": run.to_json()},
        idempotency_key=f"{run.id}-{run.attempt}",
        flow_run_name=f"{run.event} attempt {run.attempt}",
        timeout=0,
        as_subflow=False,
    )


@flow(name="watch")
def watch() -> None:
    """One look; the schedule repeats it."""
    settings, logger = Settings(), get_run_logger()
    set_up(json_lines=settings.log_json)
    for sighting in watch_with(settings, dispatch):
        logger.info("%s: %s, %s", sighting.title, sighting.decision.action, sighting.decision.reason)


if __name__ == "__main__":
    watch()
