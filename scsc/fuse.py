"""The exact inference form of a network: the same outputs from fewer operations.

    fast = fuse(network)    # the network itself stays as it was

- A BatchNorm after a convolution or a linear map is folded into it.
- A BatchNorm before one is folded into it where no zero padding lies between: padding puts zeros
  after the norm, and no bias can give the border another value than the middle. So the first norm
  of a plain FaceResNet block stays.
- In an SCSC module the norm over the branches is folded into each branch, and its activation
  stands behind each branch, where a runtime joins it to the convolution. The routing's rows are
  put in the order (group, block), so the shuffle and the transposition of step 6 are gone.

Step 6 itself is one product and one sum over side-by-side channels, which is faster than m
multiply-adds on contiguous blocks, whose order costs a gather or m * m splits. What is to be
exported for a CPU runtime has a faster form of it and of the gate: scsc/blocks.py.
"""

import copy

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from scsc.faceresnet import FaceResNet
from scsc.layers import ConvBNAct, scale_shift
from scsc.module import SCSC


def fuse(network: nn.Module) -> nn.Module:
    """A copy in eval mode, without gradients, that gives the same outputs faster.

    Folds SCSC modules, the head of FaceResNet, and neighbours within every `nn.Sequential`.
    Everything else is kept as it is.
    """
    fused = _fused(copy.deepcopy(network).eval())
    return fused.eval().requires_grad_(False)


def _fused(module: nn.Module) -> nn.Module:
    if isinstance(module, SCSC):
        return FusedSCSC(module)
    if type(module).forward in (nn.Sequential.forward, ConvBNAct.forward):
        return nn.Sequential(*_folded([_fused(part) for part in module.children()]))
    for name, part in module.named_children():
        setattr(module, name, _fused(part))
    if isinstance(module, FaceResNet):
        _fold_head(module)
    return module


class FusedSCSC(nn.Module):
    """The inference form of an SCSC module, made of its parts; `fuse` hands it a copy.

    See `scsc.module.SCSC` for the steps and shapes.
    """

    def __init__(self, module: SCSC) -> None:
        super().__init__()
        self.groups = module.groups
        self.width = module.width
        self.reduce = _fused(module.reduce)
        self.branches = nn.ModuleList()
        m = len(module.branches)
        scales, shifts = (part.chunk(m) for part in _scale_shift(module.branch_norm))
        for branch, scale, shift in zip(module.branches, scales, shifts, strict=True):
            assert isinstance(branch, nn.Conv2d)
            branch = _fold_after(branch, scale, shift)
            self.branches.append(nn.Sequential(branch, module.branch_act))
        self.routing = _routing_by_group(module)
        self.expand = _fused(module.expand)
        self.gate = module.gate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        reduced = self.reduce(x)
        a = torch.cat([branch(reduced) for branch in self.branches], 1)  # channel q * m + j
        weights = torch.sigmoid(self.routing(reduced))  # channel group * m + j
        g, m, (h, w) = self.groups, len(self.branches), a.shape[2:]
        a = a.view(-1, g, self.width // g, m, h, w)
        mixed = (a * weights.view(-1, g, 1, m, h, w)).sum(3).view(-1, self.width, h, w)
        result: torch.Tensor = self.gate(self.expand(mixed))
        return result


class FusedGlobalDepthwise(nn.Module):
    """FaceResNet's pooling with the norm before it folded in, at the map's own size only.

    At another size the map is resized, and the folded shift would no longer be exact.
    """

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)  # (1, C, 7, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[-2:] != self.weight.shape[-2:]:
            sizes = f"{tuple(x.shape[-2:])}, not {tuple(self.weight.shape[-2:])}"
            raise ValueError(f"the fused form takes crops of one size; its last map is {sizes}")
        return (x * self.weight).sum((2, 3))


