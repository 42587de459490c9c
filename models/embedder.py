"""The embedders by name, and how a checkpoint becomes a network again.

A released checkpoint is a `torch.save` file of {"config": fields of FaceResNetConfig, "model":
state dict}; nothing in it is executed on loading.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from scsc.faceresnet import FaceResNet, FaceResNetConfig

_SHAPE: dict[str, Any] = {
    "widths": (48, 96, 192, 384),
    "depths": (1, 3, 8, 2),
    "kernel_sizes": ((3, 5), (3, 5, 7), (3, 5, 7), (3, 5)),
}

# The twins: same depths, widths, stem and head, so that what differs is the block. The branches of
# the first are as wide as the time budget of docs/training.md allows, those of the narrow form what
# the SCSC paper has them.
CONFIGS: dict[str, FaceResNetConfig] = {
    "scsc_faceresnet": FaceResNetConfig(block="scsc", branch_widths=(32, 56, 112, 384), **_SHAPE),
    "scsc_narrow_faceresnet": FaceResNetConfig(block="scsc", **_SHAPE),
    "scsc_wide_faceresnet": FaceResNetConfig(
        block="scsc", branch_widths=(48, 96, 192, 384), **_SHAPE
    ),
    "faceresnet": FaceResNetConfig(block="plain", **_SHAPE),
}

# Other mixers in the SCSC module's place, by these widths per stage at the narrow form's FLOPs
# (within 1 %).
_MIXER_WIDTHS: dict[str, tuple[int, ...]] = {
    "depthwise": (16, 40, 72, 160),
    "replknet": (8, 8, 16, 64),
    "slak": (8, 16, 32, 72),
    "inceptionnext": (24, 40, 72, 152),
    "psconv": (8, 24, 40, 72),
    "shiftwise": (8, 24, 32, 96),
    "lsnet": (16, 32, 56, 104),
    "hornet": (8, 24, 40, 96),
    "odconv": (8, 24, 40, 72),
    "xsepconv": (8, 40, 72, 144),
    "dcls": (8, 24, 40, 64),
    "tvconv": (16, 40, 72, 160),
}
NEIGHBOURS: dict[str, FaceResNetConfig] = {
    f"{name}_faceresnet": FaceResNetConfig(block=name, mixer_widths=widths, **_SHAPE)
    for name, widths in _MIXER_WIDTHS.items()
}


def config(name: str) -> FaceResNetConfig:
    """The configuration of a named embedder. Raises LookupError that lists the names."""
    known = {**CONFIGS, **NEIGHBOURS}
    if name not in known:
        raise LookupError(f"no embedder is called {name!r}; known: {', '.join(known)}")
    return known[name]


def save(network: FaceResNet, path: Path) -> None:
    """Write a released checkpoint."""
    torch.save({"config": asdict(network.config), "model": network.state_dict()}, path)


def load(path: Path) -> FaceResNet:
    """Read a released checkpoint: the network in eval mode, on the CPU.

    Raises ValueError when the file is not one.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        network = FaceResNet(FaceResNetConfig(**content["config"]))
        network.load_state_dict(content["model"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path.name} is not a FaceResNet checkpoint") from error
    return network.eval()
