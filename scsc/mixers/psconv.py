"""Poly-scale convolution (PSConv; D. Li, A. Yao, Q. Chen, arXiv 2007.06191).

A dense 3x3 convolution in which the dilation differs from one pair of output and input channel to
the next: the channels of either side form four parts, and part p of the output looks at part q of
the input with dilation (1, 2, 1, 4)[(q - p) mod 4].
"""

from collections.abc import Sequence

import torch
from torch import nn


class PSConv(nn.Module):
    """(N, chs, H, W) -> (N, chs, H / stride, W / stride); chs a multiple of the number of rates."""

    def __init__(self, chs: int, dilations: Sequence[int] = (1, 2, 1, 4), stride: int = 1) -> None:
        super().__init__()
        parts = len(dilations)
        if chs % parts:
            raise ValueError(f"{chs} channels do not split into {parts} parts")
        self.part = chs // parts
        # All pairs of one distance q - p have one dilation: a grouped convolution after a roll.
        self.convs = nn.ModuleList(
            nn.Conv2d(chs, chs, 3, stride, rate, rate, groups=parts, bias=False)
            for rate in dilations
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs = [conv(x.roll(-i * self.part, 1)) for i, conv in enumerate(self.convs)]
        return torch.stack(outputs).sum(0)
