"""ResNet for pictures of any size, plain or with SCSC modules.

Plain: the bottleneck network of arXiv 1512.03385, stride in the 3x3 convolution. SCSC form:
arXiv 2308.07110; one SCSC module (with its last GELU) beside the shortcut, nothing after the sum.

What the published counts decide (25.568 M parameters and 4.557 G multiply-adds for "50", 37.283 M
and 6.343 G for "101", at 224x224 and 1000 classes, over convolutions and linear maps):
- a block's branches have P = in_chs / m channels, of its input, so the first block of a stage is
  narrower than the rest (32 against 96 in the first stage);
- the three-fold width counts from the first stage on, the stem alone has 96 channels;
- there is no norm before the pooling; the classifier has a bias; norms count two per channel.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from scsc.checkpointing import run_blocks
from scsc.faceresnet import Residual
from scsc.layers import ConvBNAct
from scsc.module import SCSC

_SQUEEZE = 4  # a bottleneck's outer width over its inner one


@dataclass(frozen=True)
class ResNetConfig:
    """What makes a ResNet. `widths` are the channels that each stage gives."""

    block: Literal["plain", "scsc"]
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    stem_width: int
    kernel_sizes: tuple[tuple[int, ...], ...] = ((3, 9, 13), (3, 7, 11), (3, 5, 7), (3, 5))
    groups: int = 4
    num_classes: int = 1000


class ResNet(nn.Module):
    """(N, 3, H, W) -> logits (N, num_classes). H and W are free: 32 pixels make one cell.

    With `save_memory`, blocks are computed again in the backward pass instead of kept.
    """

    def __init__(self, config: ResNetConfig, save_memory: bool = False) -> None:
        super().__init__()
        self.config = config
        self.save_memory = save_memory
        self.stem = _stem(config)
        self.stages = nn.ModuleList()
        width = config.stem_width
        for i, (out_chs, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
            # The plain stem has pooled already.
            stride = 1 if i == 0 and config.block == "plain" else 2
            stage = nn.Sequential()
            for j in range(depth):
                stage.append(_block(config, i, width, out_chs, stride if j == 0 else 1))
                width = out_chs
            self.stages.append(stage)
        self.head = nn.Linear(width, config.num_classes)

    def forward_features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The map of each stage, (N, width, H / 4, W / 4) down to (N, width, H / 32, W / 32)."""
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            assert isinstance(stage, nn.Sequential)
            x = run_blocks(stage, x, self.save_memory)
            maps.append(x)
        return maps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.forward_features(x)[-1].mean((2, 3)))
        return logits


def _stem(config: ResNetConfig) -> nn.Module:
    if config.block == "scsc":
        return ConvBNAct(3, config.stem_width, 3, 2, act_layer=nn.ReLU)
    convolution = ConvBNAct(3, config.stem_width, 7, 2, act_layer=nn.ReLU)
    return nn.Sequential(convolution, nn.MaxPool2d(3, 2, 1))


def _block(config: ResNetConfig, stage: int, in_chs: int, out_chs: int, stride: int) -> nn.Module:
    """The part in which the two networks differ."""
    match config.block:
        case "plain":
            inner = out_chs // _SQUEEZE
            body = nn.Sequential(
                ConvBNAct(in_chs, inner, act_layer=nn.ReLU),
                ConvBNAct(inner, inner, 3, stride, act_layer=nn.ReLU),
                ConvBNAct(inner, out_chs),
            )
            return nn.Sequential(Residual(body, in_chs, out_chs, stride), nn.ReLU())
        case "scsc":
            module = SCSC(in_chs, out_chs, config.kernel_sizes[stage], config.groups, stride)
            return Residual(module, in_chs, out_chs, stride)
        case other:
            raise ValueError(f"unknown block {other!r}; known: plain, scsc")


def resnet50(num_classes: int = 1000, save_memory: bool = False) -> ResNet:
    """25.557 M parameters, 4.089 G multiply-adds at 224x224."""
    return ResNet(_plain((3, 4, 6, 3), num_classes), save_memory)


def resnet101(num_classes: int = 1000, save_memory: bool = False) -> ResNet:
    """44.549 M parameters, 7.801 G multiply-adds at 224x224."""
    return ResNet(_plain((3, 4, 23, 3), num_classes), save_memory)


def scsc_resnet50(num_classes: int = 1000, save_memory: bool = False) -> ResNet:
    """25.568 M parameters, 4.557 G multiply-adds at 224x224."""
    return ResNet(_scsc((3, 5, 12, 3), num_classes), save_memory)


def scsc_resnet101(num_classes: int = 1000, save_memory: bool = False) -> ResNet:
    """37.283 M parameters, 6.343 G multiply-adds at 224x224."""
    return ResNet(_scsc((3, 4, 23, 3), num_classes), save_memory)


def _plain(depths: tuple[int, ...], num_classes: int) -> ResNetConfig:
    return ResNetConfig("plain", depths, (256, 512, 1024, 2048), 64, num_classes=num_classes)


def _scsc(depths: tuple[int, ...], num_classes: int) -> ResNetConfig:
    return ResNetConfig("scsc", depths, (288, 576, 1152, 1536), 96, num_classes=num_classes)
