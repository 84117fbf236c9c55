"""One model's map of one quake as a file, with nothing published."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from headscarp.core.grid import event_extent
from headscarp.core.predictor import Predictor
from headscarp.core.types import Attributes
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.outputs.cog import write_value_cog
from headscarp.io.outputs.product import ModelMap
from headscarp.io.store import LocalStore
from headscarp.pipeline.cube import build_cube
from headscarp.pipeline.predict import mask_map, predict_map, status_map
from headscarp.pipeline.quake import Quake
from headscarp.pipeline.stages import Stages, Watcher
from headscarp.tables.coseismic import COSEISMIC


def write_map(
    quake: Quake,
    predictor: Predictor,
    path: Path,
    *,
    registry: SourceRegistry,
    region: Attributes | None = None,
    watcher: Watcher | None = None,
) -> ModelMap:
    """Write the model's map to `path` as a COG: float32, NaN where it has no valid answer.

    Its tags name the model, and `region`, where it is given, as what the place decided.

    Raises:
        InvalidInput: an input the model needs is missing.
    """
    stages = Stages(watcher)
    extent = event_extent(quake.shaking, quake.event.longitude, quake.event.latitude)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".headscarp-") as folder:
        scratch = Path(folder)
        with stages.stage("cube") as progress:
            cube = build_cube(
                LocalStore(scratch),
                "cube.zarr",
                event=quake.event,
                shaking=quake.shaking,
                extent=extent,
                table=COSEISMIC,
                registry=registry.with_overrides(quake.layers, others=quake.lacking),
                lineage=quake.lineage,
                progress=progress,
            )
        with stages.stage(f"predict {predictor.name}") as progress:
            written = predict_map(cube, predictor, scratch / "map.tif", progress=progress)
            mask_map(written.path, status_map(cube, written.path, scratch / "status.tif"))
        with stages.stage("write"):
            tags = _tags(quake, written, region)
            write_value_cog(written.path, scratch / "cog.tif", name=written.quantity, tags=tags)
            (scratch / "cog.tif").replace(path)
    return written


def _tags(quake: Quake, written: ModelMap, region: Attributes | None) -> dict[str, str]:
    """Dataset tags: what it shows, by which model, and SYNTHETIC where that is what it is."""
    described = {
        "TIFFTAG_IMAGEDESCRIPTION": f"{written.quantity} by {written.label}: {quake.event.title}",
        "HEADSCARP_MODEL": written.label,
    }
    place = {} if region is None else {"HEADSCARP_REGION": json.dumps(region, sort_keys=True)}
    return described | place | ({"SYNTHETIC": "YES"} if quake.event.synthetic else {})
