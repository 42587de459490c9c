import pytest
import torch
import torch.nn.functional as F

from scsc import depthwise
from scsc.depthwise import DepthwiseConv2d

SIZES = [(9, 9), (7, 12), (14, 5), (1, 3)]


def gradients(conv: DepthwiseConv2d, x: torch.Tensor, ours: bool) -> tuple[torch.Tensor, ...]:
    """Output, gradient by input and gradient by weight; by our backward or PyTorch's."""
    x = x.clone().requires_grad_()
    stride, padding = conv.stride, conv.padding
    y = (
        conv(x)
        if ours
        else F.conv2d(x, conv.weight, None, stride, padding, groups=len(conv.weight))
    )
    weights = torch.sin(torch.arange(y.numel(), dtype=y.dtype)).view_as(y)
    return y, *torch.autograd.grad((y * weights).sum(), (x, conv.weight))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [3, 5, 7, 9, 11, 13])
def test_gradients_are_those_of_pytorch(kernel_size: int, stride: int, size: tuple[int, int]):
    torch.manual_seed(0)
    conv = DepthwiseConv2d(4, kernel_size, stride).double()
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    for mine, theirs in zip(gradients(conv, x, True), gradients(conv, x, False), strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("images", [1, 2, 5])
def test_a_batch_taken_in_parts_gives_the_same_gradients(monkeypatch, images: int, stride: int):
    torch.manual_seed(0)
    conv = DepthwiseConv2d(4, 5, stride).double()
    x = torch.randn(5, 4, 9, 8, dtype=torch.float64)
    monkeypatch.setattr(depthwise, "_CACHED", images * x[0].numel() * 8)
    for mine, theirs in zip(gradients(conv, x, True), gradients(conv, x, False), strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_pass_a_numeric_check(stride: int):
    conv = DepthwiseConv2d(2, 5, stride).double()
    x = torch.randn(1, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(conv, (x,))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own, about its insides
@pytest.mark.parametrize(("kernel_size", "stride"), [(5, 1), (7, 2)])
def test_gradients_hold_when_compiled(kernel_size: int, stride: int):
    torch.manual_seed(0)
    conv = DepthwiseConv2d(4, kernel_size, stride)
    x = torch.randn(2, 4, 9, 8)
    compiled = torch.compile(conv, fullgraph=True)
    for mine, theirs in zip(gradients(compiled, x, True), gradients(conv, x, False), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


def test_autocast_computes_in_half_precision_and_keeps_the_weight_whole():
    conv = DepthwiseConv2d(4, 5)
    with torch.autocast("cpu", torch.bfloat16):
        y = conv(torch.randn(2, 4, 6, 6))
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    assert conv.weight.grad.dtype == torch.float32


@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 1), (3, 2), (5, 1), (7, 2)])
def test_scaled_is_the_convolution_with_a_scale_and_a_shift(kernel_size: int, stride: int):
    torch.manual_seed(0)
    conv = DepthwiseConv2d(4, kernel_size, stride).double()
    x, scale, shift = (
        torch.randn(size, dtype=torch.float64, requires_grad=True) for size in [(2, 4, 9, 8), 4, 4]
    )
    plain = conv(x) * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)
    learned = (x, conv.weight, scale, shift)
    expected = (plain, *torch.autograd.grad(plain.square().sum(), learned))
    y = conv.scaled(x, scale, shift)
    outcome = (y, *torch.autograd.grad(y.square().sum(), learned))
    for mine, theirs in zip(outcome, expected, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_without_gradients_it_is_the_plain_convolution():
    conv = DepthwiseConv2d(4, 7)
    x = torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        y = conv(x)
    assert not y.requires_grad
    torch.testing.assert_close(y, F.conv2d(x, conv.weight, padding=3, groups=4))
