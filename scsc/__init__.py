"""Spatial Cross-Scale Convolution (SCSC, arXiv 2308.07110) and the networks that carry it.

Needs PyTorch and NumPy, nothing else. Origin and licence: PROVENANCE.md.
"""

from scsc.blocks import in_blocks
from scsc.convert import Conversion, convert
from scsc.faceresnet import FaceResNet, FaceResNetConfig
from scsc.fuse import fuse
from scsc.grow import grow
from scsc.module import SCSC, from_reference
from scsc.resnet import (
    ResNet,
    ResNetConfig,
    resnet50,
    resnet101,
    scsc_resnet50,
    scsc_resnet101,
)
from scsc.swin import Swin, SwinConfig, scsc_swin_t, swin_t

__all__ = [
    "SCSC",
    "from_reference",
    "fuse",
    "in_blocks",
    "grow",
    "convert",
    "Conversion",
    "FaceResNet",
    "FaceResNetConfig",
    "ResNet",
    "ResNetConfig",
    "resnet50",
    "resnet101",
    "scsc_resnet50",
    "scsc_resnet101",
    "Swin",
    "SwinConfig",
    "swin_t",
    "scsc_swin_t",
]
