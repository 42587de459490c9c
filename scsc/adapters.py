"""An SCSC module where attention stood: the map put together from what attention is given.

All ignore further arguments, such as an attention mask.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from scsc.module import SCSC


class MapSCSC(nn.Module):
    """(N, C, H, W), or with `channels_last` (N, H, W, C), to the same shape."""

    def __init__(self, module: SCSC, channels_last: bool) -> None:
        super().__init__()
        self.module = module
        self.channels_last = channels_last

    def forward(self, x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        if not self.channels_last:
            return self.module(x)  # type: ignore[no-any-return]
        y: torch.Tensor = self.module(x.permute(0, 3, 1, 2))
        return y.permute(0, 2, 3, 1)


class TokenSCSC(nn.Module):
    """(N, H * W, C) of a square map to the same shape."""

    def __init__(self, module: SCSC) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        side = size_of(tuple(x.shape), x.shape[2])[0]
        y: torch.Tensor = self.module(x.transpose(1, 2).reshape(len(x), -1, side, side))
        return y.flatten(2).transpose(1, 2)


class WindowSCSC(nn.Module):
    """(N * windows, T, C), the windows of a map that the block around has cut, to the same shape.

    The map is put together whole, its moving and filling undone, and cut again behind the module:
    SCSC sees across the windows. `note_size` must be a forward pre-hook of the block, whose input
    tells the size. `shifts` are the block's own, down and across; `moved_first` says that it moves
    its map as it is and then fills it up to whole windows, in place of the other way round.
    """

    def __init__(
        self,
        module: SCSC,
        size: tuple[int, int],
        shifts: tuple[int, ...] = (0, 0),
        moved_first: bool = False,
    ) -> None:
        super().__init__()
        self.module = module
        self.chs = module.reduce.conv.in_channels
        self.size = size
        still, back = (0, 0), (-shifts[0], -shifts[1])
        self.outer, self.inner = (still, back) if moved_first else (back, still)

    def note_size(self, block: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self.size = size_of(tuple(inputs[0].shape), self.chs)

    def forward(self, windows: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        count, tokens, chs = windows.shape
        side, (height, width) = math.isqrt(tokens), self.size
        rows, cols = -(-height // side), -(-width // side)
        x = windows.view(-1, rows, cols, side, side, chs).permute(0, 5, 1, 3, 2, 4)
        x = x.reshape(-1, chs, rows * side, cols * side)
        x = x.roll(self.outer, (2, 3))[:, :, :height, :width].roll(self.inner, (2, 3))
        y: torch.Tensor = self.module(x)
        y = y.roll([-shift for shift in self.inner], (2, 3))
        y = F.pad(y, (0, cols * side - width, 0, rows * side - height))
        y = y.roll([-shift for shift in self.outer], (2, 3))
        y = y.view(-1, chs, rows, side, cols, side).permute(0, 2, 4, 3, 5, 1)
        return y.reshape(count, tokens, chs)


def size_of(shape: tuple[int, ...], chs: int) -> tuple[int, int]:
    """Height and width of a map (N, H, W, C), (N, C, H, W) or, if it is square, (N, H * W, C)."""
    if len(shape) == 4:
        return (shape[1], shape[2]) if shape[3] == chs else (shape[2], shape[3])
    side = math.isqrt(shape[1])
    if side * side != shape[1]:
        raise ValueError(f"{shape[1]} tokens are not those of a square map")
    return side, side
