"""Gradient checkpointing: a block's inner tensors are computed again instead of kept.

BatchNorm must not notice: with PyTorch's checkpoint alone the second pass would move the running
statistics a second time, and the trained network would differ from the one trained without it.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def checkpointed(block: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """block(x), keeping only x for the backward pass."""

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _still_statistics(block)

    result: torch.Tensor = checkpoint(block, x, use_reentrant=False, context_fn=contexts)
    return result


def run_blocks(blocks: nn.Sequential, x: torch.Tensor, save_memory: bool) -> torch.Tensor:
    """blocks(x), each block checkpointed where memory is to be saved and gradients are wanted."""
    if not (save_memory and torch.is_grad_enabled()):
        result: torch.Tensor = blocks(x)
        return result
    for block in blocks:
        x = checkpointed(block, x)
    return x


@contextmanager
def _still_statistics(block: nn.Module) -> Iterator[None]:
    """While open, BatchNorm normalizes as ever but its running statistics stay."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm)]
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, kept, strict=True):
            norm.momentum = momentum
