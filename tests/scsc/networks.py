"""Small networks of every kind, with norms that have seen data."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from scsc import FaceResNet, FaceResNetConfig, ResNet, ResNetConfig, Swin, SwinConfig

KERNELS = ((3, 5), (3, 5, 7), (3, 5, 7), (3, 5))
FACE = {"widths": (12, 24, 24, 48), "depths": (1, 2, 1, 1), "dim": 16, "kernel_sizes": KERNELS}
CNN = {"depths": (1, 2, 1, 1), "kernel_sizes": KERNELS, "groups": 2, "num_classes": 5}
SWIN = {"width": 24, "depths": (1, 2, 2, 1), "heads": (1, 2, 3, 4), "groups": 2, "num_classes": 5}

# Name -> (maker, input side that the tests use).
HOSTS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "faceresnet": (lambda: FaceResNet(FaceResNetConfig("plain", **FACE)), 112),
    "scsc_faceresnet": (lambda: FaceResNet(FaceResNetConfig("scsc", groups=2, **FACE)), 112),
    "resnet": (
        lambda: ResNet(ResNetConfig("plain", widths=(8, 16, 24, 32), stem_width=8, **CNN)),
        64,
    ),
    "scsc_resnet": (
        lambda: ResNet(ResNetConfig("scsc", widths=(12, 24, 24, 32), stem_width=8, **CNN)),
        64,
    ),
    "swin": (lambda: Swin(SwinConfig("attention", window=4, **SWIN)), 72),
    "scsc_swin": (lambda: Swin(SwinConfig("scsc", **SWIN)), 72),
}


def trained(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network in eval mode, its norms with numbers as if it had been trained."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            for values, low, high in (
                (module.weight, 0.5, 1.5),
                (module.bias, -0.5, 0.5),
                (module.running_mean, -0.5, 0.5),
                (module.running_var, 0.5, 2.0),
            ):
                nn.init.uniform_(values, low, high, generator=generator)
    return network.eval()


def host(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A trained small network and three inputs for it."""
    torch.manual_seed(0)
    make, side = HOSTS[name]
    return trained(make()), torch.randn(3, 3, side, side)
