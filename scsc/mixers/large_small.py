"""LSNet's large-small convolution (A. Wang and others, arXiv 2503.23135): see large, focus small.

Large-kernel perception: 1x1 to half the channels, depthwise 7x7, 1x1, 1x1 to the numbers of chs / 8
kernels of 3x3 at every pixel, normalized per kernel. Small-kernel aggregation: channel c gathers
its 3x3 neighbours with kernel c mod (chs / 8) of the pixel.
"""

import torch
from torch import nn

from scsc.layers import ConvBNAct
from scsc.mixers.neighbours import weighted_neighbours


class LSConv(nn.Module):
    """BN(aggregated x) + x: (N, chs, H, W) -> H, W by stride; chs a multiple of 8."""

    def __init__(
        self, chs: int, stride: int = 1, large: int = 7, small: int = 3, share: int = 8
    ) -> None:
        super().__init__()
        if chs % share:
            raise ValueError(f"{chs} channels are not a multiple of {share}")
        half, self.kernels, self.area = chs // 2, chs // share, small**2
        self.stride = stride
        self.perceive = nn.Sequential(
            ConvBNAct(chs, half, act_layer=nn.ReLU),
            ConvBNAct(half, half, large, stride, groups=half),
            ConvBNAct(half, half, act_layer=nn.ReLU),
            nn.Conv2d(half, self.kernels * self.area, 1),
            nn.GroupNorm(self.kernels, self.kernels * self.area),
        )
        self.norm = nn.BatchNorm2d(chs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = self.perceive(x).unflatten(1, (self.kernels, -1))  # (N, C / 8, 9, H', W')
        gathered = self.norm(weighted_neighbours(x, weights, self.stride))
        result: torch.Tensor = gathered + x[:, :, :: self.stride, :: self.stride]
        return result

    def extra_flops(self, output: torch.Tensor) -> int:
        """Multiply-adds of the aggregation, which no convolution carries out."""
        return output.numel() * self.area
