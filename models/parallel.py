"""Several processes train one network, each on its share of every batch.

On a CPU that other work shares, two threads of one process wait for each other at thousands of
parallel loops a step; two processes of one thread each wait once, at the end of it.

    torchrun --standalone --nproc-per-node 2 -m -- models.train --batch 256 ...

The `--` keeps torchrun from taking flags like `--start` for its own. A GPU is for a process alone;
several train on the CPU.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

# Before a group is made: it has functions with the group of their time as a default, and the first
# step of an optimizer imports it. The group would then live, and its threads run, until the
# interpreter is torn down around them, which aborts a process now and then.
import torch.distributed.nn


@dataclass(frozen=True)
class Group:
    """The processes of a run, and which of them this one is; a group of one talks to nobody."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that evaluates, writes and prints."""
        return self.rank == 0

    def share(self, batch: int) -> int:
        """How much of a batch each process takes. Raises ValueError when it does not divide."""
        if batch % self.size:
            raise ValueError(f"a batch of {batch} does not divide among {self.size} processes")
        return batch // self.size

    @torch.no_grad()
    def mean_(self, tensors: Iterable[torch.Tensor]) -> None:
        """Give each tensor its mean over the processes, in place, by one exchange for all."""
        if self.size == 1:
            return
        parts = list(tensors)
        flat = torch.cat([part.reshape(-1).float() for part in parts])
        dist.all_reduce(flat)
        flat /= self.size
        pieces = torch.split(flat, [part.numel() for part in parts])
        for part, piece in zip(parts, pieces, strict=True):
            part.copy_(piece.view_as(part))

    def any(self, flag: bool) -> bool:
        """Whether any process says so: what all have to do at the same step, like stopping."""
        if self.size == 1:
            return flag
        said = torch.tensor(float(flag))
        dist.all_reduce(said)
        return said.item() > 0


ALONE = Group()


@contextmanager
def process_group() -> Iterator[Group]:
    """The group that `torchrun` started this process in, else a group of one."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    dist.init_process_group("gloo")  # gradients are exchanged in the host's memory
    try:
        yield Group(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
