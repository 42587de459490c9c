"""Every mixer against its paper's equations, evaluated pixel by pixel."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from models import embedder
from scsc import FaceResNet, FaceResNetConfig, cost, fuse
from scsc.mixers import MIXERS, mixer
from scsc.mixers.dcls import DCLS
from scsc.mixers.large_kernel import InceptionNeXt, RepLK, SLaK, XSepConv
from scsc.mixers.large_small import LSConv
from scsc.mixers.neighbours import weighted_neighbours
from scsc.mixers.odconv import ODConv
from scsc.mixers.psconv import PSConv
from scsc.mixers.recursive_gate import GnConv
from scsc.mixers.shiftwise import ShiftwiseConv
from scsc.mixers.tvconv import TVConv
from tests.scsc.networks import trained

CHS, HEIGHT, WIDTH = 16, 7, 6
Array = np.ndarray


def case(module: nn.Module) -> tuple[nn.Module, torch.Tensor, Array]:
    """The module as if trained, two inputs for it, and what it gives, all in float64."""
    generator = torch.Generator().manual_seed(0)
    module = trained(module).double()
    for p in module.parameters():
        p.data.add_(torch.randn(p.shape, generator=generator, dtype=p.dtype), alpha=0.3)
    x = torch.randn(2, CHS, HEIGHT, WIDTH, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        return module, x, module(x).numpy()


def pixels(height: int = HEIGHT, width: int = WIDTH) -> Iterator[tuple[int, int]]:
    return itertools.product(range(height), range(width))


def correlate(x: Array, kernel: Array, dilation: int = 1) -> Array:
    """One map (H, W) and one odd kernel, zeros outside: sum of k[a, b] * x[i + a, j + b]."""
    y = np.zeros_like(x)
    up, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    for i, j in pixels(*x.shape):
        for a, b in pixels(*kernel.shape):
            row, col = i + (a - up) * dilation, j + (b - left) * dilation
            if 0 <= row < x.shape[0] and 0 <= col < x.shape[1]:
                y[i, j] += kernel[a, b] * x[row, col]
    return y


def depthwise(x: Array, weight: torch.Tensor) -> Array:
    kernels = weight.detach().numpy()[:, 0]
    return np.stack([[correlate(x[n, c], kernels[c]) for c in range(x.shape[1])] for n in (0, 1)])


def linear(x: Array, layer: nn.Module) -> Array:
    """A 1x1 convolution as a matrix product over the channels."""
    weight = layer.weight.detach().numpy()
    y = np.einsum("oi,nihw->nohw", weight.reshape(weight.shape[:2]), x)
    return y if layer.bias is None else y + layer.bias.detach().numpy()[:, None, None]


def normed(x: Array, norm: nn.Module) -> Array:
    scale, shift, mean, var = (
        t.detach().numpy()[:, None, None]
        for t in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    return (x - mean) / np.sqrt(var + norm.eps) * scale + shift


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def test_replknet_adds_a_small_kernel_to_a_large_one():
    module, x, y = case(RepLK(CHS, 9))
    large = normed(depthwise(x.numpy(), module.large[0].weight), module.large[1])
    small = normed(depthwise(x.numpy(), module.small[0].weight), module.small[1])
    assert module.large[0].weight.shape[2:] == (9, 9)
    np.testing.assert_allclose(y, large + small, atol=1e-9)


def test_slak_adds_two_strips_and_a_square():
    module, x, y = case(SLaK(CHS, 11))
    weights = [branch[0].weight for branch in module.branches]
    assert [tuple(w.shape[2:]) for w in weights] == [(11, 5), (5, 11), (5, 5)]
    parts = [normed(depthwise(x.numpy(), b[0].weight), b[1]) for b in module.branches]
    np.testing.assert_allclose(y, sum(parts), atol=1e-9)


def test_inceptionnext_mixes_three_eighths_and_lets_the_rest_pass():
    module, x, y = case(InceptionNeXt(CHS))
    weights = [branch.weight for branch in module.branches]
    assert [tuple(w.shape) for w in weights] == [(2, 1, 3, 3), (2, 1, 1, 11), (2, 1, 11, 1)]
    for i, weight in enumerate(weights):
        part = slice(2 * i, 2 * i + 2)
        np.testing.assert_allclose(y[:, part], depthwise(x.numpy()[:, part], weight), atol=1e-9)
    np.testing.assert_array_equal(y[:, 6:], x.numpy()[:, 6:])


@pytest.mark.parametrize("corner", range(4))
def test_xsepconv_is_a_two_by_two_kernel_and_two_strips(corner: int):
    module, x, y = case(XSepConv(CHS, 5, corner=corner))
    square, norm, _, row, row_norm, _, column = module.body
    kernels = square.weight.detach().numpy()[:, 0]
    up, left = -1 if corner in (0, 2) else 0, -1 if corner in (2, 3) else 0
    even = np.zeros(x.shape)
    for (i, j), a, b in itertools.product(pixels(), (0, 1), (0, 1)):
        r, c = i + a + up, j + b + left
        if 0 <= r < HEIGHT and 0 <= c < WIDTH:
            even[:, :, i, j] += kernels[:, a, b] * x.numpy()[:, :, r, c]
    assert (tuple(row.weight.shape[2:]), tuple(column.weight.shape[2:])) == ((1, 5), (5, 1))
    middle = np.maximum(
        normed(depthwise(np.maximum(normed(even, norm), 0), row.weight), row_norm), 0
    )
    np.testing.assert_allclose(y, depthwise(middle, column.weight), atol=1e-9)


def test_psconv_gives_each_pair_of_channels_its_dilation():
    module, x, y = case(PSConv(CHS))
    part, rates = CHS // 4, (1, 2, 1, 4)
    expected = np.zeros_like(y)
    for n, o, i in itertools.product((0, 1), range(CHS), range(CHS)):
        step = (i // part - o // part) % 4
        kernel = module.convs[step].weight[o, i % part].detach().numpy()
        expected[n, o] += correlate(x.numpy()[n, i], kernel, rates[step])
    np.testing.assert_allclose(y, expected, atol=1e-9)


def test_shiftwise_moves_small_kernels_to_the_places_of_a_large_one():
    module, x, y = case(ShiftwiseConv(CHS, 13, small=3, orders=2, ghosts=0.25))
    mixed, count, k = 12, 5, 3
    assert module.conv.weight.shape == (mixed * count, 1, k, k)
    kernels = module.conv.weight.detach().numpy().reshape(mixed, count, k, k)
    for n, c in itertools.product((0, 1), range(mixed)):
        maps = [correlate(x.numpy()[n, c], kernel) for kernel in kernels[c]]
        down, across, still = np.zeros((3, HEIGHT, WIDTH))
        for order, place in itertools.product(range(2), range(count)):
            offset = (place - count // 2) * k
            for i, j in pixels():
                if 0 <= i + offset < HEIGHT:
                    down[i, j] += maps[module.down[order, c, place]][i + offset, j]
                if 0 <= j + offset < WIDTH:
                    across[i, j] += maps[module.across[order, c, place]][i, j + offset]
        for order in range(2):
            still += maps[module.unmoved[order, c]]
        expected = x.numpy()[n, c].copy()
        for path, norm in zip((down, across, still), module.norms, strict=True):
            expected += normed(path[None].repeat(mixed, 0), norm)[c]
        np.testing.assert_allclose(y[n, c], expected, atol=1e-9)
    np.testing.assert_array_equal(y[:, mixed:], x.numpy()[:, mixed:])
    assert all(sorted(order.tolist()) == list(range(count)) for order in module.down[0])


def naive_neighbours(x: Array, weights: Array) -> Array:
    """x (N, C, H, W), weights (N, G, 9, H, W): channel c by kernel c mod G of the pixel."""
    y = np.zeros_like(x)
    for n, c, (i, j), (a, b) in itertools.product((0, 1), range(CHS), pixels(), pixels(3, 3)):
        row, col = i + a - 1, j + b - 1
        if 0 <= row < HEIGHT and 0 <= col < WIDTH:
            y[n, c, i, j] += weights[n, c % weights.shape[1], 3 * a + b, i, j] * x[n, c, row, col]
    return y


def test_lsnet_sees_large_and_gathers_small():
    module, x, y = case(LSConv(CHS))
    first, large, third, last, norm = module.perceive
    hidden = np.maximum(normed(linear(x.numpy(), first.conv), first.bn), 0)
    hidden = normed(depthwise(hidden, large.conv.weight), large.bn)
    hidden = np.maximum(normed(linear(hidden, third.conv), third.bn), 0)
    weights = linear(hidden, last).reshape(2, 2, 9, HEIGHT, WIDTH)
    mean, var = (f(weights, axis=(2, 3, 4), keepdims=True) for f in (np.mean, np.var))
    weights = (weights - mean) / np.sqrt(var + norm.eps)
    scale, shift = (t.detach().numpy().reshape(1, 2, 9, 1, 1) for t in (norm.weight, norm.bias))
    gathered = naive_neighbours(x.numpy(), weights * scale + shift)
    np.testing.assert_allclose(y, normed(gathered, module.norm) + x.numpy(), atol=1e-9)


def test_hornet_gates_one_order_after_the_other():
    module, x, y = case(GnConv(CHS))
    assert module.widths == [4, 8, 16]
    entered = linear(x.numpy(), module.enter)
    p, q = entered[:, :4], entered[:, 4:]
    f = depthwise(q, module.depthwise.weight)
    f = (f + module.depthwise.bias.detach().numpy()[:, None, None]) / 3
    p = p * f[:, :4]
    p = linear(p, module.widen[0]) * f[:, 4:12]
    p = linear(p, module.widen[1]) * f[:, 12:]
    np.testing.assert_allclose(y, linear(p, module.leave), atol=1e-9)


def test_odconv_scales_its_kernels_in_four_ways():
    module, x, y = case(ODConv(CHS, kernels=3))
    layer, norm, _ = module.squeeze
    for n in (0, 1):
        mean = x[n].mean((1, 2)).numpy()[None, :, None, None]
        hidden = np.maximum(normed(linear(mean, layer), norm), 0)
        scales = {
            name: linear(hidden, getattr(module, f"{name}_scale"))[0, :, 0, 0]
            for name in ("in", "out", "place", "kernel")
        }
        share = np.exp(scales["kernel"]) / np.exp(scales["kernel"]).sum()
        weight = sum(s * w.detach().numpy() for s, w in zip(share, module.weight, strict=True))
        weight = weight * sigmoid(scales["out"])[:, None, None]
        weight = weight * sigmoid(scales["in"])[None, :, None] * sigmoid(scales["place"])
        for o in range(CHS):
            kernels = weight[o].reshape(CHS, 3, 3)
            expected = sum(correlate(x[n, i].numpy(), kernels[i]) for i in range(CHS))
            np.testing.assert_allclose(y[n, o], expected, atol=1e-9)


def test_dcls_spreads_each_weight_over_four_cells():
    module, x, _ = case(DCLS(CHS, 7, count=5))
    module.requires_grad_(False)
    module.place.data[:, 0, :2] = torch.tensor([[9.0, -9.0], [3.0, -3.0]])  # beyond the edge
    kernel = np.zeros((CHS, 7, 7))
    for c, k in itertools.product(range(CHS), range(5)):
        row, col = (float(v) for v in module.place[:, c, k].clamp(-3, 3) + 3)
        i, j = int(row), int(col)
        for a, b in ((i, j), (i, j + 1), (i + 1, j), (i + 1, j + 1)):
            if a < 7 and b < 7:
                share = (1 - abs(row - a)) * (1 - abs(col - b))
                kernel[c, a, b] += float(module.weight[c, k]) * share
    np.testing.assert_allclose(module.kernel().detach().numpy()[:, 0], kernel, atol=1e-12)
    with torch.no_grad():
        y = module(x).numpy()
    np.testing.assert_allclose(
        y, depthwise(x.numpy(), torch.from_numpy(kernel[:, None])), atol=1e-9
    )


def test_tvconv_has_a_kernel_for_every_place():
    module, x, _ = case(TVConv(CHS, side=WIDTH))
    x = x[:, :, :WIDTH]
    with torch.no_grad():
        y = module(x).numpy()
        made = module.make(module.affinity).view(1, CHS, 9, WIDTH, WIDTH).numpy()
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    for i, j in pixels(WIDTH, WIDTH):
        window = padded[:, :, i : i + 3, j : j + 3].reshape(2, CHS, 9)
        np.testing.assert_allclose(y[:, :, i, j], (window * made[0, :, :, i, j]).sum(2), atol=1e-9)
    assert not np.allclose(made[..., 0, 0], made[..., 3, 3])


def test_weighted_neighbours_with_one_kernel_for_all_is_a_convolution():
    x, kernel = torch.randn(2, 6, 9, 7), torch.randn(3, 25)
    weights = kernel[None, :, :, None, None].expand(1, 3, 25, 5, 4)
    expected = nn.functional.conv2d(x, kernel.view(3, 1, 5, 5).repeat(2, 1, 1, 1), None, 2, 2, 1, 6)
    torch.testing.assert_close(weighted_neighbours(x, weights, 2), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", MIXERS)
def test_one_signature_for_all(name: str):
    torch.manual_seed(0)
    for stride, side in ((1, 9), (2, 9), (2, 8)):
        module = mixer(name, 16, 8, stride)
        y = module(torch.randn(2, 16, side, side))
        assert y.shape == (2, 16, -(-side // stride), -(-side // stride))
        y.square().sum().backward()
        missing = [n for n, p in module.named_parameters() if p.grad is None]
        assert missing == []


PER_MAP = {"lsnet", "odconv", "tvconv"}  # make their kernels for the map that they give


@pytest.mark.parametrize("name", [name for name in MIXERS if name not in PER_MAP])
def test_a_strided_mixer_gives_every_second_pixel(name: str):
    torch.manual_seed(0)
    whole, strided = (trained(mixer(name, 16, 8, stride)) for stride in (1, 2))
    strided.load_state_dict(whole.state_dict())
    x = torch.randn(2, 16, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(strided(x), whole(x)[:, :, ::2, ::2], atol=1e-5, rtol=1e-5)


def test_an_unknown_mixer_lists_the_known():
    with pytest.raises(ValueError, match="known: depthwise, replknet"):
        mixer("attention", 16, 8)


@pytest.mark.parametrize(("name", "chs"), [("psconv", 6), ("lsnet", 12), ("hornet", 6)])
def test_channels_that_do_not_split_are_refused(name: str, chs: int):
    with pytest.raises(ValueError, match=f"{chs} channels"):
        mixer(name, chs, 8)


@pytest.mark.parametrize("name", MIXERS)
def test_a_faceresnet_carries_any_mixer_and_fuses(name: str):
    torch.manual_seed(0)
    shape = {"widths": (8, 16, 16, 24), "depths": (1, 2, 1, 1), "dim": 8}
    network = FaceResNet(FaceResNetConfig(name, mixer_widths=(8, 8, 16, 16), **shape))
    network = trained(network)
    x = torch.randn(2, 3, 112, 112)
    with torch.no_grad():
        torch.testing.assert_close(fuse(network)(x), network(x), atol=1e-4, rtol=1e-4)
        assert network(x[:, :, ::2, ::2]).shape == (2, 8)  # trained on smaller crops first


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in MIXERS if name != "tvconv"]


@pytest.mark.parametrize("name", ["tvconv", *SLOW])
def test_every_neighbour_costs_what_scsc_costs(name: str):
    with torch.device("meta"):
        x = torch.zeros(1, 3, 112, 112)
        ours = FaceResNet(embedder.config("scsc_narrow_faceresnet"))
        other = FaceResNet(embedder.config(f"{name}_faceresnet"))
        assert cost.flops(other, x) == pytest.approx(cost.flops(ours, x), rel=0.01)
