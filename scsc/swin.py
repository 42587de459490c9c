"""Swin for pictures of any size, plain or with SCSC modules in the place of attention.

Plain: Swin-T of arXiv 2103.14030. SCSC form: arXiv 2308.07110; a block is
x + SCSC(x), with no norm before and no GELU at the module's end, then x + MLP(BN(x)).

What the published counts decide (21.943 M parameters at 1000 classes; plain 28.29 M): a module's
branches have P = chs / m channels; the patch embedding and the classifier have biases, the patch
merging has none; a norm stands after the patch embedding, before each merging and before the
pooling. Those three are LayerNorm, as in Swin, in both forms: the counts cannot tell it from
BatchNorm. Maps are (N, C, H, W), so the MLP's linear maps are 1x1 convolutions; in channels-last
memory attention's change of order costs nothing.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from scsc.attention import WindowAttention
from scsc.checkpointing import run_blocks
from scsc.module import SCSC

PATCH = 4  # pixels; side of what becomes one cell of the first map


@dataclass(frozen=True)
class SwinConfig:
    """What makes a Swin. `width` is the first stage's; each stage doubles it."""

    mixer: Literal["attention", "scsc"]
    width: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (3, 6, 12, 24)  # of attention
    window: int = 7
    kernel_sizes: tuple[tuple[int, ...], ...] = ((3, 9, 13), (3, 7, 11), (3, 5, 7), (3, 5))
    groups: int = 4  # of SCSC
    mlp_ratio: int = 4
    drop_path: float = 0.2  # of the last block; rises from 0
    num_classes: int = 1000


class Swin(nn.Module):
    """(N, 3, H, W) -> logits (N, num_classes). H and W are free: 32 pixels make one cell.

    With `save_memory`, blocks are computed again in the backward pass instead of kept.
    """

    def __init__(self, config: SwinConfig, save_memory: bool = False) -> None:
        super().__init__()
        self.config = config
        self.save_memory = save_memory
        self.stem = nn.Sequential(nn.Conv2d(3, config.width, PATCH, PATCH), LayerNorm(config.width))
        self.merges = nn.ModuleList()  # one before each stage; nothing before the first
        self.stages = nn.ModuleList()
        last = max(sum(config.depths) - 1, 1)
        drops = [config.drop_path * i / last for i in range(sum(config.depths))]
        for i, depth in enumerate(config.depths):
            chs = config.width << i
            self.merges.append(PatchMerge(chs // 2) if i else nn.Identity())
            blocks = (_block(config, i, chs, j, drops.pop(0)) for j in range(depth))
            self.stages.append(nn.Sequential(*blocks))
        self.norm = LayerNorm(chs)
        self.head = nn.Linear(chs, config.num_classes)
        self.apply(_init_linear)

    def forward_features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The map of each stage, (N, C, H / 4, W / 4) down to (N, 8 * C, H / 32, W / 32)."""
        x = self.stem(_fill(x, PATCH))
        maps = []
        for merge, stage in zip(self.merges, self.stages, strict=True):
            assert isinstance(stage, nn.Sequential)
            x = run_blocks(stage, merge(x), self.save_memory)
            maps.append(x)
        return maps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.norm(self.forward_features(x)[-1]).mean((2, 3)))
        return logits


class SwinBlock(nn.Module):
    """x + mixer(x), then x + mlp(x), at one shape; norms are inside the two."""

    def __init__(self, mixer: nn.Module, mlp: nn.Module, drop_path: float) -> None:
        super().__init__()
        self.mixer = mixer
        self.mlp = mlp
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.drop_path(self.mixer(x))
        result: torch.Tensor = x + self.drop_path(self.mlp(x))
        return result


class PatchMerge(nn.Module):
    """Four neighbours become one cell: (N, C, H, W) -> (N, 2 * C, H / 2, W / 2)."""

    def __init__(self, chs: int) -> None:
        super().__init__()
        self.norm = LayerNorm(4 * chs)
        self.conv = nn.Conv2d(4 * chs, 2 * chs, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = _fill(x, 2)
        corners = [x[:, :, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        merged: torch.Tensor = self.conv(self.norm(torch.cat(corners, 1)))
        return merged


class LayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of (N, C, H, W)."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class DropPath(nn.Module):
    """In training, leaves the branch of a picture out with the given chance (1603.09382)."""

    def __init__(self, chance: float) -> None:
        super().__init__()
        self.chance = chance

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x
        keep = 1 - self.chance
        return x * x.new_empty(len(x), 1, 1, 1).bernoulli_(keep).div_(keep)


def _fill(x: torch.Tensor, multiple: int) -> torch.Tensor:
    """Zeros on the right and below, up to a multiple."""
    height, width = x.shape[2:]
    if height % multiple == 0 and width % multiple == 0:
        return x
    return F.pad(x, (0, -width % multiple, 0, -height % multiple))


def _block(config: SwinConfig, stage: int, chs: int, place: int, drop_path: float) -> SwinBlock:
    """The part in which the two networks differ."""
    hidden = config.mlp_ratio * chs
    mlp = [nn.Conv2d(chs, hidden, 1), nn.GELU(), nn.Conv2d(hidden, chs, 1)]
    match config.mixer:
        case "attention":
            attention = WindowAttention(
                chs, config.heads[stage], config.window, shift=place % 2 == 1
            )
            mixer = nn.Sequential(LayerNorm(chs), attention)
            return SwinBlock(mixer, nn.Sequential(LayerNorm(chs), *mlp), drop_path)
        case "scsc":
            kernel_sizes = config.kernel_sizes[stage]
            module = SCSC(chs, chs, kernel_sizes, config.groups, last_act_layer=nn.Identity)
            return SwinBlock(module, nn.Sequential(nn.BatchNorm2d(chs), *mlp), drop_path)
        case other:
            raise ValueError(f"unknown mixer {other!r}; known: attention, scsc")


def _init_linear(module: nn.Module) -> None:
    """Swin's start for linear maps; those of SCSC keep the convolutions' own."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


def swin_t(num_classes: int = 1000, save_memory: bool = False) -> Swin:
    """28.288 M parameters at 1000 classes."""
    return Swin(SwinConfig("attention", num_classes=num_classes), save_memory)


def scsc_swin_t(num_classes: int = 1000, save_memory: bool = False) -> Swin:
    """21.943 M parameters at 1000 classes."""
    return Swin(SwinConfig("scsc", num_classes=num_classes), save_memory)
