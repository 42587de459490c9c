"""Large depthwise kernels, whole or taken apart into strips.

- RepLKNet (X. Ding and others, arXiv 2203.06717): a K x K kernel beside a 5 x 5 one.
- SLaK (S. Liu and others, arXiv 2207.03620): an M x 5 strip, a 5 x M strip and a 5 x 5 kernel. The
  paper's training of sparse weights is left out.
- InceptionNeXt (W. Yu and others, arXiv 2303.16900): an eighth of the channels each through a 3 x 3
  square, a 1 x 11 and an 11 x 1 band; the rest passes.
- XSepConv (J. Chen and others, arXiv 2002.12046): a 2 x 2 kernel, then 1 x K, then K x 1. The even
  kernel is padded towards another corner in each block, so that the map does not drift.
"""

import torch
import torch.nn.functional as F
from torch import nn

from scsc.depthwise import DepthwiseConv2d


class RepLK(nn.Module):
    """BN(depthwise K x K) + BN(depthwise 5 x 5)."""

    def __init__(self, chs: int, kernel_size: int = 31, stride: int = 1, small: int = 5) -> None:
        super().__init__()
        self.large = nn.Sequential(DepthwiseConv2d(chs, kernel_size, stride), nn.BatchNorm2d(chs))
        self.small = nn.Sequential(DepthwiseConv2d(chs, small, stride), nn.BatchNorm2d(chs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.large(x) + self.small(x)
        return result


class SLaK(nn.Module):
    """BN(depthwise M x N) + BN(depthwise N x M) + BN(depthwise N x N)."""

    def __init__(self, chs: int, length: int = 51, stride: int = 1, breadth: int = 5) -> None:
        super().__init__()
        kernels = ((length, breadth), (breadth, length), (breadth, breadth))
        self.branches = nn.ModuleList(
            nn.Sequential(strip(chs, kernel, (stride, stride)), nn.BatchNorm2d(chs))
            for kernel in kernels
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([branch(x) for branch in self.branches]).sum(0)


class InceptionNeXt(nn.Module):
    """Channels in the order square, horizontal band, vertical band, passed."""

    def __init__(
        self, chs: int, stride: int = 1, square: int = 3, band: int = 11, share: float = 0.125
    ) -> None:
        super().__init__()
        part = int(chs * share)
        if part == 0:
            raise ValueError(f"{share:.1%} of {chs} channels is none")
        self.split = [part, part, part, chs - 3 * part]
        self.stride = stride
        kernels = ((square, square), (1, band), (band, 1))
        self.branches = nn.ModuleList(strip(part, kernel, (stride, stride)) for kernel in kernels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        *parts, rest = torch.split(x, self.split, 1)
        mixed = [branch(part) for branch, part in zip(self.branches, parts, strict=True)]
        return torch.cat([*mixed, rest[:, :, :: self.stride, :: self.stride]], 1)


class XSepConv(nn.Module):
    """2 x 2, then 1 x K, then K x 1, all depthwise; norm and ReLU between them.

    `corner` says where the 2 x 2 kernel's zeros go: 0 right above, 1 right below, 2 left above,
    3 left below. A network goes through them in turn.
    """

    def __init__(self, chs: int, kernel_size: int = 7, stride: int = 1, corner: int = 0) -> None:
        super().__init__()
        left, above = corner // 2, 1 - corner % 2
        self.padding = (left, 1 - left, above, 1 - above)  # left, right, above, below
        self.body = nn.Sequential(
            nn.Conv2d(chs, chs, 2, groups=chs, bias=False),
            nn.BatchNorm2d(chs),
            nn.ReLU(),
            strip(chs, (1, kernel_size), (1, stride)),
            nn.BatchNorm2d(chs),
            nn.ReLU(),
            strip(chs, (kernel_size, 1), (stride, 1)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.body(F.pad(x, self.padding))
        return result


def strip(chs: int, kernel: tuple[int, int], stride: tuple[int, int]) -> nn.Conv2d:
    """A depthwise convolution without bias, padded to keep the map's size at stride 1."""
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Conv2d(chs, chs, kernel, stride, padding, groups=chs, bias=False)
