"""Shiftwise convolution (D. Li and others, arXiv 2401.12736): a large kernel by small ones, moved.

Each channel goes through m small k x k kernels, m * k being the large kernel's length. The m maps
are moved by multiples of k and added: down the map they act as an M x k strip, across it as a k x M
one, and one map unmoved as the small kernel. Which map goes where is drawn per channel, several
times over, and stays fixed; so the same small kernels serve many places. A part of the channels,
the paper's ghosts, passes untouched. The paper's pruning of kernels while it trains is left out.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


class ShiftwiseConv(nn.Module):
    """BN(moved down) + BN(moved across) + BN(unmoved) + x; (N, chs, H, W) -> H, W by stride.

    The last channels, a `ghosts` share of them, pass. `orders` is how often places are drawn.
    """

    down: torch.Tensor  # (orders, C, m) int64: which of the channel's maps goes to place j
    across: torch.Tensor  # (orders, C, m)
    unmoved: torch.Tensor  # (orders, C)

    def __init__(
        self,
        chs: int,
        length: int = 51,
        stride: int = 1,
        small: int = 5,
        orders: int = 4,
        ghosts: float = 0.23,
    ) -> None:
        super().__init__()
        mixed = chs - int(chs * ghosts)
        self.split = [mixed, chs - mixed]
        self.stride = stride
        self.small = small
        maps = math.ceil(length / small)
        self.conv = nn.Conv2d(
            mixed, mixed * maps, small, padding=small // 2, groups=mixed, bias=False
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(mixed) for _ in range(3))
        generator = torch.Generator().manual_seed(chs)
        places = torch.rand(2, orders, mixed, maps, generator=generator).argsort(-1)
        self.register_buffer("down", places[0])
        self.register_buffer("across", places[1])
        self.register_buffer("unmoved", torch.randint(maps, (orders, mixed), generator=generator))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, passed = torch.split(x, self.split, 1)
        maps = self.conv(x)  # (N, C * m, H, W), channel c * m + i
        paths = (
            self._moved(maps, self.down, 2),
            self._moved(maps, self.across, 3),
            self._picked(maps, self.unmoved.unsqueeze(-1)),
        )
        y = x + torch.stack([n(p) for n, p in zip(self.norms, paths, strict=True)]).sum(0)
        return torch.cat([y, passed], 1)[:, :, :: self.stride, :: self.stride]

    def _moved(self, maps: torch.Tensor, places: torch.Tensor, axis: int) -> torch.Tensor:
        """The map at place j moved by (j - middle) * k pixels along the axis; their sum."""
        count = places.shape[-1]
        moved = []
        for j in range(count):
            offset = (j - count // 2) * self.small
            moved.append(shifted(self._picked(maps, places[:, :, j : j + 1]), offset, axis))
        return torch.stack(moved).sum(0)

    def _picked(self, maps: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Per channel the maps that `places` (orders, C, 1) names, added over the orders."""
        mixed = self.split[0]
        count = maps.shape[1] // mixed
        first = torch.arange(mixed, device=maps.device) * count
        return torch.stack([maps[:, first + order[:, 0]] for order in places]).sum(0)


def shifted(x: torch.Tensor, offset: int, axis: int) -> torch.Tensor:
    """y[i] = x[i + offset] along the axis (2 or 3) of (N, C, H, W), zero outside the map."""
    offset = max(-x.shape[axis], min(offset, x.shape[axis]))
    padding = [0, 0, 0, 0]  # left, right, above, below; a negative one cuts
    padding[2 * (3 - axis)], padding[2 * (3 - axis) + 1] = -offset, offset
    return F.pad(x, padding)
