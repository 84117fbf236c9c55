"""Several models as one where a place belongs to more than one region: their answers averaged by log-odds."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from headscarp.core.gate import EventGate
from headscarp.core.normalisation import EventStatistics
from headscarp.core.predictor import Predictor, Quantity
from headscarp.core.region import blend
from headscarp.core.tiling import CropPlan
from headscarp.core.types import Raster, Stack


class Blended:
    """A weighted average of predictors, as a `Predictor`; no answer where one of them has none.

    It reads every channel that one of them reads, and is tiled as the one that looks furthest wants it.

    Raises:
        ValueError: fewer than two parts, or parts whose numbers mean different things.
    """

    def __init__(self, parts: Sequence[Predictor], weights: Sequence[float]) -> None:
        quantities = {part.quantity for part in parts}
        if len(parts) < 2 or len(parts) != len(weights) or len(quantities) != 1:
            raise ValueError(f"expected several models of one quantity and their weights, got {sorted(quantities)}")
        self._parts, self._weights = tuple(parts), tuple(weights)

    @property
    def name(self) -> str:
        return "+".join(part.name for part in self._parts)

    @property
    def version(self) -> str:
        """Versions and weights of the parts: both change the output."""
        return "+".join(f"{part.version}x{weight:.3f}" for part, weight in zip(self._parts, self._weights, strict=True))

    @property
    def quantity(self) -> Quantity:
        return self._parts[0].quantity

    @property
    def channels(self) -> tuple[str, ...]:
        return _union(part.channels for part in self._parts)

    @property
    def required(self) -> frozenset[str]:
        return frozenset().union(*(part.required for part in self._parts))

    @property
    def ranked(self) -> tuple[str, ...]:
        return _union(part.ranked for part in self._parts)

    @property
    def plan(self) -> CropPlan | None:
        plans = [part.plan for part in self._parts if part.plan is not None]
        return max(plans, key=lambda plan: (plan.margin, plan.size), default=None)

    def bound_to(self, statistics: EventStatistics) -> Self:
        """Every part for one event. Raises InvalidInput as they do."""
        bound = copy.copy(self)
        bound._parts = tuple(part.bound_to(statistics) for part in self._parts)
        return bound

    @property
    def gate_px(self) -> int:
        return max(part.gate_px for part in self._parts)

    @property
    def event_gates(self) -> Mapping[str, EventGate]:
        return {name: gate for part in self._parts for name, gate in part.event_gates.items()}

    def gated(self, windows: Iterable[Stack]) -> Self:
        """Every part with its own gate; one that wants smaller windows takes their middle. Raises as they do."""
        bound, kept = copy.copy(self), list(windows)
        bound._parts = tuple(part.gated(self._seen(part, window) for window in kept) for part in self._parts)
        return bound

    def predict(self, stack: Stack) -> Raster:
        answers = [part.predict(self._read(part, stack)) for part in self._parts]
        return blend(answers, self._weights)

    def _seen(self, part: Predictor, window: Stack) -> Stack:
        """What a part sees of a window of the sample."""
        edge = (self.gate_px - part.gate_px) // 2
        middle = slice(edge, edge + part.gate_px)
        return self._read(part, window)[:, middle, middle]

    def _read(self, part: Predictor, stack: Stack) -> Stack:
        """The channels of a part."""
        place = {name: index for index, name in enumerate(self.channels)}
        return stack[[place[name] for name in part.channels]]


def _union(names: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Each name once, in the order of first mention."""
    return tuple(dict.fromkeys(name for several in names for name in several))
