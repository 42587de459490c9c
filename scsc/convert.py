"""SCSC modules in a network that somebody else wrote.

    conversion = convert(model, torch.zeros(1, 3, 224, 224))
    print(conversion)                # what changed and what it saved
    network = conversion.network     # a copy; its new modules are untrained

In a residual network each dense spatial convolution is replaced, in a Swin-like one each attention,
whether it takes maps, tokens or windows. All else stays: norms before attention, which the paper's
own Swin form leaves out, and a block's cutting into windows, which costs time and no arithmetic.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from scsc import cost
from scsc.adapters import MapSCSC, TokenSCSC, WindowSCSC, size_of
from scsc.layers import ActLayer
from scsc.module import SCSC

# The paper's kernel sizes where a cell of the map is 4 input pixels or less, 8, 16, and 32 or more.
KERNEL_SIZES = ((3, 9, 13), (3, 7, 11), (3, 5, 7), (3, 5))


@dataclass(frozen=True)
class Change:
    """A module that was replaced, or with `reason` one that was not."""

    name: str
    kind: str  # "3x3 convolution", or the attention's class
    chs: int = 0
    size: tuple[int, int] = (0, 0)  # height and width of the map that it sees
    kernel_sizes: tuple[int, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Conversion:
    network: nn.Module
    changes: list[Change]
    left: list[Change]
    params: tuple[int, int]  # before and after
    flops: tuple[int, int]  # multiply-adds of one picture of the example's size

    def __str__(self) -> str:
        lines = ["| module | was | channels | map | kernels |", "| --- | --- | --- | --- | --- |"]
        lines += [
            f"| {c.name} | {c.kind} | {c.chs} | {c.size[0]}x{c.size[1]} "
            f"| {'-'.join(map(str, c.kernel_sizes))} |"
            for c in self.changes
        ]
        lines += [f"left: {c.name}, {c.kind}: {c.reason}" for c in self.left]
        for what, (before, after) in (("parameters", self.params), ("FLOPs", self.flops)):
            saved = 1 - after / before
            lines.append(f"{what}: {before / 1e6:.3f} M -> {after / 1e6:.3f} M, {saved:.1%} saved")
        return "\n".join(lines)


def convert(
    model: nn.Module,
    example: torch.Tensor,
    kernel_sizes: Sequence[Sequence[int]] = KERNEL_SIZES,
    groups: int = 4,
    act_layer: ActLayer = nn.GELU,
    only: Callable[[str, nn.Module], bool] = lambda name, module: True,
) -> Conversion:
    """A copy of the model with SCSC modules in it, and an account of what changed.

    example: (1, 3, H, W), a picture of the size that the model takes; it decides kernel sizes and
    FLOPs, and the copy takes the sizes that the model took. `only` narrows the choice, given each
    candidate's dotted name and the module. Raises ValueError when nothing can be replaced.
    """
    network = copy.deepcopy(model)
    seen = _watch(network, _candidates(network, only), example)
    changes, left = [], []
    for name, module in _candidates(network, only).items():
        kind = _kind(module)
        reason = _obstacle(module, seen.get(name), len(kernel_sizes[0]) * groups)
        if reason:
            left.append(Change(name, kind, reason=reason))
            continue
        sight = seen[name]
        cell = example.shape[2] / sight.size[0]  # input pixels per cell of the map
        stage = min(max(round(math.log2(cell)) - 2, 0), len(kernel_sizes) - 1)
        kernels = tuple(kernel_sizes[stage])
        _replace(network, name, sight, kernels, groups, act_layer)
        changes.append(Change(name, kind, sight.chs, sight.size, kernels))
    if not changes:
        raise ValueError("the model has no spatial convolution or attention that can be replaced")
    params = (cost.parameters(model), cost.parameters(network))
    flops = (cost.flops(model, example), cost.flops(network, example))
    return Conversion(network, changes, left, params, flops)


def _candidates(network: nn.Module, only: Callable[[str, nn.Module], bool]) -> dict[str, nn.Module]:
    """Attention modules and spatial convolutions by name, none inside another or inside SCSC."""
    found: dict[str, nn.Module] = {}
    closed: list[str] = []  # prefixes of what is not looked into
    for name, module in network.named_modules():
        if any(name.startswith(prefix) for prefix in closed):
            continue
        attention = "attention" in type(module).__name__.lower()
        if attention or isinstance(module, SCSC):
            closed.append(f"{name}.")
        spatial = isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1
        if name and (attention or spatial) and only(name, module):
            found[name] = module
    return found


def _kind(module: nn.Module) -> str:
    if isinstance(module, nn.Conv2d):
        return f"{module.kernel_size[0]}x{module.kernel_size[1]} convolution"
    return type(module).__name__


# ---------------------------------------------------------------------------- the example's way


@dataclass
class _Sight:
    """What a candidate saw when the example went through."""

    shape: tuple[int, ...]  # of its input
    same: bool  # whether its output was one tensor of that shape
    outer: tuple[int, ...]  # shape of the input of the module around it
    rolls: list[tuple[tuple[int, ...], tuple[int, ...]]]  # shifts, and shape, since that module
    chs: int = 0
    layout: str = ""  # maps: first or last, where the channels are; tokens; windows
    size: tuple[int, int] = (0, 0)


class _Rolls(TorchFunctionMode):
    """Notes every roll of a map: windows that a block moves are moved by one."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.roll, torch.Tensor.roll):
            shifts = kwargs.get("shifts", args[1] if len(args) > 1 else 0)
            self.seen.append((tuple(shifts), tuple(args[0].shape)))
        return func(*args, **kwargs)


