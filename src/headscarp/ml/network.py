"""The multi-scale fully convolutional network (Fan, Wang et al. 2025, doi:10.1093/nsr/nwaf179).

The paper fixes the first width N, an encoder that ends at (H/4, W/4, 16N), CBAM between encoder
and decoder, a decoder of transposed convolution and up-sampling with links to the encoder, and
one output. Two configurations satisfy it: "A" is the plain reading, "C" needs a fifth of the
arithmetic. Both end within a receptive radius of 44 px, half the windows' overlap, so that a map
does not depend on how it was tiled; the channel gate alone looks further, over its whole window
or, where the manifest says so, over a sample of windows of the event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from headscarp.core.manifest import DEEPEST, Architecture, InputChannel, Manifest
from headscarp.core.normalisation import EventStatistics, Normalisation
from headscarp.core.types import Raster, Stack
from headscarp.errors import BadRequest
from headscarp.ml.standardise import Ranks, Standardise, event_ranks

STRIDE = 4
"""Height and width must be multiples of this: two poolings by two."""
REDUCTION = 16
SPATIAL_KERNEL = 7


def convolution(inputs: int, outputs: int, *, kernel: int = 3, dilation: int = 1) -> nn.Sequential:
    """Convolution that keeps the size, batch normalisation, ReLU."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=dilation * (kernel // 2), dilation=dilation, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Attention(nn.Module):
    """Convolutional block attention (Woo et al. 2018, doi:10.1007/978-3-030-01234-2_1): channels, then places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // REDUCTION, 4)
        self.channel = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.ReLU(inplace=True), nn.Conv2d(hidden, channels, 1)
        )
        self.place = nn.Conv2d(2, 1, SPATIAL_KERNEL, padding=SPATIAL_KERNEL // 2)

    def pooled(self, x: Tensor) -> Tensor:
        """(batch, 2, channel): mean and maximum over the window."""
        return torch.stack([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)

    def gate_of(self, pooled: Tensor) -> Tensor:
        """(batch, channel, 1, 1) in [0, 1], from mean and maximum as `pooled` gives them."""
        mean, maximum = (pooled[:, part, :, None, None] for part in (0, 1))
        return torch.sigmoid(self.channel(mean) + self.channel(maximum))

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        x = x * (self.gate_of(self.pooled(x)) if gate is None else gate)
        summary = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.place(summary))


class Encoder(nn.Module):
    """Features at full, half and quarter resolution; the last has 16N channels."""

    def __init__(self, planes: int, architecture: Architecture) -> None:
        super().__init__()
        n = architecture.width
        self.pool = nn.MaxPool2d(2)
        self.at_full = nn.Sequential(convolution(planes, n), convolution(n, n))
        half = 4 * n if architecture.configuration == "A" else 2 * n
        self.at_half = nn.Sequential(convolution(n, half), convolution(half, half))
        if architecture.configuration == "A":
            self.at_quarter = nn.Sequential(convolution(half, 16 * n), convolution(16 * n, 16 * n))
        else:
            self.at_quarter = nn.Sequential(
                convolution(half, 4 * n),
                convolution(4 * n, 4 * n, dilation=2),
                convolution(4 * n, 16 * n, kernel=1),
            )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        full = self.at_full(x)
        half = self.at_half(self.pool(full))
        return full, half, self.at_quarter(self.pool(half))


class Decoder(nn.Module):
    """Back to full resolution: a transposed convolution, then bilinear up-sampling; one output."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        n, self.concatenate = architecture.width, architecture.configuration == "A"
        half = 4 * n if self.concatenate else 2 * n
        doubled = 2 if self.concatenate else 1
        self.up = nn.ConvTranspose2d(16 * n, half, 2, stride=2)
        self.at_half = self._block(doubled * half, half)
        self.narrow = nn.Identity() if self.concatenate else convolution(half, n, kernel=1)
        self.at_full = self._block(half + n if self.concatenate else n, n)
        self.head = nn.Conv2d(n, 1, 1)

    def _block(self, inputs: int, outputs: int) -> nn.Sequential:
        """Two convolutions in the plain reading, one in the efficient configuration."""
        first = convolution(inputs, outputs)
        return nn.Sequential(first, convolution(outputs, outputs)) if self.concatenate else first

    def _link(self, x: Tensor, skip: Tensor) -> Tensor:
        """Join with the encoder's features of the same resolution."""
        return torch.cat([x, skip], dim=1) if self.concatenate else x + skip

    def forward(self, full: Tensor, half: Tensor, quarter: Tensor) -> Tensor:
        x = self.at_half(self._link(self.up(quarter), half))
        x = nn.functional.interpolate(self.narrow(x), scale_factor=2.0, mode="bilinear", align_corners=False)
        logits: Tensor = self.head(self.at_full(self._link(x, full)))
        return logits


