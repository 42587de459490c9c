import pytest
import torch

from scsc import ResNet, ResNetConfig, cost, resnet50, resnet101, scsc_resnet50, scsc_resnet101
from tests.scsc.networks import CNN, HOSTS, host

NAMES = ["resnet", "scsc_resnet"]


@pytest.mark.parametrize(
    ("make", "params", "flops"),
    [
        (resnet50, 25_557_032, 4_089_184_256),  # the figures that every library reports
        (resnet101, 44_549_160, 7_801_405_440),
        (scsc_resnet50, 25_567_816, 4_557_136_256),  # published: 25.568 M, 4.557 G
        (scsc_resnet101, 37_283_080, 6_342_902_144),  # published: 37.283 M, 6.343 G
    ],
)
def test_parameters_and_flops_are_the_published_ones(make, params: int, flops: int):
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
    assert tuple(m.shape[1] for m in maps) == network.config.widths


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name: str):
    network = HOSTS[name][0]()
    network(torch.randn(4, 3, 64, 64)).square().sum().backward()
    missing = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert missing == []


def test_the_head_follows_the_number_of_classes():
    assert scsc_resnet50(num_classes=7).head.out_features == 7


def test_an_unknown_block_is_named():
    with pytest.raises(ValueError, match="unknown block 'x'"):
        ResNet(ResNetConfig("x", widths=(8, 8, 8, 8), stem_width=8, **CNN))
