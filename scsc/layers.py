"""Small parts shared by the SCSC module and the networks that carry it.

Argument names are the same everywhere: `in_chs` and `out_chs` are channels, `act_layer` is a class
that makes an activation. An absent part is `nn.Identity`, so no `forward` has a branch for it.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

ActLayer = Callable[[], nn.Module]


class ConvBNAct(nn.Sequential):
    """Convolution without bias, BatchNorm, activation: (N, in_chs, H, W) -> (N, out_chs, H', W').

    Padding is `kernel_size // 2`, so an odd kernel at stride 1 keeps H and W. While it learns with
    a norm that stands still (`still_norms`), the norm is part of the convolution.
    """

    def __init__(
        self,
        in_chs: int,
        out_chs: int,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
        act_layer: ActLayer = nn.Identity,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_chs, out_chs, kernel_size, stride, kernel_size // 2, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(out_chs)
        self.act = act_layer()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        conv = self.conv
        if self.training and not self.bn.training:
            scale, shift = scale_shift(self.bn)
            weight = conv.weight * scale.view(-1, 1, 1, 1)
            x = F.conv2d(x, weight, shift, conv.stride, conv.padding, groups=conv.groups)
        else:
            x = self.bn(conv(x))
        result: torch.Tensor = self.act(x)
        return result


class PointwiseConv2d(nn.Conv2d):
    """1x1 convolution without bias: (N, in_chs, H, W) -> (N, out_chs, H / stride, W / stride).

    While it learns it takes every `stride`-th pixel first, then all there are: the same numbers.
    On CPUs with AVX2 alone oneDNN's weight gradient of the strided form writes past its buffer
    when there are fewer than 8 input channels (oneDNN issue 6035).
    """

    def __init__(self, in_chs: int, out_chs: int, stride: int = 1) -> None:
        super().__init__(in_chs, out_chs, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        stride = self.stride[0]
        if self.training and stride > 1:
            return F.conv2d(x[:, :, ::stride, ::stride], self.weight)
        return super().forward(x)


def still_norms(network: nn.Module) -> None:
    """Let a network that learns take its BatchNorms' running statistics, as inference does.

    They change no more; scale and bias go on learning. Undone by `network.train()`.
    """
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.eval()


def scale_shift(
    norm: _BatchNorm, dtype: torch.dtype | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """A BatchNorm with its running statistics as x * scale + shift, each (C,).

    In `dtype`, or that of the statistics, with gradients to the norm's weight and bias. Raises
    ValueError when it keeps no statistics.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a BatchNorm without running statistics has no fixed form to fold")
    dtype = dtype or norm.running_var.dtype
    scale = (norm.running_var.to(dtype) + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.to(dtype)
    shift = -norm.running_mean.to(dtype) * scale
    return scale, shift if norm.bias is None else shift + norm.bias.to(dtype)


class SqueezeExcite(nn.Module):
    """Channel gate (arXiv 1709.01507): (N, C, H, W) -> the same, each channel times 0..1.

    The hidden width is `max(chs // 16, 32)` and there are no biases, as the SCSC block has it.
    Both linear maps are 1x1 convolutions, which spares two reshapes.
    """

    def __init__(self, chs: int) -> None:
        super().__init__()
        hidden = max(chs // 16, 32)
        self.fc1 = nn.Conv2d(chs, hidden, 1, bias=False)
        self.fc2 = nn.Conv2d(hidden, chs, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale(channel_mean(x) if self.training else x.mean((2, 3), keepdim=True))

    def scale(self, mean: torch.Tensor) -> torch.Tensor:
        """What each channel is multiplied by: its mean (N, C, 1, 1) -> 0..1, the same shape."""
        return torch.sigmoid(self.fc2(torch.relu(self.fc1(mean))))


def channel_mean(x: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) -> (N, C, 1, 1): the mean, with a gradient that costs nothing.

    That of `x.mean` is written out with channels first, and slows down all that it meets where
    channels are last; that of a sum is one number shown at every pixel.
    """
    return x.sum((2, 3), keepdim=True) / (x.shape[2] * x.shape[3])


def channel_shuffle(x: torch.Tensor, blocks: int) -> torch.Tensor:
    """Reorder channels so that block j, place q holds channel `q * blocks + j` of the input.

    (N, blocks * P, H, W) -> the same shape. Step 4 of the SCSC module; see `shuffle_order`.
    """
    return x[:, shuffle_order(x.shape[1], blocks)]


def shuffle_order(chs: int, blocks: int) -> torch.Tensor:
    """Indices (chs,) int64 such that `x[:, shuffle_order(C, m)]` is the channel shuffle of x."""
    return torch.arange(chs).view(chs // blocks, blocks).t().reshape(-1)
