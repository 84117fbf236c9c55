"""Look at the USGS feed once and start a respond run for every quake that is due."""

from __future__ import annotations

from prefect import flow, get_run_logger
from prefect.deployments import run_deployment

from headscarp.core.run import Run
from headscarp.pipeline.assemble import identity_of, open_client, open_workshop, policy_of
from headscarp.pipeline.watch import watch as look
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
    settings = Settings()
    logger = get_run_logger()
    workshop = open_workshop(settings)
    with open_client(settings) as client:
        sightings = look(
            settings.feed,
            client,
            store=workshop.store,
            ledger=workshop.ledger,
            policy=policy_of(settings),
            identity=lambda detail: identity_of(detail, workshop),
            dispatch=dispatch,
        )
    for sighting in sightings:
        logger.info("%s: %s, %s", sighting.event.title, sighting.decision.action, sighting.decision.reason)


if __name__ == "__main__":
    watch()
