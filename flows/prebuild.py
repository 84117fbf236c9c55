"""Fill the lattice of static layers ahead of time; on a Dask cluster where the settings name one."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger, task

from headscarp.log import set_up
from headscarp.pipeline.prebuild import prebuild_with
from headscarp.pipeline.stages import Silent, Stages
from headscarp.settings import Settings


@task(name="fill", retries=3, retry_delay_seconds=60)
def fill(bbox: tuple[float, float, float, float] | None, belt: str | None) -> dict[str, Any]:
    """Blocks that were done stay done, so a retry goes on where a worker, a host or the cluster was lost."""
    found = prebuild_with(Settings(), bbox=bbox, belt=belt, stages=Stages(Silent()))
    get_run_logger().info("%d blocks made, %d stood there, %s", found.computed, found.read, dict(found.reasons))
    return found.to_json()


@flow(name="prebuild", persist_result=False)
def prebuild(bbox: tuple[float, float, float, float] | None = None, belt: str | None = None) -> dict[str, Any]:
    """Make the static blocks of a box (west, south, east, north in degrees) or of a seismic belt."""
    set_up(json_lines=Settings().log_json)
    return fill(bbox, belt)