class Scoring(nn.Module):
    """(batch, channel, y, x) float32 in physical units, NaN where missing, to (batch, 1, y, x) scores in (0, 1).

    One network, or an ensemble of several. Where the event normalises, every pass needs the event's ranks, of one
    event or of one a window.
    """

    def logits(self, x: Tensor, gate: Tensor | None = None, *, ranks: Ranks | None = None) -> Tensor:
        """Scores before the sigmoid."""
        raise NotImplementedError

    def pooled(self, x: Tensor, *, ranks: Ranks | None = None) -> Tensor:
        """(batch, 2, gate channel): mean and maximum of the deepest features over each window."""
        raise NotImplementedError

    def gate_of(self, pooled: Tensor) -> Tensor:
        """The channel gate (batch, gate channel, 1, 1) in [0, 1] that such features make."""
        raise NotImplementedError

    @property
    def ranked_names(self) -> tuple[str, ...]:
        """Channels seen as ranks, in the order of their curves."""
        raise NotImplementedError

    def forward(self, x: Tensor, gate: Tensor | None = None, *, ranks: Ranks | None = None) -> Tensor:
        """Scores; each window makes its own channel gate unless one (batch or 1, ...) as of `gate_of` is given."""
        return torch.sigmoid(self.logits(x, gate, ranks=ranks))


