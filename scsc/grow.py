"""A wider or deeper SCSC network that begins with what a smaller one has learned.

The idea is Net2Net's (T. Chen, I. Goodfellow, J. Shlens, arXiv 1511.05641): a larger network that
computes the same function as the one it grows from, with room to learn more. A block more, at the
end of a stage, expands to zero, so it adds nothing to what came before it. A wider module takes
more: in an SCSC module an output of the routed sum adds m neighbours of the concatenated branches,
so a wider module's outputs meet other neighbours. `place` finds for each old output a new one whose
candidates can be made copies of the old one's.
"""

import functools
import random
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from scsc.faceresnet import FaceResNet, FaceResNetConfig
from scsc.module import SCSC


def grow(network: FaceResNet, config: FaceResNetConfig) -> FaceResNet:
    """A network of `config`, wider in its SCSC modules or with more of them, that begins as
    `network`; in eval mode.

    The norms of the blocks that it has more know nothing of their inputs yet: `meet_inputs`.
    Raises ValueError when they are not of SCSC modules or differ in more than `branch_widths` and
    `depths`, when a stage would lose blocks, or when `place` finds no way.
    """
    before = network.config
    if before.block != "scsc":
        raise ValueError(f"only networks of SCSC modules can grow, not of {before.block} blocks")
    if replace(config, branch_widths=before.branch_widths, depths=before.depths) != before:
        raise ValueError(f"only branch_widths and depths can grow, not {before} to {config}")
    if any(new < old for new, old in zip(config.depths, before.depths, strict=True)):
        raise ValueError(f"depths can only grow, not from {before.depths} to {config.depths}")
    grown = FaceResNet(config)
    for i, (depth, deeper) in enumerate(zip(before.depths, config.depths, strict=True)):
        for j in range(depth, deeper):
            nn.init.zeros_(grown.get_parameter(f"stages.{i}.{j}.body.expand.conv.weight"))
    modules = dict(grown.named_modules())
    state = network.state_dict()
    for name, old in network.named_modules():
        new = modules[name]
        if isinstance(old, SCSC) and isinstance(new, SCSC):
            widen(old, new)
            state |= {f"{name}.{key}": value for key, value in new.state_dict().items()}
    grown.load_state_dict(grown.state_dict() | state)
    return grown.eval()


@torch.no_grad()
def meet_inputs(network: FaceResNet, crops: torch.Tensor) -> None:
    """Give the norms of blocks that `grow` added the statistics of these crops (N, 3, 112, 112).

    Such a block is known by its expansion of zero. The norm behind that keeps a variance of 1, or
    it would blow up the first thing that the expansion learns.
    """
    modules = [module for module in network.modules() if isinstance(module, SCSC)]
    fresh = [module for module in modules if not module.expand.conv.weight.any()]
    norms = [norm for module in fresh for norm in (module.reduce.bn, module.branch_norm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train().momentum = None  # the mean over all batches
    for part in torch.split(crops, 64) if norms else ():
        network(part)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval().momentum = momentum


@torch.no_grad()
def widen(old: SCSC, new: SCSC) -> None:
    """Give `new` the weights by which it computes what `old` does.

    What it has to spare keeps its own beginning, with an expansion of zero: nothing reads it yet,
    and it learns from the first step on. Raises ValueError when `place` finds no way.
    """
    if old.width == new.width:
        new.load_state_dict(old.state_dict())
        return
    m = len(old.kernel_sizes)
    outputs = place(old.width, new.width, m, old.groups)
    pairs = [  # ((branch, channel), (branch, channel)), old and new
        pair
        for q, r in outputs.items()
        for pair in zip(candidates(q, m, old.width), candidates(r, m, new.width), strict=True)
    ]
    copies = {channel: of for (_, of), (_, channel) in pairs}
    _copy(old.reduce.conv, new.reduce.conv, list(copies.values()), list(copies))
    _copy(old.reduce.bn, new.reduce.bn, list(copies.values()), list(copies))
    for (branch, of), (new_branch, channel) in pairs:
        kernel = old.branches[branch].get_parameter("weight")
        wider = new.branches[new_branch].get_parameter("weight")
        ring = (wider.shape[-1] - kernel.shape[-1]) // 2  # a 3x3 kernel is a 5x5 with a rim of zero
        wider[channel] = F.pad(kernel[of], [ring] * 4)
    _copy(
        old.branch_norm,
        new.branch_norm,
        [branch * old.width + channel for (branch, channel), _ in pairs],
        [branch * new.width + channel for _, (branch, channel) in pairs],
    )
    one_copy = {of: channel for channel, of in copies.items()}
    new.routing.weight.zero_()
    new.routing.weight[:, list(one_copy.values())] = old.routing.weight[:, list(one_copy)]
    new.expand.load_state_dict(
        {**old.expand.state_dict(), "conv.weight": torch.zeros_like(new.expand.conv.weight)}
    )
    new.expand.conv.weight[:, list(outputs.values())] = old.expand.conv.weight[:, list(outputs)]
    new.gate.load_state_dict(old.gate.state_dict())


@functools.cache
def place(width: int, wider: int, m: int, groups: int, tries: int = 1000) -> dict[int, int]:
    """Old outputs of the routed sum, 0 .. width - 1 -> new ones among 0 .. wider - 1.

    A pair is of one routing group; each of its m new candidates has the old one's kernel size or a
    larger, and reads a copy of the same reduced channel. Found by filling in one after the other,
    in many orders. It succeeds where m divides wider - width and wider is 1.5 times width, or where
    there is more room. Raises ValueError when it does not.
    """
    for order in map(random.Random, range(tries)):
        places = _fill(width, wider, m, groups, order)
        if len(places) == width:
            return places
    raise ValueError(
        f"{width} channels per branch cannot grow to {wider} in {m} branches of {groups} groups; "
        f"a width that differs by a multiple of {m * groups} is the easiest"
    )


def _fill(width: int, wider: int, m: int, groups: int, order: random.Random) -> dict[int, int]:
    """One try of `place`: what finds no place is left out."""
    copy_of: dict[int, int] = {}  # new reduced channel -> old one
    places: dict[int, int] = {}
    outputs = order.sample(range(width), width)
    # First those that see two branches: they have the fewest places to go to.
    for q in sorted(outputs, key=lambda q: len({b for b, _ in candidates(q, m, width)}) == 1):
        of = candidates(q, m, width)
        group = q // (width // groups)
        fits = []
        for r in range(group * wider // groups, (group + 1) * wider // groups):
            new = candidates(r, m, wider)
            if r not in places.values() and all(
                branch <= new_branch and copy_of.get(new_channel, channel) == channel
                for (branch, channel), (new_branch, new_channel) in zip(of, new, strict=True)
            ):
                fresh = sum(channel not in copy_of for _, channel in new)
                fits.append((fresh, order.random(), r))
        if fits:
            places[q] = min(fits)[2]
            new = candidates(places[q], m, wider)
            copy_of |= {c: channel for (_, channel), (_, c) in zip(of, new, strict=True)}
    return places


def candidates(output: int, m: int, width: int) -> list[tuple[int, int]]:
    """(branch, channel) of the m candidates that an output of the routed sum adds."""
    return [divmod(output * m + i, width) for i in range(m)]


def _copy(old: nn.Module, new: nn.Module, of: Sequence[int], to: Sequence[int]) -> None:
    """Rows `of` of every tensor of the one -> rows `to` of the other's."""
    for mine, theirs in zip(new.state_dict().values(), old.state_dict().values(), strict=True):
        if mine.dim():  # but the norm's count of batches
            mine[to] = theirs[of]
