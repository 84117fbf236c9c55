"""The first layer of every network: physical units with NaN in, standardised planes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from headscarp.core.manifest import InputChannel
from headscarp.core.normalisation import EventStatistics, Normalisation

CLIP = 5.0
"""Standardised values beyond this many robust standard deviations are cut off."""
LOG10_OFFSET = 1e-5
"""Added before log10, for quantities that reach zero."""
SMALLEST = 1e-6
"""Floor under ln."""
CURVE_POINTS = 2048
"""Points at which the curve from value to rank is tabulated: a table is five times faster than a search."""
VECTORS = (("aspect_east", "aspect_north"),)
"""Channels that are the east and north components of one vector; they are on one scale already."""
COMPONENTS = frozenset(name for pair in VECTORS for name in pair)


class Ranks(NamedTuple):
    """The curve from value to rank of ranked channels, at evenly spaced values; first axis window or 1."""

    start: Tensor
    """(window, channel): where the curve begins."""
    points_per_unit: Tensor
    """(window, channel); 0 where all values rank alike."""
    curve: Tensor
    """(window, channel, `CURVE_POINTS`): standard normal scores."""

    def to(self, device: torch.device) -> Ranks:
        """On another device."""
        return Ranks(*(tensor.to(device) for tensor in self))


def event_ranks(events: Sequence[EventStatistics], channels: Sequence[str]) -> Ranks:
    """Tabulate the statistics of one event a window, or of one for all of them.

    Raises:
        InvalidInput: statistics lack a channel.
    """
    curves = [[_tabulated(event, name) for name in channels] for event in (e.only(channels) for e in events)]
    start, rate, points = (np.array([[c[part] for c in row] for row in curves], np.float32) for part in range(3))
    return Ranks(torch.from_numpy(start), torch.from_numpy(rate), torch.from_numpy(points))


def _tabulated(event: EventStatistics, name: str) -> tuple[float, float, np.ndarray]:
    """Beginning, points per unit and points of a channel's curve."""
    values, scores = event.curve(name)
    reach = values[-1] - values[0]
    points = np.interp(np.linspace(values[0], values[-1], CURVE_POINTS), values, scores)
    return values[0], (CURVE_POINTS - 1) / reach if reach > 0 else 0.0, points


def ranked(x: Tensor, ranks: Ranks) -> Tensor:
    """(window, channel, y, x) values to standard normal scores of their rank; 0 where NaN."""
    start, rate = ranks.start[..., None, None], ranks.points_per_unit[..., None, None]
    at = torch.nan_to_num((x - start) * rate, nan=0.0).clamp_(0.0, CURVE_POINTS - 1.0)
    below = at.long().clamp_(max=CURVE_POINTS - 2)
    curve = ranks.curve.expand(x.shape[0], -1, -1)
    lower, upper = (curve.gather(2, (below + step).flatten(2)).view_as(at) for step in (0, 1))
    return torch.where(torch.isnan(x), 0.0, torch.lerp(lower, upper, at - below))


def transformed(x: Tensor, transform: str) -> Tensor:
    """Apply a channel's transform; NaN stays NaN, values below the transform's domain are its floor."""
    if transform == "ln":
        return torch.log(x.clamp(min=SMALLEST))
    if transform == "log1p":
        return torch.log1p(x.clamp(min=0.0))
    if transform == "log10":
        return torch.log10(x.clamp(min=0.0) + LOG10_OFFSET)
    return x


class Standardise(nn.Module):
    """(window, channel, y, x) in physical units to (window, plane, y, x), all finite.

    Planes: each continuous channel as clip((t(x) - median) / scale, +-5), 0 where NaN; then one
    validity plane (1 where every channel of a source has a value) per source of continuous
    channels; then each categorical channel as a learned embedding of its code. NaN and codes
    outside the legend are the unknown class; a known code adds to it, and adds nothing as long as
    no training event had that code.

    Where the event normalises, continuous channels are ranks within the event instead, 0 where
    NaN, except for components of vectors; the `absolute` ones are there by value as well.
    """

    median: Tensor
    scale: Tensor

    def __init__(
        self,
        inputs: Sequence[InputChannel],
        embedding: int,
        *,
        normalisation: Normalisation = "training",
        absolute: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__()
        self.inputs = tuple(inputs)
        continuous = [i for i, channel in enumerate(inputs) if channel.classes == 0]
        by_event = [i for i in continuous if normalisation == "event" and inputs[i].name not in COMPONENTS]
        self.ranked = by_event
        self.by_value = [i for i in continuous if i not in by_event or inputs[i].name in absolute]
        self.categorical = [i for i, channel in enumerate(inputs) if channel.classes > 0]
        self.sources = {inputs[i].source: [j for j in continuous if inputs[j].source == inputs[i].source]
                        for i in continuous}  # fmt: skip
        self.register_buffer("median", torch.zeros(len(self.by_value)))
        self.register_buffer("scale", torch.ones(len(self.by_value)))
        self.embeddings = nn.ParameterList(
            nn.Parameter(torch.zeros(inputs[i].classes + 1, embedding)) for i in self.categorical
        )
        self.planes = len(by_event) + len(self.by_value) + len(self.sources) + embedding * len(self.categorical)

    @property
    def ranked_names(self) -> tuple[str, ...]:
        """Channels seen as ranks, in the order of their curves."""
        return tuple(self.inputs[i].name for i in self.ranked)

    def forward(self, x: Tensor, ranks: Ranks | None = None) -> Tensor:
        """The planes.

        Raises:
            ValueError: the event normalises, and its ranks are not given.
        """
        if self.ranked and ranks is None:
            raise ValueError("expected the ranks of an event, by which this network normalises")
        valid = torch.isfinite(x)
        groups = [valid[:, of].all(dim=1, keepdim=True).to(x.dtype) for of in self.sources.values()]
        tables = zip(self.categorical, self.embeddings, strict=True)
        codes = [embedded(x[:, i], table) for i, table in tables]
        by_rank = [] if ranks is None or not self.ranked else [ranked(x[:, self.ranked], ranks)]
        return torch.cat([*by_rank, *self._by_value(x), *groups, *codes], dim=1)

    def _by_value(self, x: Tensor) -> list[Tensor]:
        """Channels standardised by the training events, NaN as 0; nothing if there are none."""
        if not self.by_value:
            return []
        planes = torch.stack([transformed(x[:, i], self.inputs[i].transform) for i in self.by_value], dim=1)
        scaled = (planes - self.median[:, None, None]) / self.scale[:, None, None]
        return [torch.nan_to_num(scaled.clamp(-CLIP, CLIP), nan=0.0)]


def embedded(codes: Tensor, table: Tensor) -> Tensor:
    """(window, y, x) codes to (window, embedding, y, x); row 0 of the table is the unknown class."""
    known = torch.isfinite(codes) & (codes >= 1) & (codes < table.shape[0])
    index = torch.where(known, codes, torch.zeros_like(codes)).long()
    contrast = torch.cat([torch.zeros_like(table[:1]), table[1:]])
    return (table[0] + nn.functional.embedding(index, contrast)).permute(0, 3, 1, 2)
