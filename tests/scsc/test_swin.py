import pytest
import torch

from scsc import Swin, SwinConfig, cost, scsc_swin_t, swin_t
from scsc.swin import DropPath, LayerNorm, PatchMerge
from tests.scsc.networks import HOSTS, SWIN, host

NAMES = ["swin", "scsc_swin"]


@pytest.mark.parametrize(
    ("make", "params", "flops"),
    [
        (swin_t, 28_288_354, 4_490_566_656),  # published: 28.29 M, 4.5 G
        (scsc_swin_t, 21_943_176, 3_303_408_128),  # published: 21.943 M
    ],
)
def test_parameters_are_the_published_ones(make, params: int, flops: int):
    with torch.device("meta"):  # shapes without numbers: nothing is computed
        network, x = make(), torch.zeros(1, 3, 224, 224)
        assert (cost.parameters(network), cost.flops(network, x)) == (params, flops)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("height", "width"), [(64, 64), (75, 98), (33, 40)])
def test_any_size_gives_logits_and_a_pyramid(name: str, height: int, width: int):
    network, _ = host(name)
    x = torch.randn(2, 3, height, width)
    with torch.no_grad():
        assert network(x).shape == (2, 5)
        maps = network.forward_features(x)
    assert [tuple(m.shape[2:]) for m in maps] == [
        (-(-height // stride), -(-width // stride)) for stride in (4, 8, 16, 32)
    ]
    assert [m.shape[1] for m in maps] == [24, 48, 96, 192]


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name: str):
    network = HOSTS[name][0]().train()
    network(torch.randn(4, 3, 72, 72)).square().sum().backward()
    missing = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert missing == []


def test_merging_puts_four_neighbours_side_by_side():
    merge = PatchMerge(1)
    merge.norm = torch.nn.Identity()
    merge.conv = torch.nn.Identity()
    x = torch.arange(9.0).view(1, 1, 3, 3)
    assert merge(x)[0, :, 0, 0].tolist() == [0, 3, 1, 4]
    assert merge(x)[0, :, 1, 1].tolist() == [8, 0, 0, 0]  # filled with zeros to a whole cell


def test_the_norm_is_over_channels():
    x = LayerNorm(16)(torch.randn(2, 16, 3, 5) * 4 + 1)
    torch.testing.assert_close(x.mean(1), torch.zeros(2, 3, 5), atol=1e-5, rtol=0)


def test_drop_path_leaves_whole_pictures_out_and_keeps_the_mean():
    torch.manual_seed(0)
    x = DropPath(0.25)(torch.ones(4000, 2, 1, 1))
    assert set(x.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert abs(x.mean() - 1) < 0.05
    assert torch.equal(DropPath(0.25).eval()(x), x)


def test_an_unknown_mixer_is_named():
    with pytest.raises(ValueError, match="unknown mixer 'x'"):
        Swin(SwinConfig("x", **SWIN))
