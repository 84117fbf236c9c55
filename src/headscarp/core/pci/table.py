"""The PCI table: one row says all there is to know about a control indicator.

Rows are data. A table is checked when it is built, so a contradiction is an import error, and
its digest (rows and kernel versions) is written to every cube, bundle and catalogue item.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Literal

from headscarp.core.pci.kernels import KERNELS

Kind = Literal["continuous", "categorical"]
Per = Literal["static", "event"]
Role = Literal["feature", "support"]
Resampling = Literal["nearest", "mode", "bilinear", "cubic", "average", "bilinear_ln"]
Transform = Literal["identity", "ln", "log1p", "log10", "code"]

UNITS = frozenset({"m", "degree", "1", "0.01 m-1", "g", "cm s-1", "m s-1", "ln", "code", "km2", "mm"})
CATEGORICAL_RESAMPLING = frozenset({"nearest", "mode"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One layer of the cube, sourced or derived."""

    name: str
    long_name: str
    units: str
    kind: Kind = "continuous"
    per: Per = "static"
    role: Role = "feature"
    channels: tuple[str, ...] = ()
    """Names in the cube; the row's own name unless it has several components."""
    source: str | None = None
    """Layer of the source registry, or `shaking.<field>`; exactly one of source and kernel."""
    kernel: str | None = None
    """Key of `KERNELS`."""
    inputs: tuple[str, ...] = ()
    """Channels, vector layers (`faults`) or event facts (`event.rake`) the kernel reads."""
    resampling: Resampling | None = None
    halo_m: float = 0.0
    """Own reach of the kernel in metres; the reach of its inputs is added by the table."""
    valid: tuple[float, float] | None = None
    """Physical range; a value outside is nodata (continuous) or unknown (categorical)."""
    precision: float | None = None
    """Step of the stored value, whose error is at most half of it; None stores float32."""
    missing: str = "nodata"
    """What stands where the value cannot be known, in words."""
    transform: Transform = "identity"
    """How a network should see it; the cube itself holds physical units."""
    legend: str | None = None
    """Name of the code list of a categorical row, e.g. `glim`."""
    cite: str = ""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the cube variables this row fills."""
        return self.channels or (self.name,)


@dataclass(frozen=True)
class Table:
    """Rows in order, checked at construction.

    Raises:
        ValueError: a row contradicts itself or another; the message names the row.
    """

    name: str
    rows: tuple[Row, ...]
    version: int = 1
    _by_channel: dict[str, Row] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Check every row and index channels."""
        for row in self.rows:
            _check_row(row)
            for channel in row.outputs:
                if channel in self._by_channel:
                    raise ValueError(f"table {self.name}: channel {channel!r} is defined twice")
                self._by_channel[channel] = row
        list(self.ordered())
        for row in self.rows:
            if row.per == "static" and any(self._depends_on_event(name) for name in row.inputs):
                raise ValueError(f"table {self.name}: static row {row.name} has an input that depends on the event")
        if not any(row.per == "event" and row.role == "feature" for row in self.rows):
            raise ValueError(f"table {self.name}: no feature depends on the event")

    def __getitem__(self, channel: str) -> Row:
        """The row that fills `channel`; KeyError if none does."""
        return self._by_channel[channel]

    def _depends_on_event(self, name: str) -> bool:
        row = self._by_channel.get(name)
        return name.startswith("event.") if row is None else row.per == "event"

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @property
    def static(self) -> tuple[Row, ...]:
        """The rows that no event changes."""
        return tuple(row for row in self.rows if row.per == "static")

    @property
    def of_event(self) -> tuple[Row, ...]:
        """The rows that the event fills."""
        return tuple(row for row in self.rows if row.per == "event")

    @property
    def features(self) -> tuple[Row, ...]:
        """The rows a model may read."""
        return tuple(row for row in self.rows if row.role == "feature")

    @property
    def channels(self) -> tuple[str, ...]:
        """All cube variables in row order."""
        return tuple(self._by_channel)

    def ordered(self) -> Iterator[Row]:
        """Rows such that inputs come before what needs them.

        Raises:
            ValueError: the inputs form a cycle.
        """
        done: set[str] = set()
        pending = list(self.rows)
        while pending:
            ready = [r for r in pending if all(i in done for i in r.inputs if i in self._by_channel)]
            if not ready:
                raise ValueError(f"table {self.name}: cycle among {[r.name for r in pending]}")
            for row in ready:
                done.update(row.outputs)
                yield row
            pending = [r for r in pending if r not in ready]

    def halo_m(self, channel: str) -> float:
        """Reach of a channel in metres, that of its inputs included."""
        row = self._by_channel[channel]
        inherited = (self.halo_m(i) for i in row.inputs if i in self._by_channel)
        return row.halo_m + max(inherited, default=0.0)

    @property
    def halo_all_m(self) -> float:
        """The halo a block needs so that all its channels are exact."""
        return max(self.halo_m(channel) for channel in self._by_channel)

    @cached_property
    def digest(self) -> str:
        """sha256 over rows and kernel versions."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> Mapping[str, object]:
        """Rows as plain data, with the version of each kernel beside it."""
        versions = {row.kernel: KERNELS[row.kernel].version for row in self.rows if row.kernel}
        return {"name": self.name, "version": self.version, "rows": [asdict(r) for r in self.rows], "kernels": versions}


def _check_row(row: Row) -> None:
    """Raise ValueError where a row contradicts itself."""
    problems = {
        f"unit {row.units!r} is not one of {sorted(UNITS)}": row.units not in UNITS,
        "exactly one of source and kernel must be given": (row.source is None) == (row.kernel is None),
        f"unknown kernel {row.kernel!r}": row.kernel is not None and row.kernel not in KERNELS,
        "a source needs a resampling": row.source is not None and row.resampling is None,
        "a categorical layer can only be resampled by nearest or mode": row.kind == "categorical"
        and row.resampling not in CATEGORICAL_RESAMPLING,
        "a categorical layer needs a legend": row.kind == "categorical" and row.legend is None,
        "halo must not be negative": row.halo_m < 0,
        "the shaking belongs to the event": row.per == "static" and (row.source or "").startswith("shaking."),
        "a precision needs a valid range that fits into 16 bits": not _fits(row),
        "a citation is missing": not row.cite,
    }
    for problem, found in problems.items():
        if found:
            raise ValueError(f"row {row.name}: {problem}")


def _fits(row: Row) -> bool:
    """Whether the valid range, in steps of the precision, fits into 16 bits with one value to spare."""
    if row.precision is None:
        return True
    if row.valid is None or row.kind == "categorical" or not row.precision > 0:
        return False
    low, high = (value / row.precision for value in row.valid)
    return high <= 65534 if low >= 0 else max(-low, high) <= 32767