class Network(Scoring):
    """One network; `Scoring` says what goes in and comes out."""

    def __init__(
        self,
        inputs: Sequence[InputChannel],
        architecture: Architecture,
        *,
        normalisation: Normalisation = "training",
        absolute: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__()
        self.standardise = Standardise(inputs, architecture.embedding, normalisation=normalisation, absolute=absolute)
        self.encoder = Encoder(self.standardise.planes, architecture)
        self.attention = Attention(DEEPEST * architecture.width)
        self.decoder = Decoder(architecture)

    @property
    def ranked_names(self) -> tuple[str, ...]:
        return self.standardise.ranked_names

    def logits(
        self,
        x: Tensor,
        gate: Tensor | None = None,
        *,
        ranks: Ranks | None = None,
        gate_from: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Scores before the sigmoid.

        Args:
            x: Windows, as of `Scoring`.
            gate: The channel gate, which every window makes itself where None.
            ranks: Of the event, where it normalises.
            gate_from: From the windows' pooled features (batch, 2, 16N) to those the gate is made of, which may be
                the event's; not asked where a gate is given.

        Raises:
            ValueError: a side that is no multiple of 4, or ranks that are needed and not given.
        """
        if x.shape[-2] % STRIDE or x.shape[-1] % STRIDE:
            raise ValueError(f"height and width must be multiples of {STRIDE}, got {tuple(x.shape[-2:])}")
        full, half, quarter = self.encoder(self.standardise(x, ranks))
        if gate is None and gate_from is not None:
            gate = self.attention.gate_of(gate_from(self.attention.pooled(quarter)))
        out: Tensor = self.decoder(full, half, self.attention(quarter, gate))
        return out

    def pooled(self, x: Tensor, *, ranks: Ranks | None = None) -> Tensor:
        return self.attention.pooled(self.encoder(self.standardise(x, ranks))[2])

    def gate_of(self, pooled: Tensor) -> Tensor:
        return self.attention.gate_of(pooled)


def build_network(manifest: Manifest) -> Network:
    """One network of a manifest, with fresh weights; channels last in memory, which is faster on CPUs."""
    network = Network(
        manifest.inputs,
        manifest.architecture,
        normalisation=manifest.normalisation,
        absolute=manifest.absolute,
    )
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def score(
    network: Scoring,
    manifest: Manifest,
    stack: Stack,
    *,
    statistics: EventStatistics | None = None,
    gate: Tensor | None = None,
) -> Raster:
    """(channel, y, x), or a batch of them, to (y, x) of the manifest's quantity; NaN where a required channel is NaN.

    Scores in (0, 1), or with a calibration the share of the pixel expected to be landslide. The far
    sides are padded with NaN to multiples of four and cut off again. Runs where the network's weights are.

    Args:
        network: In evaluation mode.
        manifest: Of the same bundle.
        stack: In physical units.
        statistics: Of the event the stack is of; only a model that the event normalises needs them.
        gate: The channel gate; every window makes its own where None, if the manifest lets it.

    Raises:
        BadRequest: the stack does not hold the manifest's channels, or statistics or the event's gate are needed
            and not given.
        InvalidInput: the statistics lack a channel.
    """
    if manifest.gate_px and gate is None:
        raise BadRequest(f"{manifest.name}: scores by the channel gate of the event, which is not given")
    windows, ranks = entered(network, manifest, stack, statistics)
    height, width = stack.shape[-2:]
    with torch.inference_mode():
        on_device = None if gate is None else gate.to(windows.device)
        scores = network(windows, on_device, ranks=ranks)[:, 0, :height, :width].cpu().numpy()
    if manifest.calibration is not None:
        scores = manifest.calibration(scores).astype(np.float32)
    if manifest.flat_degrees:
        slope = stack[..., manifest.channels.index("slope"), :, :].reshape(scores.shape)
        scores = np.where(slope <= manifest.flat_degrees, np.float32(0.0), scores)
    required = [manifest.channels.index(name) for name in sorted(manifest.required)]
    known = np.isfinite(stack[..., required, :, :]).all(axis=-3)
    return np.where(known, scores.reshape(known.shape), np.float32(np.nan)).astype(np.float32)


def entered(
    network: Scoring, manifest: Manifest, stack: Stack, statistics: EventStatistics | None
) -> tuple[Tensor, Ranks | None]:
    """Windows, padded with NaN at the far sides to multiples of four, and ranks, where the weights are."""
    if stack.ndim not in (3, 4) or stack.shape[-3] != len(manifest.inputs):
        expected = f"(batch,) {len(manifest.inputs)}, y, x of {', '.join(manifest.channels)}"
        raise BadRequest(f"{manifest.name}: expected {expected}; found shape {stack.shape}")
    height, width = stack.shape[-2:]
    sides = [(0, 0)] * (stack.ndim - 2) + [(0, -height % STRIDE), (0, -width % STRIDE)]
    padded = torch.from_numpy(np.pad(stack.astype(np.float32, copy=False), sides, constant_values=np.nan))
    device = next(network.parameters()).device
    ranks = _ranks(network, manifest, statistics)
    return padded.reshape(-1, *padded.shape[-3:]).to(device), ranks and ranks.to(device)


def _ranks(network: Scoring, manifest: Manifest, statistics: EventStatistics | None) -> Ranks | None:
    """What the network needs of an event's statistics."""
    if manifest.normalisation == "training":
        return None
    if statistics is None:
        raise BadRequest(f"{manifest.name}: normalises by the event, and its statistics are not given")
    return event_ranks([statistics.only(manifest.ranked)], network.ranked_names)
