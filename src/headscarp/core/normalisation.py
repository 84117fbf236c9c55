"""What is usual in an event: quantiles of its channels, so that a model may see values as ranks.

Between earthquakes absolute slope, relief and shaking shift; a pixel's place among the event's own
pixels transfers better. The quantiles are taken once for an event, and every window of it is
normalised by the same ones, wherever it is predicted.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from headscarp.core.types import Raster
from headscarp.errors import InvalidInput

Normalisation = Literal["training", "event"]
"""By statistics of the training events, or by those of the event itself."""

SCORES: Final = tuple(round(0.4 * k, 1) for k in range(-6, 7))
"""Standard normal scores at which quantiles are taken: closer together in the middle than at the ends."""
LEVELS: Final = tuple(float(level) for level in ndtr(SCORES))
"""Shares of the event's pixels below the quantiles, 0.8 % to 99.2 %."""
MAX_CHANNELS: Final = 64
LARGEST: Final = 1e30
"""Of a quantile's amount, so that single precision holds it and differences of two."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True)
class EventStatistics:
    """Quantiles of channels over the land of one event that shook, in physical units.

    A channel without any value in the event has none. Values carry six significant digits, so that
    their text is exact.

    Raises:
        InvalidInput: quantiles that are too few, not finite or falling, or a name that is none.
    """

    quantiles: Mapping[str, tuple[float, ...]]

    def __post_init__(self) -> None:
        """Refuse what cannot be a table of quantiles."""
        if len(self.quantiles) > MAX_CHANNELS:
            raise InvalidInput(f"event statistics: expected at most {MAX_CHANNELS} channels, got {len(self.quantiles)}")
        for name, values in self.quantiles.items():
            if _NAME.fullmatch(name) is None:
                raise InvalidInput(f"event statistics: expected a channel's name, found {name[:50]!r}")
            if values and not _rising(values):
                raise InvalidInput(f"event statistics of {name}: expected {len(SCORES)} finite numbers that never fall")

    @classmethod
    def of(cls, samples: Mapping[str, ArrayLike]) -> EventStatistics:
        """From a sample of each channel; NaN and infinities do not count."""
        return cls({name: _quantiles(np.asarray(values, np.float64)) for name, values in samples.items()})

    @classmethod
    def unknown(cls, channels: Iterable[str]) -> EventStatistics:
        """Of an event where nothing is known of these channels."""
        return cls(dict.fromkeys(channels, ()))

    def only(self, channels: Iterable[str]) -> EventStatistics:
        """Those of some channels.

        Raises:
            InvalidInput: one of them is not there.
        """
        wanted = tuple(channels)
        if lacking := [name for name in wanted if name not in self.quantiles]:
            raise InvalidInput(f"event statistics: expected {', '.join(wanted)}; found none of {', '.join(lacking)}")
        return EventStatistics({name: self.quantiles[name] for name in wanted})

    def scored(self, name: str, values: Raster) -> Raster:
        """Values of a channel as standard normal scores of their rank, -2.4 to 2.4; NaN stays NaN.

        Linear between quantiles; a value that several quantiles share has the mean of their scores. Without
        quantiles every score is 0.
        """
        quantiles, scores = self.curve(name)
        found = np.interp(values, quantiles, scores)
        return np.where(np.isnan(values), np.float32(np.nan), found).astype(np.float32)

    def curve(self, name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Distinct quantiles of a channel in rising order and the score of each; (0,), (0,) without any."""
        values = self.quantiles[name]
        if not values:
            return (0.0,), (0.0,)
        distinct = tuple(dict.fromkeys(values))
        first, last = (np.searchsorted(values, distinct, side) for side in ("left", "right"))
        return distinct, tuple((SCORES[a] + SCORES[b - 1]) / 2 for a, b in zip(first, last, strict=True))

    @property
    def digest(self) -> str:
        """SHA-256 over names and values."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_plain(self) -> dict[str, list[float]]:
        """As plain data, in the order of the names."""
        return {name: list(self.quantiles[name]) for name in sorted(self.quantiles)}

    def to_json(self) -> str:
        """In one line of ASCII."""
        return json.dumps(self.to_plain(), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> EventStatistics:
        """Read what `to_json` wrote.

        Raises:
            InvalidInput: anything else.
        """
        try:
            plain = json.loads(text, parse_int=float, parse_constant=float)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"event statistics: expected JSON, found {type(error).__name__}") from error
        return cls.from_plain(plain)

    @classmethod
    def from_plain(cls, plain: Any) -> EventStatistics:
        """From decoded JSON. Raises InvalidInput unless it is an object of lists of numbers."""
        lists = isinstance(plain, dict) and all(isinstance(values, list) for values in plain.values())
        if not lists or not all(type(v) in {float, int} for values in plain.values() for v in values):
            raise InvalidInput("event statistics: expected an object of lists of numbers")
        return cls({name: tuple(float(v) for v in values) for name, values in plain.items()})


def _rising(values: tuple[float, ...]) -> bool:
    found = np.asarray(values, np.float64)
    if found.shape != (len(SCORES),) or not np.isfinite(found).all():
        return False
    return bool((np.abs(found) <= LARGEST).all() and (np.diff(found) >= 0).all())


def _quantiles(values: np.ndarray) -> tuple[float, ...]:
    known = values[np.isfinite(values)]
    if known.size == 0:
        return ()
    return tuple(float(f"{value:.6g}") for value in np.quantile(known, LEVELS))
