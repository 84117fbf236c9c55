"""The order in which kernels run, and how far around a block each channel must be known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from headscarp.core.grid import PIXEL_M
from headscarp.core.pci.table import Row


@dataclass(frozen=True, slots=True)
class Group:
    """A kernel, and the rows it fills."""

    kernel: str
    rows: tuple[Row, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """What its rows read, together."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.inputs))

    @property
    def halo_px(self) -> int:
        """Reach of its own."""
        return max(math.ceil(row.halo_m / PIXEL_M - 1e-9) for row in self.rows)


def kernel_groups(rows: Iterable[Row]) -> tuple[Group, ...]:
    """Kernels in an order in which each finds its inputs ready.

    Raises:
        ValueError: rows that share a kernel depend on each other.
    """
    by_kernel: dict[str, list[Row]] = {}
    for row in rows:
        if row.kernel:
            by_kernel.setdefault(row.kernel, []).append(row)
    pending = [Group(kernel, tuple(found)) for kernel, found in by_kernel.items()]
    made_by = {channel: group.kernel for group in pending for row in group.rows for channel in row.outputs}
    ordered: list[Group] = []
    while pending:
        done = {group.kernel for group in ordered}
        ready = [g for g in pending if all(made_by.get(i) in {None, *done} for i in g.inputs)]
        if not ready:
            raise ValueError(f"kernels wait for each other: {[g.kernel for g in pending]}")
        ordered += ready
        pending = [g for g in pending if g not in ready]
    return tuple(ordered)


@dataclass(frozen=True, slots=True)
class Plan:
    """Kernels in order, and how far around the block each channel must be known."""

    groups: tuple[Group, ...]
    reach_px: Mapping[str, int]
    """By channel that a kernel reads."""

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Plan:
        """The reach of a channel is the largest of those who read it, each with its own halo."""
        groups = kernel_groups(rows)
        reach: dict[str, int] = {}
        for group in reversed(groups):
            own = group.halo_px + cls._outer(reach, group)
            for name in group.inputs:
                reach[name] = max(reach.get(name, 0), own)
        return cls(groups, reach)

    @staticmethod
    def _outer(reach: Mapping[str, int], group: Group) -> int:
        return max(reach.get(channel, 0) for row in group.rows for channel in row.outputs)

    def outer_px(self, group: Group) -> int:
        """How far around the block a group's outputs are read."""
        return self._outer(self.reach_px, group)
