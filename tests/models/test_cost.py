import torch
from torch import nn

from models.cost import costs, count, table


def test_parameters_and_flops_of_a_case_done_by_hand():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False),  # 216 weights at 4x4 places
        nn.Conv2d(8, 8, 3, 1, 1, groups=8),  # 72 weights and 8 biases at 4x4 places
        nn.Flatten(),
        nn.Linear(128, 10),
    )
    params, flops = count(network, torch.zeros(1, 3, 8, 8))
    assert params == 216 + 80 + 1290
    assert flops == 16 * 216 + 16 * 72 + 1280


def test_the_scsc_form_costs_what_it_promises_beside_its_plain_twin():
    rows = {row.name: row for row in costs()}
    scsc, plain = rows["scsc_faceresnet"], rows["faceresnet"]
    assert scsc.flops <= 0.32 * plain.flops
    assert scsc.params <= 0.21 * plain.params
    assert "| scsc_faceresnet |" in table(list(rows.values()))
