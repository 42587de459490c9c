"""Depthwise convolution with a backward pass that is fast on CPUs.

PyTorch's CPU kernels (oneDNN) compute the weight gradient of a depthwise 3x3 convolution 10 to 50
times faster than that of a 5x5 or 7x7 one, and the input gradient at stride 1 far faster than at
stride 2. Both slow cases are put together from fast ones here; the numbers are the same.

- Weight gradient: at the offsets of any 3x3 part of a larger kernel it is the weight gradient of a
  3x3 convolution over a shifted input. All parts pass over a few images before the next few come,
  while these are in the cache.
- Input gradient at stride 2: spread the output gradient out with zeros between, then correlate
  with the kernel turned by half a circle, at stride 1.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

_TILE = 3  # the kernel side that has the fast path
_CACHED = 2_000_000  # bytes of input that stay in a core's cache while every tile passes over them


class DepthwiseConv2d(nn.Conv2d):
    """Depthwise convolution without bias: (N, chs, H, W) -> (N, chs, H / stride, W / stride)."""

    def __init__(self, chs: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__(chs, chs, kernel_size, stride, kernel_size // 2, groups=chs, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._convolved(x, self.weight, None)

    def scaled(self, x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        """forward(x) * scale + shift, by one convolution. scale, shift: (chs,)."""
        return self._convolved(x, self.weight * scale.view(-1, 1, 1, 1), shift)

    def _convolved(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        learns = weight.requires_grad and torch.is_grad_enabled()
        fast = self.kernel_size[0] <= _TILE and self.stride[0] == 1
        if x.device.type != "cpu" or not learns or fast:
            return F.conv2d(x, weight, bias, self.stride, self.padding, groups=self.groups)
        if torch.is_autocast_enabled("cpu"):  # autocast does not look into a custom operator
            dtype = torch.get_autocast_dtype("cpu")
            x, weight = x.to(dtype), weight.to(dtype)
            bias = None if bias is None else bias.to(dtype)
        result: torch.Tensor = _TiledDepthwise.apply(x, weight, bias, self.stride[0])  # type: ignore[no-untyped-call]
        return result


class _TiledDepthwise(torch.autograd.Function):
    """Depthwise convolution of an odd kernel, padding `kernel // 2`."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, stride: int
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, bias, stride, weight.shape[-1] // 2, groups=weight.shape[0])

    @staticmethod
    def backward(
        ctx: Any, grad: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, None]:
        x, weight = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        grad_x, grad_weight = _depthwise_backward(grad, x, weight, ctx.stride)
        grad_bias = _sum_of_pixels(grad) if ctx.needs_input_grad[2] else None
        return grad_x, grad_weight, grad_bias, None


# An operator of its own, so that torch.compile leaves it whole: the code that it makes of the many
# shifted copies is several times slower than the copies themselves.
@torch.library.custom_op("scsc::depthwise_backward", mutates_args=())
def _depthwise_backward(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, stride: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients by input (N, C, H, W) and by weight (C, 1, k, k)."""
    grad_x = _input_gradient(grad, x, weight, stride)
    grad_weight = _weight_gradient(grad, x, weight, stride)
    return grad_x.contiguous(memory_format=torch.channels_last), grad_weight.contiguous()


@_depthwise_backward.register_fake
def _(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, stride: int
) -> tuple[torch.Tensor, torch.Tensor]:
    grad_x = torch.empty_like(x, memory_format=torch.channels_last)
    return grad_x, torch.empty_like(weight, memory_format=torch.contiguous_format)


def _input_gradient(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, stride: int
) -> torch.Tensor:
    if stride > 1:
        spread = torch.zeros_like(x, memory_format=torch.channels_last)
        spread[:, :, ::stride, ::stride] = grad
        grad = spread
    return F.conv2d(grad, weight.flip(2, 3), None, 1, weight.shape[-1] // 2, groups=x.shape[1])


def _sum_of_pixels(grad: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) -> (C,). A product with ones, since `sum` is slow where channels are last."""
    pixels = grad.permute(0, 2, 3, 1).reshape(-1, grad.shape[1])
    return (pixels.new_ones(1, len(pixels)) @ pixels)[0]


def _weight_gradient(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, stride: int
) -> torch.Tensor:
    """The sum over parts of the batch, each small enough for the cache."""
    images = max(1, _CACHED // (x[0].numel() * x.element_size()))
    total = torch.zeros_like(weight, dtype=torch.promote_types(weight.dtype, torch.float32))
    for some_grad, some_x in zip(torch.split(grad, images), torch.split(x, images), strict=True):
        total += _gradient_of_some(some_grad, some_x, weight, stride)
    return total.to(weight.dtype)


def _gradient_of_some(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, stride: int
) -> torch.Tensor:
    k = weight.shape[-1]
    tiles = -(-k // _TILE)
    # A tile sees `rows` x `cols` input pixels; the last tile reaches past the kernel's own window.
    rows, cols = ((size - 1) * stride + _TILE for size in grad.shape[2:])
    reach = (tiles - 1) * _TILE - k // 2
    bottom, right = rows + reach - x.shape[2], cols + reach - x.shape[3]
    padded = F.pad(x, (k // 2, right, k // 2, bottom))
    corner = weight[:, :, :_TILE, :_TILE].contiguous()
    gradient = weight.new_empty(len(weight), 1, tiles * _TILE, tiles * _TILE)
    for i in range(0, tiles * _TILE, _TILE):
        for j in range(0, tiles * _TILE, _TILE):
            window = padded[:, :, i : i + rows, j : j + cols]
            gradient[:, :, i : i + _TILE, j : j + _TILE] = torch.ops.aten.convolution_backward(
                grad,
                window.contiguous(memory_format=torch.channels_last),
                corner,
                None,
                [stride, stride],
                [0, 0],
                [1, 1],
                False,
                [0, 0],
                len(weight),
                [False, True, False],
            )[1]
    return gradient[:, :, :k, :k]
