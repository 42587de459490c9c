"""FaceResNet: a residual face embedder for aligned 112x112 crops, plain or with SCSC modules.

Plain: the pre-activation "IR" block of the face literature (ArcFace, arXiv 1801.07698), two 3x3
convolutions with BatchNorm and PReLU. SCSC form: one SCSC module (arXiv 2308.07110) in the place of
the two convolutions. Stem, head, depths and widths are the same code, so that the difference
between the two networks is the module. Any mixer of `scsc.mixers` can take the module's place too.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from scsc.layers import ActLayer, ConvBNAct, SqueezeExcite
from scsc.mixers import MIXERS, mixer
from scsc.module import SCSC

CROP = 112  # pixels; side of an aligned crop, and what the head's kernel is made for
STRIDE = 16  # input pixels per cell of the last map

_ACTS: dict[str, ActLayer] = {"relu": nn.ReLU, "gelu": nn.GELU}


@dataclass(frozen=True)
class FaceResNetConfig:
    """What makes a FaceResNet. The stem and the first stage share one stride of 2."""

    block: str = "scsc"  # plain, scsc, or one of scsc.mixers
    widths: tuple[int, ...] = (48, 96, 192, 384)
    depths: tuple[int, ...] = (2, 3, 6, 2)
    dim: int = 256
    stem_stride: int = 2
    kernel_sizes: tuple[tuple[int, ...], ...] = ((3, 5, 7), (3, 5, 7), (3, 5, 7), (3, 5))
    branch_widths: tuple[int, ...] = ()  # an SCSC module's P, per stage; empty: in_chs / m
    groups: int = 4
    act: Literal["relu", "gelu"] = "relu"  # in the stem, the SCSC modules and around mixers
    mixer_widths: tuple[int, ...] = (16, 32, 64, 192)  # channels a mixer works on, per stage


class Residual(nn.Module):
    """body(x) + shortcut(x): (N, in_chs, H, W) -> (N, out_chs, H / stride, W / stride)."""

    def __init__(self, body: nn.Module, in_chs: int, out_chs: int, stride: int) -> None:
        super().__init__()
        self.body = body
        same = in_chs == out_chs and stride == 1
        self.shortcut = nn.Identity() if same else ConvBNAct(in_chs, out_chs, stride=stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.body(x) + self.shortcut(x)
        return result


class GlobalDepthwise(nn.Module):
    """One learned map of weights per channel: (N, C, H, W) -> (N, C).

    The weights are a 7x7 map, for 112x112 crops. For another size the map is resized and scaled to
    the same sum, so that a network can be trained on small crops first.
    """

    def __init__(self, chs: int, size: int = CROP // STRIDE) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1, chs, size, size), 1.0 / size**2))
        nn.init.normal_(self.weight, 1.0 / size**2, 0.5 / size**2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight: torch.Tensor = self.weight
        if x.shape[-2:] != weight.shape[-2:]:
            area = weight.shape[-2] * weight.shape[-1] / (x.shape[-2] * x.shape[-1])
            weight = F.interpolate(weight, x.shape[-2:], mode="bilinear", antialias=True) * area
        return (x * weight).sum((2, 3))

    def extra_flops(self, output: torch.Tensor) -> int:
        """Multiply-adds of one pass, which no convolution carries out."""
        return output.numel() * self.weight[0, 0].numel()


class FaceResNet(nn.Module):
    """(N, 3, 112, 112) RGB in -1..1 -> embeddings (N, dim), not yet of unit length."""

    def __init__(self, config: FaceResNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.widths[0]
        self.stem = ConvBNAct(3, width, 3, config.stem_stride, act_layer=_ACTS[config.act])
        self.stages = nn.ModuleList()
        for i, (out_chs, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
            stride = 2 if i > 0 or config.stem_stride == 1 else 1
            stage = nn.Sequential()
            for j in range(depth):
                args = (width, out_chs, stride if j == 0 else 1)
                stage.append(Residual(_body(config, i, j, *args), *args))
                width = out_chs
            self.stages.append(stage)
        self.norm = nn.BatchNorm2d(width)
        self.pool = GlobalDepthwise(width)
        self.linear = nn.Linear(width, config.dim, bias=False)
        self.linear_norm = nn.BatchNorm1d(config.dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        embedding: torch.Tensor = self.linear_norm(self.linear(self.pool(self.norm(x))))
        return embedding


def _body(
    config: FaceResNetConfig, stage: int, place: int, in_chs: int, out_chs: int, stride: int
) -> nn.Module:
    """The part in which the networks differ."""
    match config.block:
        case "plain":
            return nn.Sequential(
                nn.BatchNorm2d(in_chs),
                ConvBNAct(in_chs, out_chs, 3, act_layer=lambda: nn.PReLU(out_chs)),
                ConvBNAct(out_chs, out_chs, 3, stride),
            )
        case "scsc":
            # Linear end, as the plain block has: an activation here would let the sum only grow.
            return SCSC(
                in_chs,
                out_chs,
                config.kernel_sizes[stage],
                config.groups,
                stride,
                config.branch_widths[stage] if config.branch_widths else None,
                act_layer=_ACTS[config.act],
                last_act_layer=nn.Identity,
            )
        case name if name in MIXERS:
            # An SCSC module's frame: reduce, mix, expand, gate.
            width = config.mixer_widths[stage]
            side = CROP // 2**stage // (1 if stride == 2 else 2)  # pixels of the block's input
            return nn.Sequential(
                ConvBNAct(in_chs, width, act_layer=_ACTS[config.act]),
                mixer(name, width, side, stride, place),
                nn.BatchNorm2d(width),
                _ACTS[config.act](),
                ConvBNAct(width, out_chs),
                SqueezeExcite(out_chs),
            )
        case other:
            raise ValueError(f"unknown block {other!r}; known: plain, scsc, {', '.join(MIXERS)}")
