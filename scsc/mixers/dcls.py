"""Dilated convolution with learnable spacings (DCLS; I. Khalfaoui-Hassani and others, 2112.03740).

A large depthwise kernel holds a few weights at learned, real-valued places; each weight is spread
over the four cells around its place by bilinear interpolation, so the places get gradients.
"""

import torch
import torch.nn.functional as F
from torch import nn


class DCLS(nn.Module):
    """Depthwise, (N, chs, H, W) -> H, W by stride, with `count` weights in a K x K kernel."""

    def __init__(self, chs: int, kernel_size: int = 17, count: int = 34, stride: int = 1) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(chs, count))
        self.place = nn.Parameter(torch.empty(2, chs, count))  # row, column; 0 is the middle
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        nn.init.normal_(self.place, std=0.5)

    def kernel(self) -> torch.Tensor:
        """The dense kernel (chs, 1, K, K)."""
        reach = self.kernel_size // 2
        cells = torch.arange(-reach, reach + 1, device=self.place.device)
        place = self.place.clamp(-reach, reach).unsqueeze(-1)
        rows, cols = (1 - (cells - place).abs()).relu()  # each (chs, count, K)
        spread: torch.Tensor = (self.weight.unsqueeze(-1) * rows).transpose(1, 2) @ cols
        return spread.unsqueeze(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padding = self.kernel_size // 2
        return F.conv2d(x, self.kernel(), None, self.stride, padding, groups=x.shape[1])
