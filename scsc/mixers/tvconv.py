"""Translation-variant convolution (TVConv; J. Chen and others, arXiv 2203.10489).

Made for aligned faces: every place of the map has its own 3x3 depthwise kernel, so that eyes are
looked for where eyes always are. The kernels are made from four learned affinity maps by a small
convolutional network, and are the same for every picture, so a runtime computes them once.

Two changes: at another map size the affinity maps are resized, so that a network can be trained on
small crops first; therefore the norm's scale is one number per channel, not per pixel.
"""

import torch
import torch.nn.functional as F
from torch import nn

from scsc.mixers.neighbours import weighted_neighbours


class TVConv(nn.Module):
    """(N, chs, side, side) -> H, W by stride. Another side works; see above."""

    def __init__(
        self,
        chs: int,
        side: int,
        stride: int = 1,
        kernel_size: int = 3,
        maps: int = 4,
        hidden: int = 16,
    ) -> None:
        super().__init__()
        self.chs = chs
        self.stride = stride
        self.area = kernel_size**2
        side = -(-side // stride)
        self.affinity = nn.Parameter(torch.ones(1, maps, side, side))
        self.make = nn.Sequential(
            *self._layer(maps, hidden),
            *self._layer(hidden, hidden),
            nn.Conv2d(hidden, chs * self.area, 3, padding=1, bias=False),
        )

    @staticmethod
    def _layer(in_chs: int, out_chs: int) -> list[nn.Module]:
        convolution = nn.Conv2d(in_chs, out_chs, 3, padding=1, bias=False)
        return [convolution, nn.GroupNorm(1, out_chs), nn.ReLU()]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        affinity: torch.Tensor = self.affinity
        size = tuple(-(-length // self.stride) for length in x.shape[2:])
        if size != affinity.shape[2:]:
            affinity = F.interpolate(affinity, size, mode="bilinear", antialias=True)
        weights = self.make(affinity).unflatten(1, (self.chs, self.area))  # (1, C, 9, H', W')
        return weighted_neighbours(x, weights, self.stride)

    def extra_flops(self, output: torch.Tensor) -> int:
        """Multiply-adds of the weighted sums, which no convolution carries out."""
        return output.numel() * self.area
