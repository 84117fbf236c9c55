"""Several networks as one: equal inputs, and the mean of their log-odds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from headscarp.core.manifest import Manifest
from headscarp.ml.network import Network, Scoring, build_network
from headscarp.ml.standardise import Ranks, Standardise


class Ensemble(Scoring):
    """Networks that read the same channels; weights of member k lie under `member<k>.`, from 0.

    Raises:
        ValueError: there is no network, or they do not see the same channels as ranks.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        super().__init__()
        if len({network.ranked_names for network in networks}) != 1:
            raise ValueError(f"expected networks that rank the same channels, got {len(networks)} that do not")
        self.networks = tuple(networks)
        for number, network in enumerate(networks):
            self.add_module(member_name(number), network)

    @property
    def standardise(self) -> Standardise:
        """First layer of the first member; each member keeps statistics of its own."""
        return self.networks[0].standardise

    @property
    def ranked_names(self) -> tuple[str, ...]:
        return self.networks[0].ranked_names

    def logits(self, x: Tensor, gate: Tensor | None = None, *, ranks: Ranks | None = None) -> Tensor:
        """Mean log-odds of the members; `gate` as `gate_of` makes it. Raises ValueError as a member does."""
        gates = [None] * len(self.networks) if gate is None else gate.chunk(len(self.networks), dim=1)
        pairs = zip(self.networks, gates, strict=True)
        return torch.stack([network.logits(x, own, ranks=ranks) for network, own in pairs]).mean(dim=0)

    def pooled(self, x: Tensor, *, ranks: Ranks | None = None) -> Tensor:
        """The members' pooled features side by side, (batch, 2, members * 16N)."""
        return torch.cat([network.pooled(x, ranks=ranks) for network in self.networks], dim=2)

    def gate_of(self, pooled: Tensor) -> Tensor:
        """The members' channel gates side by side, (batch, members * 16N, 1, 1)."""
        pairs = zip(self.networks, pooled.chunk(len(self.networks), dim=2), strict=True)
        return torch.cat([network.gate_of(own) for network, own in pairs], dim=1)


def member_name(number: int) -> str:
    """Under which name the weights of a member are kept."""
    return f"member{number}"


def build_model(manifest: Manifest) -> Scoring:
    """What a manifest describes, with fresh weights: a network, or an ensemble of several."""
    networks = [build_network(manifest) for _ in range(manifest.members)]
    return networks[0] if manifest.members == 1 else Ensemble(networks)