def _folded(parts: list[nn.Module]) -> list[nn.Module]:
    """The parts of a Sequential, norms folded into their neighbours, identities left out."""
    kept: list[nn.Module] = []
    for part in parts:
        before = kept[-1] if kept else None
        if isinstance(part, nn.Identity):
            continue
        if isinstance(part, _BatchNorm) and isinstance(before, nn.Conv2d | nn.Linear):
            kept[-1] = _fold_after(before, *_scale_shift(part))
        elif isinstance(before, _BatchNorm) and _takes_norm(part):
            assert isinstance(part, nn.Conv2d | nn.Linear)
            kept[-1] = _fold_before(part, *_scale_shift(before))
        else:
            kept.append(part)
    return kept


def _takes_norm(layer: nn.Module) -> bool:
    """Whether a norm before the layer can be folded into it exactly."""
    if isinstance(layer, nn.Conv2d):
        return layer.groups == 1 and layer.padding in ((0, 0), "valid")
    return isinstance(layer, nn.Linear)


def _scale_shift(norm: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """A BatchNorm in eval mode as x * scale + shift, each (C,) float64."""
    assert isinstance(norm, _BatchNorm)
    scale, shift = scale_shift(norm, torch.float64)
    return scale.detach(), shift.detach()


def _fold_after(
    layer: nn.Conv2d | nn.Linear, scale: torch.Tensor, shift: torch.Tensor
) -> nn.Conv2d | nn.Linear:
    """layer(x) * scale + shift as one layer. scale, shift: (out,)."""
    weight = layer.weight.double() * scale.view(-1, *[1] * (layer.weight.ndim - 1))
    return _with(layer, weight, _bias(layer) * scale + shift)


def _fold_before(
    layer: nn.Conv2d | nn.Linear, scale: torch.Tensor, shift: torch.Tensor
) -> nn.Conv2d | nn.Linear:
    """layer(x * scale + shift) as one layer. scale, shift: (in,); no padding, one group."""
    weight = layer.weight.double()
    rest = [1] * (weight.ndim - 2)
    bias = (weight * shift.view(1, -1, *rest)).flatten(1).sum(1)
    return _with(layer, weight * scale.view(1, -1, *rest), _bias(layer) + bias)


def _bias(layer: nn.Conv2d | nn.Linear) -> torch.Tensor:
    return layer.weight.new_zeros(()).double() if layer.bias is None else layer.bias.double()


def _with(
    layer: nn.Conv2d | nn.Linear, weight: torch.Tensor, bias: torch.Tensor
) -> nn.Conv2d | nn.Linear:
    """A plain layer of the same shape with these numbers; a subclass's own forward is left."""
    fused: nn.Conv2d | nn.Linear
    if isinstance(layer, nn.Linear):
        fused = nn.Linear(layer.in_features, layer.out_features)
    else:
        shape = (layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride)
        rest = (layer.padding, layer.dilation, layer.groups, True, layer.padding_mode)
        fused = nn.Conv2d(*shape, *rest)  # type: ignore[arg-type]
    fused.weight = nn.Parameter(weight.detach().to(layer.weight))
    fused.bias = nn.Parameter(bias.detach().to(layer.weight))
    return fused


def _routing_by_group(module: SCSC) -> nn.Conv2d:
    """The routing conv with channel group * m + j in the place of j * g + group."""
    routing = module.routing
    order = torch.arange(len(routing.weight)).view(-1, module.groups).t().flatten()
    routing.weight = nn.Parameter(routing.weight.detach()[order])
    return routing


def _fold_head(network: FaceResNet) -> None:
    """norm -> pool -> linear -> linear_norm becomes pool -> linear."""
    scale, shift = _scale_shift(network.norm)
    pool = network.pool.weight.detach().double()
    linear = _fold_after(network.linear, *_scale_shift(network.linear_norm))
    # The norm's shift reaches the linear map as one constant per channel.
    one = torch.ones_like(shift)
    linear = _fold_before(linear, one, shift * pool.sum((0, 2, 3)))
    fused = FusedGlobalDepthwise((pool * scale.view(1, -1, 1, 1)).to(network.pool.weight))
    network.norm, network.linear_norm = nn.Identity(), nn.Identity()  # type: ignore[assignment]
    network.pool, network.linear = fused, linear  # type: ignore[assignment]
