"""Depthwise convolution with a weight gradient that is fast on CPUs.

PyTorch's CPU kernels (oneDNN) compute the weight gradient of a depthwise 3x3 convolution 10 to 50
times faster than that of a 5x5 or 7x7 one. The gradient at the offsets of any 3x3 part of a larger
kernel is the weight gradient of a 3x3 convolution over a shifted input, so a larger kernel's
gradient is put together from 3x3 parts. The numbers are the same.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

_TILE = 3  # the kernel side that has the fast path


class DepthwiseConv2d(nn.Conv2d):
    """Depthwise convolution without bias: (N, chs, H, W) -> (N, chs, H / stride, W / stride)."""

    def __init__(self, chs: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__(
            chs, chs, kernel_size, stride, kernel_size // 2, groups=chs, bias=False
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tiled = x.device.type == "cpu" and self.weight.requires_grad and torch.is_grad_enabled()
        if not tiled or self.kernel_size[0] <= _TILE:
            return super().forward(x)
        weight = self.weight
        if torch.is_autocast_enabled("cpu"):  # autocast does not look into a custom function
            dtype = torch.get_autocast_dtype("cpu")
            x, weight = x.to(dtype), weight.to(dtype)
        result: torch.Tensor = _TiledDepthwise.apply(x, weight, self.stride[0])
        return result


class _TiledDepthwise(torch.autograd.Function):
    """Depthwise convolution of an odd kernel, padding `kernel // 2`, tiled weight gradient."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, stride: int) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, groups=weight.shape[0])

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        stride, padding = ctx.stride, weight.shape[-1] // 2
        grad = grad.contiguous(memory_format=torch.channels_last)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = _backward(grad, x, weight, stride, padding, (True, False))[0]
        return grad_x, _weight_gradient(grad, x, weight, stride), None


def _weight_gradient(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, stride: int
) -> torch.Tensor:
    """Gradient of the weight (C, 1, k, k), from 3x3 tiles of it."""
    k = weight.shape[-1]
    tiles = -(-k // _TILE)
    # A tile sees `rows` x `cols` input pixels; the last tile reaches past the kernel's own window.
    rows, cols = ((size - 1) * stride + _TILE for size in grad.shape[2:])
    reach = (tiles - 1) * _TILE - k // 2
    bottom, right = rows + reach - x.shape[2], cols + reach - x.shape[3]
    padded = F.pad(x, (k // 2, right, k // 2, bottom))
    corner = weight[:, :, :_TILE, :_TILE].contiguous()
    gradient = [
        torch.cat(
            [
                _backward(
                    grad,
                    padded[:, :, i : i + rows, j : j + cols].contiguous(
                        memory_format=torch.channels_last
                    ),
                    corner,
                    stride,
                    0,
                    (False, True),
                )[1]
                for j in range(0, tiles * _TILE, _TILE)
            ],
            3,
        )
        for i in range(0, tiles * _TILE, _TILE)
    ]
    return torch.cat(gradient, 2)[:, :, :k, :k]


def _backward(
    grad: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    stride: int,
    padding: int,
    wanted: tuple[bool, bool],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of a depthwise convolution by its input and by its weight, where wanted."""
    result: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = (
        torch.ops.aten.convolution_backward(
            grad,
            x,
            weight,
            None,
            [stride, stride],
            [padding, padding],
            [1, 1],
            False,
            [0, 0],
            weight.shape[0],
            [*wanted, False],
        )
    )
    return result[0], result[1]
