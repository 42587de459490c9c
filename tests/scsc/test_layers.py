import torch
from torch import nn

from scsc.layers import ConvBNAct, SqueezeExcite, channel_shuffle, shuffle_order


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


def test_the_gate_is_one_number_between_0_and_1_per_channel():
    x = torch.rand(2, 8, 3, 3) + 1
    ratio = SqueezeExcite(8)(x) / x
    assert 0 < ratio.min() < ratio.max() < 1
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(ratio))


def test_the_gate_is_never_narrower_than_32():
    assert SqueezeExcite(64).fc1.out_channels == 32
    assert SqueezeExcite(1024).fc1.out_channels == 64
