"""Omni-dimensional dynamic convolution (ODConv; C. Li, A. Zhou, A. Yao, arXiv 2209.07947).

The weight of a picture is a sum of n learned 3x3 kernels, W = sum_i a_i * W_i, further scaled along
input channels, output channels and places in the kernel. All scales come from the picture's own
mean: 1x1, norm, ReLU, then one linear map each; softmax over the n kernels, sigmoid elsewhere. As
in the authors' code the three sigmoid scales are shared by the n kernels.
"""

import torch
import torch.nn.functional as F
from torch import nn


class ODConv(nn.Module):
    """Dense, (N, chs, H, W) -> H, W by stride. In training a batch needs two pictures."""

    def __init__(
        self,
        chs: int,
        kernels: int = 4,
        stride: int = 1,
        kernel_size: int = 3,
        reduction: int = 16,
    ) -> None:
        super().__init__()
        hidden = max(chs // reduction, 16)
        self.stride = stride
        self.kernel_size = kernel_size
        self.weight = nn.Parameter(torch.empty(kernels, chs, chs, kernel_size**2))
        for kernel in self.weight:
            nn.init.kaiming_normal_(kernel, mode="fan_out", nonlinearity="relu")
        self.squeeze = nn.Sequential(
            nn.Linear(chs, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()
        )
        self.in_scale = nn.Linear(hidden, chs)
        self.out_scale = nn.Linear(hidden, chs)
        self.place_scale = nn.Linear(hidden, kernel_size**2)
        self.kernel_scale = nn.Linear(hidden, kernels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.squeeze(x.mean((2, 3)))
        kernel_scale = self.kernel_scale(hidden).softmax(1)  # (N, n)
        weight = (kernel_scale @ self.weight.flatten(1)).view(-1, *self.weight.shape[1:])
        weight = weight * self.place_scale(hidden).sigmoid()[:, None, None]  # (N, out, in, k * k)
        x = x * self.in_scale(hidden).sigmoid()[:, :, None, None]
        # A weight per picture is a batched product with the unfolded map, of any batch size.
        places = F.unfold(x, self.kernel_size, padding=self.kernel_size // 2, stride=self.stride)
        y: torch.Tensor = weight.flatten(2) @ places * self.out_scale(hidden).sigmoid()[:, :, None]
        rows, cols = (-(-size // self.stride) for size in x.shape[2:])
        return y.view(-1, y.shape[1], rows, cols)
