"""What every predictor of a bundle says of itself, in process or at an endpoint."""

from __future__ import annotations

from collections.abc import Mapping

from headscarp.core.gate import EventGate
from headscarp.core.manifest import Manifest
from headscarp.core.predictor import Quantity
from headscarp.core.tiling import CropPlan


class FromManifest:
    """The part of a `Predictor` that its manifest answers, and the gate it was given."""

    manifest: Manifest
    event_gate: EventGate | None = None
    """Of the event it is bound to, where its gate is the event's."""

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def quantity(self) -> Quantity:
        return self.manifest.quantity

    @property
    def channels(self) -> tuple[str, ...]:
        return self.manifest.channels

    @property
    def required(self) -> frozenset[str]:
        return self.manifest.required

    @property
    def ranked(self) -> tuple[str, ...]:
        return self.manifest.ranked

    @property
    def plan(self) -> CropPlan | None:
        return self.manifest.plan

    @property
    def gate_px(self) -> int:
        return self.manifest.gate_px

    @property
    def event_gates(self) -> Mapping[str, EventGate]:
        return {} if self.event_gate is None else {self.name: self.event_gate}
