import torch
from torch import nn

from models.optim import Muon, make_optimizers, orthogonalize


def test_an_orthogonalised_matrix_has_singular_values_near_one():
    generator = torch.Generator().manual_seed(0)
    for shape in ((8, 8), (16, 5), (5, 16)):
        values = torch.linalg.svdvals(orthogonalize(torch.randn(shape, generator=generator)))
        assert values.min() > 0.3
        assert values.max() < 1.3


def test_muon_finds_a_matrix():
    torch.manual_seed(0)
    target, weight = torch.randn(6, 4), nn.Parameter(torch.zeros(6, 4))
    optimizer = Muon([weight], lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        (weight - target).square().sum().backward()
        optimizer.step()
    assert (weight - target).abs().max() < 0.1


def test_each_parameter_is_in_one_group_and_only_matrices_go_to_muon():
    network = nn.Sequential(
        nn.Conv2d(8, 4, 1, bias=False), nn.Conv2d(4, 4, 3, groups=4), nn.BatchNorm2d(4)
    )
    muon, adamw = make_optimizers(network, lr=1e-3, matrix_lr=0.02, weight_decay=0.1)
    assert [p.shape for g in muon.param_groups for p in g["params"]] == [(4, 8, 1, 1)]
    grouped = [p for o in (muon, adamw) for g in o.param_groups for p in g["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in network.parameters()}
    assert len(grouped) == len(list(network.parameters()))
    decay = {p.ndim: g["weight_decay"] for g in adamw.param_groups for p in g["params"]}
    assert decay == {4: 0.1, 1: 0.0}


def test_without_a_rate_for_matrices_adamw_takes_them_all():
    optimizers = make_optimizers(nn.Conv2d(8, 4, 1), lr=1e-3, matrix_lr=0, weight_decay=0)
    assert [type(optimizer) for optimizer in optimizers] == [torch.optim.AdamW]
