"""The channel gate of an event: how it comes from its windows, and what is kept of it.

Channel attention weighs a network's channels by their mean and maximum over an area. Taken window by window it
would differ across their seams, so it is taken once, over a fixed sample of windows of the event, and every window
is scored with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headscarp.core.types import Stack
from headscarp.errors import InvalidInput


@dataclass(frozen=True, slots=True, eq=False)
class EventGate:
    """One weight a channel of the network's deepest features, members of an ensemble side by side.

    Raises:
        InvalidInput: weights that are no vector of float32 from 0 to 1, or that come from no window.
    """

    values: NDArray[np.float32]
    windows: int
    """Windows of the event whose features were averaged."""
    side: int
    """Rows and columns of each window."""

    def __post_init__(self) -> None:
        """Refuse what cannot be a gate."""
        if self.windows < 1:
            raise InvalidInput("channel gate: expected at least one window of the event, found none")
        if self.values.ndim != 1 or self.values.dtype != np.float32 or not within(self.values):
            raise InvalidInput(
                f"channel gate: expected a vector of float32 from 0 to 1, "
                f"found {self.values.dtype} of shape {self.values.shape}"
            )

    @property
    def digest(self) -> str:
        """SHA-256 over the weights as little-endian float32."""
        return hashlib.sha256(self.values.astype("<f4").tobytes()).hexdigest()

    def to_plain(self) -> dict[str, str | int]:
        """What is written beside a map."""
        return {"sha256": self.digest, "windows": self.windows, "gate_px": self.side}


def within(values: NDArray[np.float32]) -> bool:
    """Whether all are finite and from 0 to 1; a sigmoid in single precision reaches both."""
    return bool(((values >= 0) & (values <= 1)).all())


def squares(windows: Iterable[Stack], side: int) -> Iterator[Stack]:
    """The windows of a sample as they come, checked.

    Raises:
        InvalidInput: there is none, or one is no (channel, `side`, `side`).
    """
    found = 0
    for window in windows:
        found += 1
        if window.ndim != 3 or window.shape[1:] != (side, side):
            raise InvalidInput(f"channel gate: expected windows (channel, {side}, {side}), found {window.shape}")
        yield window
    if not found:
        raise InvalidInput("channel gate: expected at least one window of the event, found none")


def mean_features(features: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Those of the event from those of its windows, each (2, gate channel); summed in double precision."""
    return np.asarray(np.mean(features, axis=0, dtype=np.float64), np.float32)
