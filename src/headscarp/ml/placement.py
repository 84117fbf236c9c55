"""Where a training runs: on the CPU, on a GPU, or on several at once under `torchrun`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor, distributed, nn

from headscarp.errors import InvalidInput

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Placement:
    """The device of this process, and its share of the work."""

    device: str = "cpu"
    rank: int = 0
    processes: int = 1

    @classmethod
    def here(cls, device: str = "cpu") -> Self:
        """On this device; under `torchrun` the process joins the others, each GPU process on its own GPU.

        Raises:
            InvalidInput: there is no such device.
        """
        processes, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
        if device.startswith("cuda") and torch.cuda.device_count() <= local:
            raise InvalidInput(f"--device {device}: expected GPU {local}, found {torch.cuda.device_count()} GPUs")
        on_gpu = device.startswith("cuda")
        if processes > 1 and not distributed.is_initialized():
            distributed.init_process_group("nccl" if on_gpu else "gloo")
        rank = distributed.get_rank() if processes > 1 else 0
        return cls(f"cuda:{local}" if device == "cuda" else device, rank, processes)

    @property
    def first(self) -> bool:
        """Whether this process writes checkpoints."""
        return self.rank == 0

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """The first process does the body while the others wait; then they do it, and find its files there."""
        if not self.first:
            distributed.barrier()
        yield
        if self.first and self.processes > 1:
            distributed.barrier()

    def autocast(self, precision: Precision) -> AbstractContextManager[object]:
        """Within it convolutions run in the given precision; weights and losses stay in float32."""
        if precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.partition(":")[0], torch.bfloat16)

    def share(self, network: nn.Module) -> None:
        """Average gradients and running statistics over the processes; does nothing where there is one."""
        if self.processes == 1:
            return
        with torch.no_grad():
            gradients = [p.grad for p in network.parameters() if p.grad is not None]
            self._average([*gradients, *(b for b in network.buffers() if b.is_floating_point())])

    def _average(self, tensors: list[Tensor]) -> None:
        """In one message, in place."""
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.processes
        for tensor, part in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))
