"""SCSC modules with one of their ideas taken away, to find out what it is worth.

Parts of a finished module are exchanged, so the module itself knows nothing of it. Such networks
are for training and comparing; `fuse` does not take them.
"""

import torch
from torch import nn

from scsc.module import SCSC

ABLATIONS = ("routing", "shuffle", "gate")


def ablate(network: nn.Module, idea: str) -> nn.Module:
    """The network itself, one idea less in each of its SCSC modules.

    routing: every candidate weighs a half, at every pixel
    shuffle: an output channel adds one channel of each kernel size, not neighbours of one size
    gate: no squeeze-and-excite at the end

    Raises ValueError for another word, or when the network has no SCSC module.
    """
    modules = [module for module in network.modules() if isinstance(module, SCSC)]
    if not modules:
        raise ValueError("the network has no SCSC module")
    for module in modules:
        match idea:
            case "routing":
                module.routing = Even(module.routing)  # type: ignore[assignment]
            case "shuffle":
                interleave = Interleave(len(module.branches), module.width)
                module.branch_act = nn.Sequential(module.branch_act, interleave)
            case "gate":
                module.gate = nn.Identity()  # type: ignore[assignment]
            case other:
                raise ValueError(f"unknown idea {other!r}; known: {', '.join(ABLATIONS)}")
    return network


class Even(nn.Module):
    """Zeros of the routing convolution's shape: the sigmoid of each is one half."""

    def __init__(self, routing: nn.Conv2d) -> None:
        super().__init__()
        self.weights = routing.out_channels
        self.stride = routing.stride[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, cols = (-(-size // self.stride) for size in x.shape[2:])
        return x.new_zeros(len(x), self.weights, rows, cols)


class Interleave(nn.Module):
    """(N, m * P, H, W): channel q * m + j of the result is channel j * P + q of the input.

    The routed sum adds channels side by side; so it meets the same channel of each branch.
    """

    def __init__(self, branches: int, width: int) -> None:
        super().__init__()
        self.order = [j * width + q for q in range(width) for j in range(branches)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[1] != len(self.order):
            raise ValueError(f"{x.shape[1]} channels, not the {len(self.order)} of all branches")
        return x[:, self.order]
