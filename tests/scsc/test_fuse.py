from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from scsc import SCSC, fuse
from tests.scsc.networks import HOSTS, host, trained


def norms(network: nn.Module) -> list[str]:
    return [name for name, part in network.named_modules() if isinstance(part, _BatchNorm)]


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_gives_the_same_outputs(name: str, layout: torch.memory_format):
    network, x = host(name)
    x = x.contiguous(memory_format=layout)
    with torch.no_grad():
        torch.testing.assert_close(fuse(network)(x), network(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kernel_sizes", [(3,), (3, 5), (3, 5, 7)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("width", [4, 12])
def test_a_module_alone_gives_the_same(kernel_sizes: tuple[int, ...], stride: int, width: int):
    torch.manual_seed(0)
    module = trained(SCSC(10, 14, kernel_sizes, 2, stride, width=width))
    x = torch.randn(2, 10, 9, 6)
    with torch.no_grad():
        torch.testing.assert_close(fuse(module)(x), module(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", HOSTS)
def test_no_norm_is_left_but_those_before_a_padded_convolution(name: str):
    left = norms(fuse(host(name)[0]))
    if name == "faceresnet":
        assert all(part.endswith(".body.0") for part in left)
        assert len(left) == 5  # one per block
    else:
        assert left == []


def test_the_network_itself_stays_as_it_was():
    network, _ = host("scsc_faceresnet")
    network.train()
    before = {name: values.clone() for name, values in network.state_dict().items()}
    fused = fuse(network)
    assert network.training
    assert not fused.training
    assert not any(p.requires_grad for p in fused.parameters())
    assert all(torch.equal(values, before[name]) for name, values in network.state_dict().items())


def test_a_norm_before_a_layer_is_folded_where_no_padding_lies_between():
    torch.manual_seed(0)
    before = trained(nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3)))
    padded = trained(nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, padding=1)))
    linear = trained(nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 6), nn.BatchNorm1d(6)))
    maps, rows = torch.randn(3, 4, 5, 5), torch.randn(3, 4)
    for network, x, left in ((before, maps, []), (padded, maps, ["0"]), (linear, rows, [])):
        with torch.no_grad():
            torch.testing.assert_close(fuse(network)(x), network(x), atol=1e-5, rtol=1e-5)
        assert norms(fuse(network)) == left


def test_a_norm_without_statistics_is_refused():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False))
    with pytest.raises(ValueError, match="without running statistics"):
        fuse(network)


def test_a_fused_faceresnet_refuses_another_size():
    fused = fuse(host("scsc_faceresnet")[0])
    with pytest.raises(ValueError, match="crops of one size"):
        fused(torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize("form", [lambda network: network, fuse], ids=["trained", "fused"])
def test_torch_export_takes_any_number_of_pictures(name: str, form):
    network, x = host(name)
    network = form(network)
    pictures = torch.export.Dim("pictures", min=1, max=64)
    program = torch.export.export(network, (x,), dynamic_shapes=({0: pictures},))
    with torch.no_grad():
        torch.testing.assert_close(program.module()(x[:1]), network(x[:1]), atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the exporter's own, about its insides
@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize("form", [lambda network: network, fuse], ids=["trained", "fused"])
def test_onnx_runtime_gives_the_same(name: str, form, tmp_path: Path):
    onnxruntime = pytest.importorskip("onnxruntime")
    network, x = host(name)
    path = tmp_path / "network.onnx"
    pictures = torch.export.Dim("pictures", min=1, max=64)
    torch.onnx.export(
        form(network), (x,), path, dynamic_shapes=({0: pictures},), dynamo=True, verbose=False
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = network(x).numpy()
    for count in (1, 3):
        output = session.run(None, {session.get_inputs()[0].name: x[:count].numpy()})[0]
        assert np.abs(output - expected[:count]).max() < 1e-4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own, about its insides
@pytest.mark.parametrize("name", HOSTS)
def test_torch_compile_gives_the_same(name: str):
    network, x = host(name)
    compiled = torch.compile(network, fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), network(x), atol=1e-4, rtol=1e-4)
    torch._dynamo.reset()
