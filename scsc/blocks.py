"""The form of a fused network that CPU runtimes run fastest: the same outputs, to be exported.

    fast = in_blocks(fuse(network))

A CPU runtime keeps a map in blocks of 8 channels (AVX2) or 16 (AVX-512) from one convolution to the
next, and copies it out of them and back for most else: a product with weights per group, a sum of
neighbours, a mean over the map. So an SCSC module works in blocks throughout here, exactly:

- Step 6 is a 1x1 convolution that gives each candidate its weight, a product of two whole maps, and
  a grouped 1x1 convolution that adds the candidates, both convolutions of zeros and ones. Where no
  sum reaches over two branches, each branch goes through them by itself: the sums are concatenated,
  and not the m times as many candidates.
- Where P does not fill blocks, channels of zeros fill them up.
- The gate is an average pool as large as the map and a product of two whole maps. It pools what is
  expanded, not the wider map that comes of it, where the expansion is linear: the mean of a linear
  map is the linear map of the mean.

PyTorch itself is slower by these ways. docs/scsc.md has the figures.
"""

import copy
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from scsc.fuse import FusedSCSC

_BLOCKS = (16, 8)  # channels, the better first: whole blocks of 16 are whole blocks of 8 too
_MOST = 1.25  # channels with those of zeros, of those without


def in_blocks(network: nn.Module) -> nn.Module:
    """A copy whose fused SCSC modules work in blocks of channels; everything else is kept."""
    return _blocked(copy.deepcopy(network))


def _blocked(module: nn.Module) -> nn.Module:
    if isinstance(module, FusedSCSC):
        return BlockedSCSC(module).eval().requires_grad_(False)
    for name, part in module.named_children():
        setattr(module, name, _blocked(part))
    return module


class Places(NamedTuple):
    """Where the P reduced channels lie among `size`, so that no routed sum crosses a block."""

    reduced: torch.Tensor  # (P,) int64, the place of each
    size: int
    block: int  # channels; `size` is a multiple


