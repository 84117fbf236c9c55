"""The sources of static rows, opened in this process, and what is to be said of hosts that go away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import TypeVar

from headscarp.core.types import Attributes
from headscarp.errors import InvalidInput, SourceUnavailable
from headscarp.io.inputs.rasters import RasterLayer
from headscarp.io.inputs.vectors import LineLayer
from headscarp.pipeline.recipe import DEM, StaticRecipe

T = TypeVar("T")


class Gaps:
    """Layers whose host stopped answering: the reason is kept, and the host is not asked again."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self._lock = Lock()

    def read(self, layer: str, call: Callable[[], T]) -> T | None:
        """The result of `call`, None where the layer's host does not answer."""
        if layer not in self._reasons:
            try:
                return call()
            except SourceUnavailable as error:
                with self._lock:
                    self._reasons.setdefault(layer, str(error))
        return None

    def reason(self, layer: str) -> str | None:
        """Why a layer has gaps, None if it has none."""
        return self._reasons.get(layer)


@dataclass(slots=True)
class Layers:
    """Opened sources by layer name."""

    dem: RasterLayer
    rasters: dict[str, RasterLayer] = field(default_factory=dict)
    lines: dict[str, LineLayer] = field(default_factory=dict)
    gaps: Gaps = field(default_factory=Gaps)
    session: str = ""
    """The build that opened them."""

    def apart(self) -> Layers:
        """The same sources, with a lineage of their own for one block."""
        rasters = {name: layer.apart() for name, layer in self.rasters.items()}
        return Layers(self.dem.apart(), rasters, self.lines, self.gaps, self.session)

    def check(self) -> None:
        """Open every file once, so that what is wrong is said before any block is made.

        Raises:
            InvalidInput: a source is not what the registry says.
            SourceUnavailable: the DEM's host does not answer; any other layer then has a gap.
        """
        self.dem.check_terrain()
        for name, layer in self.rasters.items():
            self.gaps.read(name, layer.check)
        for name, lines in self.lines.items():
            self.gaps.read(name, lambda lines=lines: lines.identity)  # type: ignore[misc]


def open_layers(recipe: StaticRecipe, *, timeout_s: float, session: str = "") -> Layers:
    """The sources of a recipe; nothing is read yet.

    Raises:
        InvalidInput: there is no DEM.
    """
    spec = recipe.source(DEM)
    if spec is None:
        raise InvalidInput("no elevation: the recipe has no DEM")
    missing = dict(recipe.missing)
    opened = Layers(RasterLayer(DEM, spec, timeout_s=timeout_s), session=session)
    wanted = [row for row in recipe.rows if row.outputs[0] not in missing]
    channels = {channel for row in recipe.rows for channel in row.outputs}
    for name, spec in recipe.sources:
        if any(row.source == name for row in wanted):
            opened.rasters[name] = RasterLayer(name, spec, timeout_s=timeout_s)
        if any(name in row.inputs and name not in channels for row in wanted):
            opened.lines[name] = LineLayer(name, spec, timeout_s=timeout_s)
    opened.rasters.pop(DEM, None)
    return opened


@lru_cache(maxsize=4)
def layers_of(recipe: StaticRecipe, session: str, timeout_s: float) -> Layers:
    """The sources of a recipe, opened once in this process for all blocks of one build."""
    return open_layers(recipe, timeout_s=timeout_s, session=session)


def joined_lineage(one: Attributes, other: Attributes) -> Attributes:
    """Lineage of sources by layer, with the files of both."""
    return {name: _joined(one.get(name, {}), other.get(name, {})) for name in sorted({*one, *other})}


def _joined(one: Attributes, other: Attributes) -> Attributes:
    """Lineage of one layer, its fallbacks and what is suspect about it included."""
    joined = one | other | {"files": dict(sorted((one.get("files", {}) | other.get("files", {})).items()))}
    fallbacks: dict[str, Attributes] = {}
    for said in (*one.get("fallback", ()), *other.get("fallback", ())):
        fallbacks[said["href"]] = _joined(fallbacks.get(said["href"], {}), said)
    suspect = sorted({*one.get("suspect", ()), *other.get("suspect", ())})
    more = {"fallback": [fallbacks[href] for href in sorted(fallbacks)], "suspect": suspect}
    return joined | {name: found for name, found in more.items() if found}
