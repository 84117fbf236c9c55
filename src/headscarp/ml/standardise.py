"""The first layer of every network: physical units with NaN in, standardised planes out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from headscarp.core.manifest import InputChannel

CLIP = 5.0
"""Standardised values beyond this many robust standard deviations are cut off."""
LOG10_OFFSET = 1e-5
"""Added before log10, for quantities that reach zero."""
SMALLEST = 1e-6
"""Floor under ln."""


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
    """(batch, channel, y, x) in physical units to (batch, plane, y, x), all finite.

    Planes: each continuous channel as clip((t(x) - median) / scale, +-5), 0 where NaN; then one
    validity plane (1 where every channel of a source has a value) per source of continuous
    channels; then each categorical channel as a learned embedding of its code. NaN and codes
    outside the legend are the unknown class; a known code adds to it, and adds nothing as long as
    no training event had that code.
    """

    median: Tensor
    scale: Tensor

    def __init__(self, inputs: Sequence[InputChannel], embedding: int) -> None:
        super().__init__()
        self.inputs = tuple(inputs)
        self.continuous = [i for i, channel in enumerate(inputs) if channel.classes == 0]
        self.categorical = [i for i, channel in enumerate(inputs) if channel.classes > 0]
        self.sources = list(dict.fromkeys(inputs[i].source for i in self.continuous))
        self.register_buffer("median", torch.zeros(len(self.continuous)))
        self.register_buffer("scale", torch.ones(len(self.continuous)))
        self.embeddings = nn.ParameterList(
            nn.Parameter(torch.zeros(inputs[i].classes + 1, embedding)) for i in self.categorical
        )
        self.planes = len(self.continuous) + len(self.sources) + embedding * len(self.categorical)

    def forward(self, x: Tensor) -> Tensor:
        values = self._standardised(x)
        valid = torch.isfinite(x)
        groups = [self._valid(valid, source) for source in self.sources]
        tables = zip(self.categorical, self.embeddings, strict=True)
        codes = [embedded(x[:, i], table) for i, table in tables]
        return torch.cat([values, *groups, *codes], dim=1)

    def _standardised(self, x: Tensor) -> Tensor:
        """Continuous channels, NaN and infinities as 0."""
        planes = torch.stack([transformed(x[:, i], self.inputs[i].transform) for i in self.continuous], dim=1)
        scaled = (planes - self.median[:, None, None]) / self.scale[:, None, None]
        return torch.nan_to_num(scaled.clamp(-CLIP, CLIP), nan=0.0)

    def _valid(self, valid: Tensor, source: str) -> Tensor:
        """(batch, 1, y, x): 1 where all continuous channels of a source have a value."""
        of_source = [i for i in self.continuous if self.inputs[i].source == source]
        return valid[:, of_source].all(dim=1, keepdim=True).to(torch.get_default_dtype())


def embedded(codes: Tensor, table: Tensor) -> Tensor:
    """(batch, y, x) codes to (batch, embedding, y, x); row 0 of the table is the unknown class."""
    known = torch.isfinite(codes) & (codes >= 1) & (codes < table.shape[0])
    index = torch.where(known, codes, torch.zeros_like(codes)).long()
    contrast = torch.cat([torch.zeros_like(table[:1]), table[1:]])
    return (table[0] + nn.functional.embedding(index, contrast)).permute(0, 3, 1, 2)
