"""What every model looks like from outside: channels in, one raster out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, Protocol, Self

from headscarp.core.gate import EventGate
from headscarp.core.normalisation import EventStatistics
from headscarp.core.tiling import CropPlan
from headscarp.core.types import Raster, Stack

Quantity = Literal["score", "coverage"]
"""An uncalibrated score in [0, 1], or the fraction of a cell's area covered by landslides."""


class Predictor(Protocol):
    """The in-process network, the endpoint, Nowicki Jessee 2018: all are used through this."""

    @property
    def name(self) -> str:
        """Short name, safe in file names."""

    @property
    def version(self) -> str:
        """Changes whenever the output for equal input changes."""

    @property
    def quantity(self) -> Quantity:
        """What the numbers mean."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Cube channels it reads, in the order of the first axis of its input."""

    @property
    def required(self) -> frozenset[str]:
        """Channels without which it cannot run at all; others may be NaN throughout."""

    @property
    def ranked(self) -> tuple[str, ...]:
        """Channels whose event statistics it needs; none for models that take physical units as they are."""

    @property
    def plan(self) -> CropPlan | None:
        """How it wants to be tiled; None when every pixel stands alone."""

    @property
    def gate_px(self) -> int:
        """Side of the windows from which it takes the event's channel gate; 0 for models without one."""

    @property
    def event_gates(self) -> Mapping[str, EventGate]:
        """The channel gates it scores with, by the model they are of; none before `gated`."""

    def bound_to(self, statistics: EventStatistics, /) -> Self:
        """The same model for the windows of one event; models that do not look at the event return themselves.

        Raises:
            InvalidInput: the statistics lack a channel that the model normalises by the event.
        """

    def gated(self, windows: Iterable[Stack], /) -> Self:
        """The same model with the channel gate of the event, from a sample of its windows.

        The model is bound to the event before. Windows are (channel, `gate_px`, `gate_px`). Models without such a
        gate return themselves and look at no window.

        Raises:
            InvalidInput: there is no window.
        """

    def predict(self, stack: Stack) -> Raster:
        """(channel, y, x) in physical units, NaN where missing, to (y, x); NaN where it has no answer."""
