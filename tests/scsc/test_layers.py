import pytest
import torch
from torch import nn

from scsc.layers import (
    ConvBNAct,
    PointwiseConv2d,
    SqueezeExcite,
    channel_shuffle,
    shuffle_order,
    still_norms,
)
from tests.scsc.networks import HOSTS, host


def test_the_shuffle_reads_every_mth_channel():
    assert shuffle_order(6, 2).tolist() == [0, 2, 4, 1, 3, 5]
    assert shuffle_order(6, 3).tolist() == [0, 3, 1, 4, 2, 5]


def test_the_shuffle_moves_whole_channels():
    x = torch.arange(6.0).view(1, 6, 1, 1).expand(2, 6, 2, 2)
    assert channel_shuffle(x, 2)[0, :, 1, 1].tolist() == [0, 2, 4, 1, 3, 5]


def test_a_convolution_keeps_the_size_at_stride_1_and_rounds_up_at_2():
    x = torch.randn(2, 3, 7, 9)
    assert ConvBNAct(3, 5, 5)(x).shape == (2, 5, 7, 9)
    assert ConvBNAct(3, 5, 3, 2)(x).shape == (2, 5, 4, 5)
    assert ConvBNAct(3, 5, act_layer=nn.ReLU)(x).min() == 0


@pytest.mark.parametrize(("stride", "size"), [(1, 6), (2, 6), (2, 7)])
def test_a_pointwise_convolution_learns_by_what_it_infers(stride, size):
    torch.manual_seed(0)
    conv = PointwiseConv2d(4, 8, stride)
    x = torch.randn(3, 4, size, size).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        inferred = conv.eval()(x)
    learned = conv.train()(x)
    assert torch.allclose(learned, inferred, atol=1e-6)
    learned.square().sum().backward()
    # (8, N * pixels) @ (N * pixels, 4), the gradient of a sum of squares
    pixels = x[:, :, ::stride, ::stride].permute(1, 0, 2, 3).reshape(4, -1)
    expected = 2 * inferred.permute(1, 0, 2, 3).reshape(8, -1) @ pixels.T
    assert torch.allclose(conv.weight.grad[:, :, 0, 0], expected, rtol=1e-4, atol=1e-4)


def test_the_gate_is_one_number_between_0_and_1_per_channel():
    x = torch.rand(2, 8, 3, 3) + 1
    ratio = SqueezeExcite(8)(x) / x
    assert 0 < ratio.min() < ratio.max() < 1
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(ratio))


def test_the_gate_is_never_narrower_than_32():
    assert SqueezeExcite(64).fc1.out_channels == 32
    assert SqueezeExcite(1024).fc1.out_channels == 64


# Swin drops paths while it learns.
@pytest.mark.parametrize("name", [name for name in HOSTS if "swin" not in name])
def test_with_still_norms_a_network_learns_by_the_numbers_of_inference(name):
    network, x = host(name)
    network, x = network.double(), x.double()
    statistics = {key: value.clone() for key, value in network.named_buffers()}

    def outcome() -> dict[str, torch.Tensor]:
        network.zero_grad()
        y = network(x)
        (y * torch.sin(torch.arange(y.numel(), dtype=y.dtype)).view_as(y)).sum().backward()
        return {"y": y.detach()} | {key: p.grad.clone() for key, p in network.named_parameters()}

    expected = outcome()  # in eval mode: every norm is an operation of its own
    network.train()
    still_norms(network)
    for key, value in outcome().items():
        torch.testing.assert_close(value, expected[key], msg=lambda text, key=key: f"{key}: {text}")
    for key, value in network.named_buffers():
        assert torch.equal(value, statistics[key]), key


def test_still_norms_move_again_when_the_network_trains_anew():
    block = ConvBNAct(3, 5, 3)
    still_norms(block)
    block(torch.randn(2, 3, 4, 4))
    assert block.bn.num_batches_tracked == 0
    block.train()(torch.randn(2, 3, 4, 4))
    assert block.bn.num_batches_tracked == 1
