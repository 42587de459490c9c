"""SCSC modules with one idea taken away or added, and plain blocks with one of SCSC's ideas.

To find out what an idea is worth. Parts of a finished network are exchanged, so the module itself
knows nothing of it. Such networks are for training and comparing; `fuse` does not take them.
"""

import torch
import torch.nn.functional as F
from torch import nn

from scsc.faceresnet import Residual
from scsc.layers import ConvBNAct, SqueezeExcite
from scsc.module import SCSC

ABLATIONS = ("routing", "shuffle", "gate")


def ablate(network: nn.Module, idea: str) -> nn.Module:
    """The network itself, one idea less in each of its SCSC modules.

    routing: every candidate weighs a half, at every pixel
    shuffle: an output channel adds one channel of each kernel size, not neighbours of one size
    gate: no squeeze-and-excite at the end

    Raises ValueError for another word, or when the network has no SCSC module.
    """
    for module in _modules(network):
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


def add_position(network: nn.Module, side: int = 7) -> nn.Module:
    """The network itself, with a learned map of `side` cells added to each module's routing.

    For aligned pictures, where a place means something: the eyes may ask for other kernels than
    the hair. The idea is TVConv's (arXiv 2203.10489), which gives each place weights of its own.
    The maps begin as zeros, so a trained network's outputs stay what they are.

    Raises ValueError when the network has no SCSC module.
    """
    for module in _modules(network):
        module.routing = Positioned(module.routing, side)  # type: ignore[assignment]
    return network


def add_gate(network: nn.Module) -> nn.Module:
    """The plain FaceResNet itself, with SCSC's squeeze-and-excite gate at the end of each body.

    It tells what SCSC is worth beyond its gate. Raises ValueError for a network without such
    bodies.
    """
    bodies = [module.body for module in network.modules() if isinstance(module, Residual)]
    ends = [body[-1] for body in bodies if isinstance(body, nn.Sequential)]
    gates = [SqueezeExcite(end.conv.out_channels) for end in ends if isinstance(end, ConvBNAct)]
    if not gates or len(gates) < len(bodies):
        raise ValueError("the network is not a plain FaceResNet")
    for body, gate in zip(bodies, gates, strict=True):
        body.append(gate)  # type: ignore[operator]
    return network


def _modules(network: nn.Module) -> list[SCSC]:
    modules = [module for module in network.modules() if isinstance(module, SCSC)]
    if not modules:
        raise ValueError("the network has no SCSC module")
    return modules


class Positioned(nn.Module):
    """(N, P, H, W) -> (N, m * g, H / stride, W / stride): routing(x), plus the resized map."""

    def __init__(self, routing: nn.Conv2d, side: int) -> None:
        super().__init__()
        self.routing = routing
        self.map = nn.Parameter(torch.zeros(1, routing.out_channels, side, side))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.routing(x)
        return logits + F.interpolate(self.map, logits.shape[2:], mode="bilinear")


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