def places(width: int, m: int, groups: int) -> Places:
    """In blocks of 16 channels or 8, or else as they are, in one block.

    Zeros stand behind the channels of each routing group, where P does not fill blocks.
    """
    for block in _BLOCKS:
        in_group = width // groups
        room = in_group if width % block == 0 else -(-in_group // block) * block
        channel = torch.arange(width)
        found = Places(channel // in_group * room + channel % in_group, groups * room, block)
        blocks = candidates(found, m) // (m * block)
        if found.size <= _MOST * width and bool((blocks == blocks[:, :1]).all()):
            return found
    return Places(torch.arange(width), width, width)


def candidates(at: Places, m: int) -> torch.Tensor:
    """Where the m candidates of each routed sum lie among m * size channels: (P, m) int64."""
    width = len(at.reduced)
    concatenated = torch.arange(m * width).view(width, m)  # channel q * m + j, branch by branch
    return concatenated // width * at.size + at.reduced[concatenated % width]


class BlockedSCSC(nn.Module):
    """A fused SCSC module in blocks; made of its parts, which `in_blocks` hands it as a copy."""

    spread: torch.Tensor  # (m * size, g * m, 1, 1), ones where a candidate has that weight
    collect: torch.Tensor  # (size, m * block, 1, 1), ones where an output adds that candidate

    def __init__(self, fused: FusedSCSC) -> None:
        super().__init__()
        width, m, groups = fused.width, len(fused.branches), fused.groups
        at = places(width, m, groups)
        blocks = at.size // at.block
        self.pieces = m if blocks % m == 0 else 1  # of step 6: branch by branch, or all at once
        self.blocks = blocks // self.pieces  # of one piece, each of m * block candidates
        self.reduce = _with_first(fused.reduce, outputs=at)
        self.branches = nn.ModuleList(_with_first(branch, outputs=at) for branch in fused.branches)
        self.routing = _moved(fused.routing, inputs=at)
        channel = candidates(at, m)
        output = _outputs(channel[:, 0] // (m * at.block), at.block)
        weight = torch.arange(width)[:, None] // (width // groups) * m + torch.arange(m)
        spread = torch.zeros(m * at.size, groups * m, 1, 1)
        spread[channel, weight] = 1
        collect = torch.zeros(at.size, m * at.block, 1, 1)
        collect[output[:, None], channel % (m * at.block)] = 1
        self.register_buffer("spread", spread, persistent=False)
        self.register_buffer("collect", collect, persistent=False)
        self.expand = _with_first(fused.expand, inputs=Places(output, at.size, at.block))
        self.gate = fused.gate
        first, *activation = self.expand
        self.pools_mixed = not activation
        if self.pools_mixed:
            assert isinstance(first, nn.Conv2d)
            self.gate.fc1 = _chained(first, self.gate.fc1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        reduced = self.reduce(x)
        a = [branch(reduced) for branch in self.branches]
        mixed = self._mixed(a, torch.sigmoid(self.routing(reduced)))
        expanded: torch.Tensor = self.expand(mixed)
        h, w = expanded.shape[2:]
        scale = self.gate.scale(F.avg_pool2d(mixed if self.pools_mixed else expanded, (h, w)))
        return expanded * F.interpolate(scale, scale_factor=(float(h), float(w)), mode="nearest")

    def _mixed(self, a: list[torch.Tensor], weights: torch.Tensor) -> torch.Tensor:
        """Step 6 of the branches' outputs: (N, size, H', W')."""
        if self.pieces == 1:
            return self._sums(torch.cat(a, 1), weights, self.spread, self.collect)
        each = zip(a, self.spread.chunk(self.pieces), self.collect.chunk(self.pieces), strict=True)
        return torch.cat([self._sums(part, weights, *constants) for part, *constants in each], 1)

    def _sums(
        self, a: torch.Tensor, weights: torch.Tensor, spread: torch.Tensor, collect: torch.Tensor
    ) -> torch.Tensor:
        return F.conv2d(a * F.conv2d(weights, spread), collect, groups=self.blocks)


def _outputs(blocks: torch.Tensor, block: int) -> torch.Tensor:
    """The next free output of each sum's own block: (P,) int64 -> (P,)."""
    taken: dict[int, int] = {}
    result = []
    for number in blocks.tolist():
        result.append(number * block + taken.setdefault(number, 0))
        taken[number] += 1
    return torch.tensor(result)


def _with_first(
    parts: nn.Module, outputs: Places | None = None, inputs: Places | None = None
) -> nn.Sequential:
    """A Sequential whose first part, a convolution, has its channels at other places."""
    first, *others = parts.children()
    assert isinstance(first, nn.Conv2d)
    return nn.Sequential(_moved(first, outputs, inputs), *others)


def _moved(
    layer: nn.Conv2d, outputs: Places | None = None, inputs: Places | None = None
) -> nn.Conv2d:
    """The layer with its channels at other places and zeros between.

    A depthwise one has its inputs where its outputs are; `inputs` are those of a dense one.
    """
    weight, bias = layer.weight.detach(), layer.bias
    if outputs is not None:
        weight = _at(weight, 0, outputs)
        bias = None if bias is None else nn.Parameter(_at(bias.detach(), 0, outputs))
    if inputs is not None:
        weight = _at(weight, 1, inputs)
    groups = len(weight) if layer.groups > 1 else 1
    shape = (weight.shape[1] * groups, len(weight), layer.kernel_size, layer.stride)
    moved = nn.Conv2d(*shape, layer.padding, groups=groups, bias=bias is not None)  # type: ignore[arg-type]
    moved.weight, moved.bias = nn.Parameter(weight), bias
    return moved


def _at(tensor: torch.Tensor, dim: int, at: Places) -> torch.Tensor:
    """Its slices along `dim` at their places, among `at.size` slices of zeros."""
    shape = [at.size if i == dim else size for i, size in enumerate(tensor.shape)]
    return tensor.new_zeros(shape).index_copy_(dim, at.reduced, tensor)


def _chained(first: nn.Conv2d, second: nn.Conv2d) -> nn.Conv2d:
    """second(first(x)) of two 1x1 convolutions, the second without bias, as one."""
    assert second.bias is None
    weight = second.weight.detach().double().flatten(1)
    chained = nn.Conv2d(first.in_channels, second.out_channels, 1, bias=first.bias is not None)
    both = weight @ first.weight.detach().double().flatten(1)
    chained.weight = nn.Parameter(both.to(first.weight)[:, :, None, None])
    if first.bias is not None:
        chained.bias = nn.Parameter((weight @ first.bias.detach().double()).to(first.weight))
    return chained