def _watch(
    network: nn.Module, candidates: dict[str, nn.Module], example: torch.Tensor
) -> dict[str, _Sight]:
    rolls = _Rolls()
    around: dict[nn.Module, tuple[int, ...]] = {}
    sights: dict[str, _Sight] = {}

    def enter(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if inputs and isinstance(inputs[0], torch.Tensor):
            around[module] = tuple(inputs[0].shape)
            rolls.seen.clear()

    def watcher(name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            shape = tuple(inputs[0].shape)
            same = isinstance(output, torch.Tensor) and output.shape == inputs[0].shape
            outer = around.get(_around(network, name), ())
            sight = _Sight(shape, same, outer, list(rolls.seen))
            _lay_out(sight, len(example), module)
            sights[name] = sight

        return note

    owners = {_around(network, name) for name in candidates}
    hooks = [owner.register_forward_pre_hook(enter) for owner in owners]
    hooks += [m.register_forward_hook(watcher(name)) for name, m in candidates.items()]
    training = network.training
    with torch.no_grad(), rolls:
        network.eval()(example)
    network.train(training)
    for hook in hooks:
        hook.remove()
    return sights


def _around(network: nn.Module, name: str) -> nn.Module:
    return network.get_submodule(name.rpartition(".")[0])


def _lay_out(sight: _Sight, pictures: int, module: nn.Module) -> None:
    """Where the channels are, and how large the map is."""
    shape = sight.shape
    # Channels are what some linear map or convolution inside takes.
    taken = {part.in_features for part in module.modules() if isinstance(part, nn.Linear)}
    taken |= {part.in_channels for part in module.modules() if isinstance(part, nn.Conv2d)}
    match len(shape):
        case 4 if shape[1] in taken and (isinstance(module, nn.Conv2d) or shape[3] not in taken):
            sight.layout, sight.chs, sight.size = "first", shape[1], (shape[2], shape[3])
        case 4 if shape[3] in taken:
            sight.layout, sight.chs, sight.size = "last", shape[3], (shape[1], shape[2])
        case 3 if math.isqrt(shape[1]) ** 2 == shape[1]:
            side = math.isqrt(shape[1])
            sight.layout, sight.chs, sight.size = "tokens", shape[2], (side, side)
            if shape[0] > pictures and len(sight.outer) in (3, 4):
                sight.layout, sight.size = "windows", size_of(sight.outer, shape[2])


def _obstacle(module: nn.Module, sight: _Sight | None, least: int) -> str:
    """Why a candidate is left as it is; empty when it can be replaced."""
    if sight is None:
        return "the example does not pass through it"
    if isinstance(module, nn.Conv2d):
        side, stride = module.kernel_size[0], module.stride[0]
        regular = module.kernel_size == (side, side) and side % 2 == 1
        regular &= module.stride == (stride, stride) and module.dilation == (1, 1)
        if not regular or module.padding not in ((side // 2, side // 2), "same"):
            return "not an odd square kernel that keeps the map's size"
        if module.groups > 1:
            return "grouped"
        if module.in_channels < least:
            return f"fewer than {least} input channels"
        return ""
    if not sight.same or not sight.layout:
        return "does not give a map as it takes one"
    return ""


def _replace(
    network: nn.Module,
    name: str,
    sight: _Sight,
    kernels: tuple[int, ...],
    groups: int,
    act_layer: ActLayer,
) -> None:
    module, owner = network.get_submodule(name), _around(network, name)
    out_chs, stride = sight.chs, 1
    if isinstance(module, nn.Conv2d):
        out_chs, stride = module.out_channels, module.stride[0]
    width = max(sight.chs // len(kernels) // groups, 1) * groups
    made = SCSC(sight.chs, out_chs, kernels, groups, stride, width, act_layer, nn.Identity)
    made.to(next(module.parameters()).device).train(module.training)
    replacement: nn.Module
    match sight.layout:
        case "windows":
            shifts, moved = sight.rolls[-1] if sight.rolls else ((0, 0), ())
            filled = any(length % math.isqrt(sight.shape[1]) for length in sight.size)
            moved_first = filled and bool(moved) and size_of(moved, sight.chs) == sight.size
            replacement = WindowSCSC(made, sight.size, shifts, moved_first)
            owner.register_forward_pre_hook(replacement.note_size)
        case "tokens":
            replacement = TokenSCSC(made)
        case _ if isinstance(module, nn.Conv2d):
            replacement = made
        case layout:
            replacement = MapSCSC(made, channels_last=layout == "last")
    setattr(owner, name.rpartition(".")[2], replacement)
