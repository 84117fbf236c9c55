"""The training loop: one explicit loop, seeded, resumable to the bit."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from headscarp.core.manifest import Manifest
from headscarp.errors import InvalidInput
from headscarp.ml.network import Network, build_network
from headscarp.ml.placement import Placement, Precision
from headscarp.ml.standardise import COMPONENTS, event_ranks, transformed
from headscarp.ml.windows import Batch, Scene, WindowOptions, draw_batch

CHECKPOINT_FILE = "checkpoint.safetensors"
SAMPLE_PER_SCENE = 50_000
ON_CPU = Placement()
GATE_DECAY = 0.95
"""Of the running mean of an event's features, a window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """Every knob of the loop."""

    seed: int = 0
    steps: int = 1000
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    warm_up: float = 0.05
    """Share of the steps over which the learning rate rises; then it falls as a cosine."""
    slide_weight: float = 4.0
    """How much more a missed slide costs than a false alarm; spreads the scores of rare events."""
    clip_norm: float = 1.0
    average: float = 0.99
    """Decay of the running average of the weights, which is what is kept."""
    checkpoint_every: int = 50
    precision: Precision = "float32"
    windows: WindowOptions = field(default_factory=WindowOptions)


Curve: TypeAlias = tuple[float, ...]
"""The loss of each step."""
Progress = Callable[[int, int, float], None]
"""Told step, steps and loss."""


def fit_statistics(network: Network, scenes: Sequence[Scene], *, seed: int) -> None:
    """Set median and 1.4826 MAD of each transformed channel that is seen by value; every scene weighs the same.

    Components of vectors stay as they are. A channel without any value keeps median 0, scale 1;
    one whose MAD is zero gets its standard deviation.
    """
    rng = np.random.default_rng([seed, 0x5CA1E])
    layer = network.standardise
    samples = [scene.stack[:, scene.known] for scene in scenes]
    size = min(SAMPLE_PER_SCENE, *(s.shape[1] for s in samples))
    drawn = np.concatenate([s[:, rng.choice(s.shape[1], size, replace=False)] for s in samples], axis=1)
    for plane, index in enumerate(layer.by_value):
        channel = layer.inputs[index]
        values = transformed(torch.from_numpy(drawn[index]), channel.transform).numpy()
        values = values[np.isfinite(values)]
        if values.size and channel.name not in COMPONENTS:
            median = float(np.median(values))
            spread = 1.4826 * float(np.median(np.abs(values - median))) or float(np.std(values)) or 1.0
            layer.median[plane], layer.scale[plane] = median, spread


def soft_loss(logits: Tensor, label: Tensor, slide_weight: float = 1.0) -> Tensor:
    """Binary cross-entropy against a soft label, averaged over pixels whose label is not NaN.

    `slide_weight` multiplies what the label says of slides, not of background.
    """
    known = torch.isfinite(label)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[:, 0], torch.where(known, label, 0.0), reduction="none", pos_weight=logits.new_tensor(slide_weight)
    )
    return (loss * known).sum() / known.sum().clamp(min=1)


def learning_rate(step: int, options: TrainOptions) -> float:
    """Linear warm-up, then half a cosine to zero."""
    rising = max(1, round(options.warm_up * options.steps))
    if step < rising:
        return options.learning_rate * (step + 1) / rising
    return options.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (step - rising) / max(1, options.steps - rising)))


