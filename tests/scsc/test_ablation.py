import pytest
import torch
from torch import nn

from scsc import SCSC, cost
from scsc.ablation import ABLATIONS, ablate, add_gate, add_position
from tests.scsc.networks import HOSTS, host, trained

M, WIDTH, GROUPS = 3, 8, 2


@pytest.fixture
def parts() -> dict[str, torch.Tensor]:
    """The inner tensors of a module in its own order of steps, and the module."""
    torch.manual_seed(0)
    module = trained(SCSC(24, 16, (3, 5, 7), GROUPS, width=WIDTH))
    x = torch.randn(2, 24, 6, 6)
    with torch.no_grad():
        reduced = module.reduce(x)
        u = torch.cat([branch(reduced) for branch in module.branches], 1)
        a = module.branch_act(module.branch_norm(u))
        weights = torch.sigmoid(module.routing(reduced))
    return {"module": module, "x": x, "a": a, "weights": weights}


def mixed(a: torch.Tensor, weights: torch.Tensor, candidate) -> torch.Tensor:
    """Sum over j of the weight of block j times the channel of `a` that `candidate` names."""
    y = torch.zeros_like(a[:, :WIDTH])
    for q in range(WIDTH):
        for j in range(M):
            group = q // (WIDTH // GROUPS)
            y[:, q] += weights[:, j * GROUPS + group] * a[:, candidate(q, j)]
    return y


@torch.no_grad()
def test_without_routing_every_candidate_weighs_a_half(parts):
    module, x, a = parts["module"], parts["x"], parts["a"]
    half = torch.full_like(parts["weights"], 0.5)
    expected = module.gate(module.expand(mixed(a, half, lambda q, j: q * M + j)))
    torch.testing.assert_close(ablate(module, "routing")(x), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_without_shuffle_a_channel_adds_one_of_each_kernel_size(parts):
    module, x, a, weights = (parts[name] for name in ("module", "x", "a", "weights"))
    expected = module.gate(module.expand(mixed(a, weights, lambda q, j: j * WIDTH + q)))
    torch.testing.assert_close(ablate(module, "shuffle")(x), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_without_gate_the_expansion_is_the_output(parts):
    module, x, a, weights = (parts[name] for name in ("module", "x", "a", "weights"))
    expected = module.expand(mixed(a, weights, lambda q, j: q * M + j))
    torch.testing.assert_close(ablate(module, "gate")(x), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_map_of_places_is_added_to_the_routing(parts):
    module, x, a = parts["module"], parts["x"], parts["a"]
    before = module(x)
    add_position(module, side=6)  # the maps of x have 6 x 6 cells
    torch.testing.assert_close(module(x), before)
    places = torch.randn_like(module.routing.map)
    module.routing.map.copy_(places)
    weights = torch.sigmoid(torch.logit(parts["weights"]) + places)
    expected = module.gate(module.expand(mixed(a, weights, lambda q, j: q * M + j)))
    torch.testing.assert_close(module(x), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("side", [5, 8])
def test_places_are_learned_at_any_size_and_stride(side: int):
    module = add_position(trained(SCSC(24, 16, (3, 5), GROUPS, stride=2, width=WIDTH)))
    module.train()(torch.randn(2, 24, side, side)).square().sum().backward()
    assert module.routing.map.grad.abs().sum() > 0


@torch.no_grad()
def test_a_plain_network_is_gated_at_the_end_of_each_body():
    network, x = host("faceresnet")
    bodies = [block.body for stage in network.stages for block in stage]
    before = [list(body) for body in bodies]
    add_gate(trained(network))(x)
    for body, layers in zip(bodies, before, strict=True):
        assert list(body)[:-1] == layers
        y = torch.randn(2, body[-1].fc2.out_channels, 4, 4)
        gate = torch.sigmoid(body[-1].fc2(torch.relu(body[-1].fc1(y.mean((2, 3), keepdim=True)))))
        torch.testing.assert_close(body[-1](y), y * gate)


@pytest.mark.parametrize("idea", ABLATIONS)
@pytest.mark.parametrize("name", [name for name in HOSTS if name.startswith("scsc_")])
def test_every_host_learns_without_it(name: str, idea: str):
    network, x = host(name)
    before = cost.parameters(network)
    ablate(network, idea).train()(x).square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    assert cost.parameters(network) < before or idea == "shuffle"


def test_what_cannot_be_taken_away_is_named():
    with pytest.raises(ValueError, match="known: routing, shuffle, gate"):
        ablate(host("scsc_swin")[0], "norm")
    with pytest.raises(ValueError, match="no SCSC module"):
        ablate(nn.Conv2d(3, 3, 1), "gate")
    with pytest.raises(ValueError, match="no SCSC module"):
        add_position(nn.Conv2d(3, 3, 1))
    with pytest.raises(ValueError, match="not a plain FaceResNet"):
        add_gate(host("scsc_faceresnet")[0])
