"""The Spatial Cross-Scale Convolution module (SCSC).

Source: "SCSC: Spatial Cross-scale Convolution Module to Strengthen both CNNs and Transformers",
X. Wang, X. Chu, C. Han, X. Zhang, arXiv 2308.07110; official code megvii-research/SCSC
(Apache-2.0). Written anew from a description of the arithmetic; see PROVENANCE.md.

What differs from the official code: the channel shuffle (step 4) is never carried out. Output
channel q of the routed sum adds the m concatenated channels q*m .. q*m + m-1, so the sum reads the
unshuffled tensor in place; BatchNorm works per channel and does not mind the order.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from scsc.depthwise import DepthwiseConv2d
from scsc.layers import (
    ActLayer,
    ConvBNAct,
    PointwiseConv2d,
    SqueezeExcite,
    scale_shift,
    shuffle_order,
)


class SCSC(nn.Module):
    """Spatial Cross-Scale Convolution: (N, in_chs, H, W) -> (N, out_chs, H / stride, W / stride).

    The encoder sees several scales at once: depthwise branches of each kernel size share one
    reduced map. The embed step lets every pixel choose its mix of them: routing weights, one per
    pixel, block and group, weigh the branches before they are added.

    With m kernel sizes, P = width channels per branch (in_chs / m unless given) and g groups.
    Raises ValueError for an even kernel, or when P is not a multiple of g.
    """

    def __init__(
        self,
        in_chs: int,
        out_chs: int,
        kernel_sizes: Sequence[int] = (3, 5, 7),
        groups: int = 4,
        stride: int = 1,
        width: int | None = None,
        act_layer: ActLayer = nn.GELU,
        last_act_layer: ActLayer = nn.GELU,
    ) -> None:
        super().__init__()
        m = len(kernel_sizes)
        if m == 0 or any(k % 2 == 0 for k in kernel_sizes):
            raise ValueError(f"kernel sizes must be odd and at least one, not {kernel_sizes}")
        if width is None and in_chs % m:
            raise ValueError(f"{in_chs} channels do not split into {m} branches; give a width")
        width = in_chs // m if width is None else width
        if width % groups:
            raise ValueError(f"{width} channels per branch are not a multiple of {groups} groups")
        self.kernel_sizes = tuple(kernel_sizes)
        self.groups = groups
        self.width = width
        self.reduce = ConvBNAct(in_chs, width, act_layer=act_layer)
        self.branches = nn.ModuleList(DepthwiseConv2d(width, k, stride) for k in kernel_sizes)
        # In the order of the concatenation, not of the shuffle: the same numbers, other places.
        self.branch_norm = nn.BatchNorm2d(m * width)
        self.branch_act = act_layer()
        self.routing = PointwiseConv2d(width, m * groups, stride)
        self.routed_sum = RoutedSum(width, m, groups)
        self.expand = ConvBNAct(width, out_chs, act_layer=last_act_layer)
        self.gate = SqueezeExcite(out_chs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        reduced = self.reduce(x)  # (N, P, H, W)
        a = self._activated(reduced)  # (N, m * P, H', W')
        weights = torch.sigmoid(self.routing(reduced))  # (N, m * g, H', W'), channel j * g + group
        mixed = self.routed_sum(a, weights)  # (N, P, H', W')
        result: torch.Tensor = self.gate(self.expand(mixed))
        return result

    def _activated(self, reduced: torch.Tensor) -> torch.Tensor:
        """Branches, norm and activation, side by side."""
        if self.training and not self.branch_norm.training:
            # A norm that stands still while the rest learns is part of each branch.
            both = (part.chunk(len(self.branches)) for part in scale_shift(self.branch_norm))
            parts = zip(self.branches, *both, strict=True)
            u = torch.cat([branch.scaled(reduced, *by) for branch, *by in parts], 1)
        else:
            u = self.branch_norm(torch.cat([branch(reduced) for branch in self.branches], 1))
        result: torch.Tensor = self.branch_act(u)
        return result


class RoutedSum(nn.Module):
    """Steps 4 and 6: weigh each pixel's m candidates per output channel and add them.

    a: (N, m * P, H, W), unshuffled, channel q * m + j is candidate j of output q.
    weights: (N, m * g, H, W), channel j * g + group(q), group(q) = q // (P / g).
    Returns (N, P, H, W).

    It learns on a CPU by two constant 1x1 convolutions of zeros and ones, the one giving every
    candidate its weight, the other adding candidates: PyTorch's loops over m neighbours cannot use
    vector instructions, and took half of the time of a training step.
    """

    spread: torch.Tensor  # (m * P, m * g, 1, 1)
    collect: torch.Tensor  # (P, m * P, 1, 1)

    def __init__(self, width: int, m: int, groups: int) -> None:
        super().__init__()
        self.width, self.m, self.groups = width, m, groups
        candidate = torch.arange(width * m)
        output, block = candidate // m, candidate % m
        spread = torch.zeros(width * m, m * groups, 1, 1)
        spread[candidate, block * groups + output // (width // groups)] = 1
        collect = torch.zeros(width, width * m, 1, 1)
        collect[output, candidate] = 1
        self.register_buffer("spread", spread, persistent=False)
        self.register_buffer("collect", collect, persistent=False)

    def forward(self, a: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        if self.training and a.device.type == "cpu":
            weighted = a * F.conv2d(weights, self.spread.to(weights.dtype))
            return F.conv2d(weighted, self.collect.to(weighted.dtype))
        n, _, h, w = a.shape
        # Channels as (group, q within group, candidate): candidates of one q lie side by side.
        a = a.view(n, self.groups, self.width // self.groups, self.m, h, w)
        # (N, g, 1, m, H, W)
        weights = weights.view(n, self.m, self.groups, h, w).transpose(1, 2).unsqueeze(2)
        return (a * weights).sum(3).view(n, self.width, h, w)


def from_reference(arrays: Mapping[str, np.ndarray]) -> SCSC:
    """Build a module, in eval mode, from arrays named as the official block's reference files.

    Keys: `kernel_sizes`, `groups`, `reduce.weight`, `reduce_norm.*`, `branch.I.weight`,
    `branch_norm.*` (in shuffled order), `routing.weight`, `expand.weight`, `expand_norm.*`,
    `se.fc1.weight`, `se.fc2.weight`. No activation follows the expansion (the Swin form).
    Raises KeyError for a missing array and RuntimeError for one of a wrong shape.
    """
    kernel_sizes = [int(k) for k in arrays["kernel_sizes"]]
    m = len(kernel_sizes)
    width, in_chs = arrays["reduce.weight"].shape[:2]
    out_chs = arrays["expand.weight"].shape[0]
    module = SCSC(
        in_chs,
        out_chs,
        kernel_sizes,
        int(arrays["groups"]),
        width=width,
        last_act_layer=nn.Identity,
    )
    state = {
        "reduce.conv.weight": arrays["reduce.weight"],
        "routing.weight": arrays["routing.weight"],
        "expand.conv.weight": arrays["expand.weight"],
        "gate.fc1.weight": arrays["se.fc1.weight"][:, :, None, None],
        "gate.fc2.weight": arrays["se.fc2.weight"][:, :, None, None],
    }
    for i in range(m):
        state[f"branches.{i}.weight"] = arrays[f"branch.{i}.weight"]
    unshuffle = torch.argsort(shuffle_order(m * width, m)).numpy()
    for part in ("weight", "bias", "running_mean", "running_var"):
        state[f"reduce.bn.{part}"] = arrays[f"reduce_norm.{part}"]
        state[f"expand.bn.{part}"] = arrays[f"expand_norm.{part}"]
        state[f"branch_norm.{part}"] = arrays[f"branch_norm.{part}"][unshuffle]
    tensors = {name: torch.as_tensor(np.asarray(array)) for name, array in state.items()}
    for norm in ("reduce.bn", "expand.bn", "branch_norm"):
        tensors[f"{norm}.num_batches_tracked"] = torch.tensor(0)
    module.load_state_dict(tensors)
    return module.eval()
