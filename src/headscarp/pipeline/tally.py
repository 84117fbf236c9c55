"""What the blocks of a cube add up to: the attributes that are known after the last one."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from headscarp.core.grid import PIXEL_M
from headscarp.core.lattice import BlockIndex
from headscarp.core.pci.table import Table
from headscarp.core.types import Attributes
from headscarp.pipeline.fill import Filled
from headscarp.pipeline.layers import joined_lineage
from headscarp.pipeline.recipe import DEM, StaticRecipe, layer_of, observed_after
from headscarp.pipeline.trigger import EventBlock, Trigger

WEAK = "PGA below 0.02 g"


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts over all blocks. Those of static channels are over whole lattice blocks, the land over the extent."""

    table: Table
    recipe: StaticRecipe
    trigger: Trigger
    felt: Mapping[BlockIndex, bool]
    """By block under the grid."""
    filled: Mapping[BlockIndex, Filled]
    """Of the blocks that are felt."""
    event_blocks: Sequence[EventBlock]

    @property
    def land(self) -> int:
        """Land pixels of the extent, where the shaking is felt."""
        return sum(block.land for block in self.event_blocks)

    @property
    def digests(self) -> dict[BlockIndex, str]:
        """sha256 over the channels of each block."""
        return {index: found.record.digest(self._present(found)) for index, found in self.filled.items()}

    def _present(self, found: Filled) -> list[str]:
        return [channel for channel in self.recipe.channels if channel in found.record.channels]

    def keys(self, *, computed: bool) -> list[str]:
        """Keys of the blocks that were made now, or that stood there before."""
        return [index.key for index, found in sorted(self.filled.items()) if found.computed is computed]

    def attributes(self, refused: Mapping[str, str]) -> Attributes:
        """All attributes; `refused` are reasons by channel that lie in the event's time."""
        missing = self._missing(refused)
        rejected = sum((Counter(block.rejected) for block in self.event_blocks), Counter(self._rejected()))
        return {
            "headscarp:missing": missing,
            "headscarp:gaps": self._gaps(),
            "headscarp:sources": self._sources(refused),
            "headscarp:land_km2": round(self.land * PIXEL_M**2 / 1e6, 3),
            "headscarp:valid_fraction": self._fractions(missing),
            "headscarp:rejected_pixels": {name: n for name, n in sorted(rejected.items()) if name not in refused},
            "headscarp:skipped_blocks": self._skipped(),
            "headscarp:blocks": len(self.felt),
            "headscarp:content_digest": self._content_digest(missing),
            "headscarp:dem_after_event": self._dem_after_event(),
        }

    def _missing(self, refused: Mapping[str, str]) -> dict[str, str]:
        """Channels without any value, and why."""
        reasons = {**dict(self.recipe.missing), **self.trigger.missing, **refused}
        known = sum((Counter(block.known) for block in self.event_blocks), self._valid_static())
        for channel in self.table.channels:
            if channel not in reasons and known[channel] == 0:
                reasons[channel] = self._hole(channel) or self._no_value()
        return {channel: reasons[channel] for channel in self.table.channels if channel in reasons}

    def _hole(self, channel: str) -> str | None:
        reasons = (found.holes[channel] for found in self.filled.values() if channel in found.holes)
        return next(reasons, None) or self.trigger.gaps.reason(self.table[channel].source or "")

    def _no_value(self) -> str:
        if not any(found.record.land for found in self.filled.values()):
            return "not made: PGA is below 0.02 g wherever there is land"
        return "its source holds no value on the land of this extent"

    def _valid_static(self) -> Counter[str]:
        """Land pixels with a value, by static channel."""
        static: Counter[str] = Counter()
        for found in self.filled.values():
            static.update({name: channel.valid for name, channel in found.record.channels.items()})
        return static

    def _rejected(self) -> Counter[str]:
        counted: Counter[str] = Counter()
        for found in self.filled.values():
            counted.update({name: channel.rejected for name, channel in found.record.channels.items()})
        return +counted

    def _fractions(self, missing: Mapping[str, str]) -> dict[str, float]:
        """Share of the land with a value, by channel."""
        valid = sum((Counter(block.valid) for block in self.event_blocks), self._valid_static())
        own = {channel for row in self.table.of_event for channel in row.outputs}
        blocks = sum(found.record.land for found in self.filled.values())
        lands = {channel: self.land if channel in own else blocks for channel in self.table.channels}
        shares = {channel: round(valid[channel] / max(land, 1), 6) for channel, land in lands.items()}
        return {channel: 0.0 if channel in missing else share for channel, share in shares.items()}

    def _gaps(self) -> Attributes:
        """Blocks without a layer whose host did not answer, and the reason, by layer name."""
        gaps: dict[str, Attributes] = {}
        for found in self.filled.values():
            reasons = {self._root(channel): reason for channel, reason in found.holes.items()}
            for layer, reason in reasons.items():
                gaps.setdefault(layer, {"blocks": 0, "reason": reason})["blocks"] += 1
        for layer in self.trigger.rasters:
            silent = self.trigger.gaps.reason(layer)
            if silent:
                gaps[layer] = {"blocks": len(self.event_blocks), "reason": silent}
        return {layer: gaps[layer] for layer in sorted(gaps)}

    def _root(self, channel: str) -> str:
        """The source behind a channel that is not the DEM, or else the DEM."""
        row = self.table[channel]
        if row.source:
            return layer_of(row.source)
        roots = [self._root(name) if name in self.table.channels else name for name in row.inputs]
        return next((root for root in roots if root != DEM), DEM)

    def _sources(self, refused: Mapping[str, str]) -> Attributes:
        """What was read, by layer name, but for layers that no channel of this event shows."""
        found = reduce(joined_lineage, (block.record.sources for block in self.filled.values()), self.trigger.lineage())
        hidden = {layer_of(self.table[channel].source or "") for channel in refused}
        return {layer: said for layer, said in found.items() if layer not in hidden}

    def _skipped(self) -> dict[str, int]:
        """Blocks without static features, by reason."""
        reasons = Counter({WEAK: sum(not is_felt for is_felt in self.felt.values())})
        for found in self.filled.values():
            if found.record.land == 0:
                reasons["sea" if found.record.sea else "no elevation"] += 1
        return dict(+reasons)

    def _content_digest(self, missing: Mapping[str, str]) -> str:
        """sha256 over all values of the cube."""
        digests = self.digests
        parts = [*(digests[index] for index in sorted(digests)), *(block.digest for block in self.event_blocks)]
        return hashlib.sha256("".join([*parts, *sorted(missing)]).encode()).hexdigest()

    def _dem_after_event(self) -> bool | None:
        spec = self.recipe.source(DEM)
        return observed_after(spec, self.trigger.event) if spec else None