class Training:
    """State of one run: weights, their running average, optimiser, curve."""

    def __init__(
        self,
        manifest: Manifest,
        scenes: Sequence[Scene],
        options: TrainOptions,
        *,
        start: Network | None = None,
        placement: Placement = ON_CPU,
    ) -> None:
        if strange := [scene.name for scene in scenes if scene.channels != manifest.channels]:
            raise ValueError(f"expected scenes with the channels of {manifest.name}, got others in {strange}")
        torch.manual_seed(options.seed)
        self.manifest, self.scenes, self.options, self.placement = manifest, tuple(scenes), options, placement
        self.network = build_network(manifest)
        if start is None:
            fit_statistics(self.network, scenes, seed=options.seed)
        else:
            self.network.load_state_dict(start.state_dict())
        self.network.to(placement.device)
        self.average = copy.deepcopy(self.network).eval()
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=0.0, weight_decay=options.weight_decay)
        self.step = 0
        self.losses: list[float] = []
        self.features = torch.full((len(self.scenes), 2, 16 * manifest.architecture.width), float("nan"))
        """(scene, 2, channel): running mean of the pooled features of each event's windows; NaN before the first."""
        self.identity = _identity(manifest, scenes, options, start)

    def advance(self) -> float:
        """Make one step and return its loss."""
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.options)
        batch = draw_batch(
            self.scenes,
            self.manifest.inputs,
            options=self.options.windows,
            required=self.manifest.required,
            seed=self.options.seed,
            step=self.step,
            part=(self.placement.rank, self.placement.processes),
        )
        loss = self._loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.placement.share(self.network)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.options.clip_norm)
        self.optimiser.step()
        self.step += 1
        self._follow()
        self.losses.append(float(loss.detach()))
        return self.losses[-1]

    def _loss(self, batch: Batch) -> Tensor:
        device = torch.device(self.placement.device)
        ranks = event_ranks(batch.statistics, self.network.ranked_names).to(device)
        gate_from = partial(self._of_events, batch.scenes) if self.manifest.gate_px else None
        with self.placement.autocast(self.options.precision):
            logits = self.network.logits(torch.from_numpy(batch.inputs).to(device), ranks=ranks, gate_from=gate_from)
        return soft_loss(logits.float(), torch.from_numpy(batch.label).to(device), self.options.slide_weight)

    def _of_events(self, scenes: Sequence[int], pooled: Tensor) -> Tensor:
        """Pooled features (window, 2, channel) as the gate sees them: the event's value, the window's gradient."""
        found = []
        for scene, own in zip(scenes, pooled, strict=True):
            seen = own.detach().float().cpu()
            known = torch.where(torch.isnan(self.features[scene]), seen, self.features[scene])
            self.features[scene] = known.lerp(seen, 1.0 - GATE_DECAY)
            found.append(self.features[scene].to(own) + own - own.detach())
        return torch.stack(found)

    def _follow(self) -> None:
        """Move the running average; young averages follow faster."""
        decay = min(self.options.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, value in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
                if mean.is_floating_point():
                    mean.lerp_(value, 1.0 - decay)
                else:
                    mean.copy_(value)

    def save(self, folder: Path) -> None:
        """Write a checkpoint; a crash while writing leaves the earlier one."""
        tensors = {f"{part}.{k}": v for part in ("network", "average") for k, v in self._part(part).items()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
        tensors["features"] = self.features
        progress = {"identity": self.identity, "step": self.step, "losses": self.losses}
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{CHECKPOINT_FILE}.part"
        copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
        save_file(copies, part, metadata={"progress": json.dumps(progress)})
        part.replace(folder / CHECKPOINT_FILE)

    def _part(self, name: str) -> dict[str, Tensor]:
        state: dict[str, Tensor] = getattr(self, name).state_dict()
        return state

    def resume(self, folder: Path) -> None:
        """Continue from a checkpoint.

        Raises:
            InvalidInput: the checkpoint is of another run: other options, other scenes.
        """
        with safe_open(folder / CHECKPOINT_FILE, framework="pt") as file:
            progress = json.loads(file.metadata()["progress"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        if progress["identity"] != self.identity:
            raise InvalidInput(f"{folder / CHECKPOINT_FILE}: the checkpoint is of a run with other options or data")
        for part in ("network", "average"):
            getattr(self, part).load_state_dict(_under(tensors, part))
        self.features = tensors["features"]
        states: dict[int, dict[str, Any]] = {}
        for name, tensor in _under(tensors, "optimiser").items():
            index, key = name.split(".", 1)
            states.setdefault(int(index), {})[key] = tensor
        self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": states})
        self.step, self.losses = progress["step"], progress["losses"]


def _identity(manifest: Manifest, scenes: Sequence[Scene], options: TrainOptions, start: Network | None) -> str:
    """Digest of everything a continued run must share with the one it continues.

    Names, versions and the table's digest are not part of it: what they could change about the
    training shows in the scenes.
    """
    inputs = (
        [asdict(channel) for channel in manifest.inputs],
        manifest.normalisation,
        sorted(manifest.absolute),
        manifest.gate_px,
    )
    network = inputs, asdict(manifest.architecture), sorted(manifest.required)
    digest = hashlib.sha256(json.dumps([asdict(options), network], sort_keys=True).encode())
    for scene in scenes:
        digest.update(scene.statistics.digest.encode())
        digest.update(np.ascontiguousarray(scene.stack).data)
        digest.update(np.ascontiguousarray(scene.label).data)
    for tensor in () if start is None else start.state_dict().values():
        digest.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
    return digest.hexdigest()


def _under(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Entries of one part, its name cut off."""
    return {name.removeprefix(f"{part}."): t for name, t in tensors.items() if name.startswith(f"{part}.")}


def train(
    manifest: Manifest,
    scenes: Sequence[Scene],
    *,
    options: TrainOptions,
    start: Network | None = None,
    placement: Placement = ON_CPU,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> tuple[Network, Curve]:
    """Train to the end, from the checkpoint in the folder `checkpoint` if there is one.

    Args:
        manifest: What is trained.
        scenes: With the manifest's channels.
        options: How.
        start: Weights and statistics to begin with, of an earlier training.
        placement: Where; of several processes only the first writes checkpoints.
        checkpoint: Folder.
        progress: Told every step.

    Returns:
        The running average of the weights, and the curve. Nothing is chosen by a score.
    """
    run = Training(manifest, scenes, options, start=start, placement=placement)
    if checkpoint is not None and (checkpoint / CHECKPOINT_FILE).exists():
        run.resume(checkpoint)
    while run.step < options.steps:
        loss = run.advance()
        due = run.step % options.checkpoint_every == 0 or run.step == options.steps
        if due and checkpoint is not None and placement.first:
            run.save(checkpoint)
        if progress is not None:
            progress(run.step, options.steps, loss)
    return run.average.cpu(), tuple(run.losses)
