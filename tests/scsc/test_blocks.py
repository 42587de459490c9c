import pytest
import torch
from torch import nn

from scsc import SCSC, fuse
from scsc.blocks import candidates, in_blocks, places
from tests.scsc.networks import HOSTS, host, trained


@pytest.mark.parametrize("name", HOSTS)
def test_gives_the_same_outputs(name: str):
    network, x = host(name)
    with torch.no_grad():
        torch.testing.assert_close(in_blocks(fuse(network))(x), network(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kernel_sizes", [(3,), (3, 5), (3, 5, 7)])
@pytest.mark.parametrize(("width", "groups"), [(4, 2), (12, 2), (32, 4), (24, 4), (56, 4), (48, 1)])
@pytest.mark.parametrize("last_act_layer", [nn.Identity, nn.GELU])
def test_a_module_alone_gives_the_same(
    kernel_sizes: tuple[int, ...], width: int, groups: int, last_act_layer
):
    torch.manual_seed(0)
    more = {"width": width, "last_act_layer": last_act_layer}
    module = trained(SCSC(10, 14, kernel_sizes, groups, 2, **more))
    blocked, x = in_blocks(fuse(module)), torch.randn(2, 10, 9, 6)
    with torch.no_grad():
        torch.testing.assert_close(blocked(x), module(x), atol=1e-5, rtol=1e-5)
    assert not any(parameter.requires_grad for parameter in blocked.parameters())


def test_the_fused_network_stays_as_it_was():
    network, x = host("scsc_faceresnet")
    fused = fuse(network)
    with torch.no_grad():
        before = fused(x)
        in_blocks(fused)
        assert torch.equal(fused(x), before)


@pytest.mark.parametrize(
    ("width", "m", "groups", "size", "block"),
    [
        (32, 2, 4, 32, 16),
        (56, 3, 4, 64, 16),  # 14 channels of each group and two of zeros
        (112, 3, 4, 112, 16),
        (24, 3, 4, 24, 8),  # zeros up to 16 in each group would be 64
        (12, 3, 4, 12, 12),
        (4, 2, 2, 4, 4),
    ],
)
def test_no_sum_crosses_a_block(width: int, m: int, groups: int, size: int, block: int):
    at = places(width, m, groups)
    assert (at.size, at.block) == (size, block)
    assert len(at.reduced.unique()) == width
    assert at.reduced.max() < size
    blocks = candidates(at, m) // (m * block)
    assert (blocks == blocks[:, :1]).all()
    assert blocks[:, 0].bincount().max() <= block


def test_what_is_exported_has_no_step_that_leaves_the_blocks():
    module = trained(SCSC(48, 48, (3, 5, 7), 4, width=56, last_act_layer=nn.Identity))
    example = (torch.randn(2, 48, 14, 14),)
    pictures = ({0: torch.export.Dim("pictures", min=1, max=64)},)
    program = torch.export.export(in_blocks(fuse(module)), example, dynamic_shapes=pictures)
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    within = ("conv2d", "relu", "gelu", "sigmoid", "cat", "mul", "avg_pool2d", "upsample_nearest2d")
    assert not [name for name in called if not any(f".{step}." in name for step in within)]
