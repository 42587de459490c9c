"""The optimizer of the training script: Muon for matrices, AdamW for everything else.

Muon (K. Jordan and others, 2024, "Muon: An optimizer for hidden layers in neural networks") makes
the momentum of a weight matrix orthogonal before it is applied. A 1x1 convolution is a matrix, and
those hold nearly all weights of an SCSC network; depthwise kernels, norms and the stem are not.
"""

from collections.abc import Iterable

import torch
from torch import nn


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised by Newton-Schulz steps, for weights (out, in) or (out, in, 1, 1)."""

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is None:
                    continue
                state = self.state[param]
                if not state:
                    state["momentum"] = torch.zeros_like(param.grad)
                buffer = state["momentum"].lerp_(param.grad, 1 - group["momentum"])
                update = param.grad.lerp(buffer, group["momentum"])  # Nesterov's look ahead
                update = orthogonalize(update.reshape(len(update), -1)).view_as(param)
                # Update size independent of the matrix' shape.
                scale = max(1.0, param.shape[0] / param[0].numel()) ** 0.5
                param.mul_(1 - group["lr"] * group["weight_decay"])
                param.add_(update, alpha=-group["lr"] * scale)


def orthogonalize(matrix: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """The nearest matrix whose singular values are about 1: (R, C) -> (R, C), same dtype.

    Five steps of the quintic Newton-Schulz iteration; the coefficients are Jordan's, which trade
    exactness (values land in 0.7..1.2) for speed.
    """
    x = matrix.bfloat16() if matrix.is_cuda else matrix.float()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    result: torch.Tensor = (x.T if tall else x).to(matrix.dtype)
    return result


def make_optimizers(
    network: nn.Module, lr: float, matrix_lr: float, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """[Muon, AdamW] over the network's parameters. With `matrix_lr` 0 AdamW takes them all.

    Each group remembers its `peak_lr`, which a schedule multiplies. Norms, biases and other
    vectors get no weight decay.
    """
    matrices, kernels, vectors = [], [], []
    for param in network.parameters():
        if param.ndim >= 2 and param[0].numel() == param.shape[1] > 1 and matrix_lr > 0:
            matrices.append(param)
        elif param.ndim >= 2:
            kernels.append(param)
        else:
            vectors.append(param)
    optimizers: list[torch.optim.Optimizer] = []
    if matrices:
        optimizers.append(Muon(matrices, lr=matrix_lr, weight_decay=weight_decay))
    groups = [
        {"params": kernels, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizers.append(torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.99)))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers
