"""Spatial mixers of the literature behind one signature, to compare SCSC with.

    from scsc.mixers import MIXERS, mixer
    layer = mixer("replknet", 64, side=28)    # (N, 64, 28, 28) -> the same shape

Each maps (N, chs, H, W) to (N, chs, H / stride, W / stride) and follows its paper's equations; what
was left out or changed stands at the top of its file. None ends with a norm or an activation
unless the paper's operator does.
"""

from collections.abc import Callable

from torch import nn

from scsc.depthwise import DepthwiseConv2d
from scsc.mixers.dcls import DCLS
from scsc.mixers.large_kernel import InceptionNeXt, RepLK, SLaK, XSepConv
from scsc.mixers.large_small import LSConv
from scsc.mixers.odconv import ODConv
from scsc.mixers.psconv import PSConv
from scsc.mixers.recursive_gate import GnConv
from scsc.mixers.shiftwise import ShiftwiseConv
from scsc.mixers.tvconv import TVConv

__all__ = ["MIXERS", "mixer"]

# Name -> maker of (chs, side of the input map, stride, number of the block in its stage).
MIXERS: dict[str, Callable[[int, int, int, int], nn.Module]] = {
    "depthwise": lambda chs, side, stride, place: DepthwiseConv2d(chs, 3, stride),
    "replknet": lambda chs, side, stride, place: RepLK(chs, _widest(31, side), stride),
    "slak": lambda chs, side, stride, place: SLaK(chs, _widest(51, side), stride),
    "inceptionnext": lambda chs, side, stride, place: InceptionNeXt(chs, stride=stride),
    "psconv": lambda chs, side, stride, place: PSConv(chs, stride=stride),
    "shiftwise": lambda chs, side, stride, place: ShiftwiseConv(chs, _widest(51, side), stride),
    "lsnet": lambda chs, side, stride, place: LSConv(chs, stride),
    "hornet": lambda chs, side, stride, place: GnConv(chs, stride=stride),
    "odconv": lambda chs, side, stride, place: ODConv(chs, stride=stride),
    "xsepconv": lambda chs, side, stride, place: XSepConv(chs, stride=stride, corner=place % 4),
    "dcls": lambda chs, side, stride, place: DCLS(chs, _widest(17, side), stride=stride),
    "tvconv": lambda chs, side, stride, place: TVConv(chs, side, stride),
}


def mixer(name: str, chs: int, side: int, stride: int = 1, place: int = 0) -> nn.Module:
    """A mixer by name, with its paper's settings, for a map of `side` pixels.

    `place` is the number of the block in its stage. Raises ValueError for an unknown name and for
    channels that the mixer cannot split.
    """
    if name not in MIXERS:
        raise ValueError(f"unknown mixer {name!r}; known: {', '.join(MIXERS)}")
    return MIXERS[name](chs, side, stride, place)


def _widest(kernel_size: int, side: int) -> int:
    """The kernel, no wider than reaches from one edge of the map to the other."""
    return min(kernel_size, 2 * side - 1)
