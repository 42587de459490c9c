"""The networks that are compared on aligned crops, by name, each with any number of outputs.

mixers      FaceResNet with SCSC, plain, and with each mixer of scsc.mixers at SCSC's FLOPs
hosts       FaceResNet, a small ResNet and a small Swin, with and without SCSC
full        the published ResNet-50 and Swin-T, with and without SCSC, for a GPU
ablations   the SCSC FaceResNet without one idea, with a map of places added to the routing,
            with other kernels, with other groups; the plain one with SCSC's gate
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import nn

from models import embedder
from scsc import (
    FaceResNet,
    FaceResNetConfig,
    ResNet,
    ResNetConfig,
    Swin,
    SwinConfig,
    resnet50,
    scsc_resnet50,
    scsc_swin_t,
    swin_t,
)
from scsc.ablation import ABLATIONS, ablate, add_gate, add_position

Maker = Callable[[int], nn.Module]  # number of outputs -> network

_RESNET: dict[str, Any] = {"depths": (2, 2, 4, 2)}
_SWIN: dict[str, Any] = {"width": 48, "depths": (2, 2, 4, 2), "heads": (2, 4, 8, 16)}

# As many branches as the released network has, other sizes.
_KERNELS: dict[str, tuple[tuple[int, ...], ...]] = {
    "k3": ((3, 3), (3, 3, 3), (3, 3, 3), (3, 3)),
    "k7": ((7, 7), (7, 7, 7), (7, 7, 7), (7, 7)),
    "k-paper": ((3, 9), (3, 7, 11), (3, 5, 7), (3, 5)),
}


def _face(config: FaceResNetConfig) -> Maker:
    return lambda outputs: FaceResNet(replace(config, dim=outputs))


def _resnet(block: Any, widths: tuple[int, ...], stem: int) -> Maker:
    return lambda outputs: ResNet(
        ResNetConfig(block, widths=widths, stem_width=stem, num_classes=outputs, **_RESNET)
    )


def _swin(mixer: Any) -> Maker:
    return lambda outputs: Swin(SwinConfig(mixer, num_classes=outputs, **_SWIN))


def _without(idea: str) -> Maker:
    return lambda outputs: ablate(_face(_SCSC)(outputs), idea)


def _with_position(outputs: int) -> nn.Module:
    return add_position(_face(_SCSC)(outputs))


def _with_gate(outputs: int) -> nn.Module:
    return add_gate(_TWINS["faceresnet"](outputs))


_NARROW = "scsc_narrow_faceresnet"
_SCSC = embedder.config(_NARROW)
_TWINS = {name: _face(embedder.config(name)) for name in (_NARROW, "faceresnet")}

# With an idea less or more than the original has (scsc/ablation.py): there is no fused form.
EXCHANGED: dict[str, Maker] = {
    **{f"no-{idea}": _without(idea) for idea in ABLATIONS},
    "position": _with_position,
    "plain-gate": _with_gate,
}

SETS: dict[str, dict[str, Maker]] = {
    "mixers": {
        **_TWINS,
        **{name: _face(config) for name, config in embedder.NEIGHBOURS.items()},
    },
    "hosts": {
        **_TWINS,
        "scsc_resnet_small": _resnet("scsc", (72, 144, 288, 384), 24),
        "resnet_small": _resnet("plain", (64, 128, 256, 512), 32),
        "scsc_swin_small": _swin("scsc"),
        "swin_small": _swin("attention"),
    },
    "full": {
        "scsc_resnet50": scsc_resnet50,
        "resnet50": resnet50,
        "scsc_swin_t": scsc_swin_t,
        "swin_t": swin_t,
    },
    "ablations": {
        _NARROW: _TWINS[_NARROW],
        **EXCHANGED,
        **{name: _face(replace(_SCSC, kernel_sizes=k)) for name, k in _KERNELS.items()},
        **{f"g{groups}": _face(replace(_SCSC, groups=groups)) for groups in (1, 2, 8)},
    },
}
NETWORKS: dict[str, Maker] = {
    name: make for makers in SETS.values() for name, make in makers.items()
}


def chosen(words: list[str]) -> list[str]:
    """Names of networks, from names and names of sets. Raises LookupError that lists both."""
    names: list[str] = []
    for word in words:
        if word not in SETS and word not in NETWORKS:
            known = ", ".join([*SETS, *NETWORKS])
            raise LookupError(f"no network or set is called {word!r}; known: {known}")
        names += SETS.get(word, [word])
    return list(dict.fromkeys(names))
