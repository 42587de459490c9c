import pytest
import torch
from torch import nn

from models.cost import costs, count, count_onnx, table
from models.export import export
from scsc.faceresnet import FaceResNet, FaceResNetConfig
from tests.photographs import shared_model


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


def test_an_onnx_file_costs_what_its_network_costs(tmp_path):
    config = FaceResNetConfig(widths=(8, 8, 16, 16), depths=(1, 1, 1, 1), block="plain")
    network = FaceResNet(config)
    params, flops = count(network, torch.zeros(1, 3, 112, 112))
    export(network, tmp_path / "net.onnx")
    cost = count_onnx(tmp_path / "net.onnx")
    pooling = 16 * 7 * 7  # a product and a sum in the file, not a layer
    assert cost.name == "net"
    assert cost.flops == flops - pooling
    assert cost.params <= params  # norms are folded


@pytest.mark.shared
def test_a_peer_is_counted_from_its_file():
    cost = count_onnx(shared_model("mobilefacenet.onnx"))
    assert cost.params == pytest.approx(0.99e6, rel=0.02)
    assert cost.flops == pytest.approx(0.22e9, rel=0.02)
