"""HorNet's recursive gated convolution (Y. Rao and others, arXiv 2207.14284).

p_0, q_0 .. q_{n-1} = split(W_in x)            q_k has chs / 2^(n-1-k) channels, p_0 as q_0
p_{k+1} = f_k(q_k) * g_k(p_k) / alpha          f: depthwise 7x7, g_0: identity, else 1x1
y = W_out p_n
"""

import torch
from torch import nn


class GnConv(nn.Module):
    """(N, chs, H, W) -> H, W by stride; chs a multiple of 2^(order - 1)."""

    def __init__(
        self, chs: int, order: int = 3, stride: int = 1, kernel_size: int = 7, alpha: float = 3.0
    ) -> None:
        super().__init__()
        if chs % 2 ** (order - 1):
            raise ValueError(f"{chs} channels are not a multiple of {2 ** (order - 1)}")
        self.widths = [chs >> (order - 1 - k) for k in range(order)]
        self.alpha = alpha
        self.stride = stride
        inner = sum(self.widths)
        self.enter = nn.Conv2d(chs, self.widths[0] + inner, 1)
        self.depthwise = nn.Conv2d(
            inner, inner, kernel_size, stride, kernel_size // 2, groups=inner
        )
        pairs = zip(self.widths, self.widths[1:], strict=False)
        self.widen = nn.ModuleList(nn.Conv2d(narrow, wide, 1) for narrow, wide in pairs)
        self.leave = nn.Conv2d(chs, chs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        p, q = torch.split(self.enter(x), [self.widths[0], sum(self.widths)], 1)
        gates = torch.split(self.depthwise(q) / self.alpha, self.widths, 1)
        p = p[:, :, :: self.stride, :: self.stride] * gates[0]
        for widen, gate in zip(self.widen, gates[1:], strict=True):
            p = widen(p) * gate
        result: torch.Tensor = self.leave(p)
        return result
