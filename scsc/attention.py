"""Window attention with relative positions, of Swin (arXiv 2103.14030, section 3.2).

Each pixel attends to the pixels of its own 7x7 window; in every other block the windows are moved
by half a side, so that neighbours across a border meet. Written from the paper.
"""

import torch
import torch.nn.functional as F
from torch import nn

_NEVER = -100.0  # added to a logit: exp of it is zero beside any other


class WindowAttention(nn.Module):
    """Multi-head self-attention within windows: (N, C, H, W) -> the same shape.

    The map is filled with zeros on the right and below to whole windows. With `shift`, windows are
    moved by half their side; where the map is one window, they are not.
    """

    relative: torch.Tensor  # (T, T) int64, T = window * window: row of the bias table

    def __init__(self, chs: int, heads: int, window: int = 7, shift: bool = False) -> None:
        super().__init__()
        if chs % heads:
            raise ValueError(f"{chs} channels do not split into {heads} heads")
        self.heads = heads
        self.window = window
        self.shift = shift
        self.qkv = nn.Linear(chs, 3 * chs)
        self.bias = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.project = nn.Linear(chs, chs)
        nn.init.trunc_normal_(self.bias, std=0.02)
        self.register_buffer("relative", relative_positions(window), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, chs, height, width = x.shape
        side = self.window
        rows, cols = -(-height // side), -(-width // side)  # windows
        x = x.permute(0, 2, 3, 1)  # (N, H, W, C)
        x = F.pad(x, (0, 0, 0, cols * side - width, 0, rows * side - height))
        shifts = [side // 2 if self.shift and count > 1 else 0 for count in (rows, cols)]
        if any(shifts):
            x = x.roll([-shift for shift in shifts], (1, 2))
        x = x.view(n, rows, side, cols, side, chs).transpose(2, 3)
        x = x.reshape(-1, rows * cols, side * side, chs)  # (N, windows, T, C)
        x = self._attend(x, window_mask(rows, cols, side, shifts).to(x))
        x = x.view(n, rows, cols, side, side, chs).transpose(2, 3)
        x = x.reshape(n, rows * side, cols * side, chs)
        if any(shifts):
            x = x.roll(shifts, (1, 2))
        return x[:, :height, :width].permute(0, 3, 1, 2)

    def _attend(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """x: (N, windows, T, C); mask: (windows, 1, T, T), added to the logits."""
        n, windows, tokens, chs = x.shape
        qkv = self.qkv(x).view(n, windows, tokens, 3, self.heads, chs // self.heads)
        query, key, value = qkv.permute(3, 0, 1, 4, 2, 5)  # each (N, windows, heads, T, C / heads)
        bias = self.bias[self.relative].permute(2, 0, 1)  # (heads, T, T)
        # Written out: with T of 49 a fused kernel gains little, and its layout hinders ONNX export.
        logits = query * query.shape[-1] ** -0.5 @ key.transpose(-2, -1)
        x = (logits + (bias + mask)).softmax(-1) @ value
        projected: torch.Tensor = self.project(x.transpose(2, 3).reshape(n, windows, tokens, chs))
        return projected


def relative_positions(window: int) -> torch.Tensor:
    """(T, T) int64: which of the (2 * window - 1)**2 displacements lies between two places."""
    side = torch.arange(window)
    places = torch.stack(torch.meshgrid(side, side, indexing="ij")).flatten(1)  # (2, T)
    apart = places[:, :, None] - places[:, None, :] + window - 1  # (2, T, T), from 0
    return apart[0] * (2 * window - 1) + apart[1]


def window_mask(rows: int, cols: int, side: int, shifts: list[int]) -> torch.Tensor:
    """(rows * cols, 1, T, T): 0 where two places of a moved window were neighbours, else -100."""
    areas = torch.zeros(rows * side, cols * side)
    for axis, shift in enumerate(shifts):
        if shift:  # the last `shift` lines came round from the other edge
            areas.narrow(axis, areas.shape[axis] - shift, shift).add_(axis + 1)
    areas = areas.view(rows, side, cols, side).transpose(1, 2).reshape(rows * cols, -1)
    return torch.where(areas[:, :, None] == areas[:, None, :], 0.0, _NEVER).unsqueeze(1)
