import sys
from pathlib import Path

import pytest
import torch

from scsc import ResNet, ResNetConfig, bench
from tests.scsc.networks import CNN

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter's own, about its insides


def rows(text: str) -> list[list[str]]:
    lines = [line.strip("| ").split(" | ") for line in text.splitlines()]
    return [line for line in lines if line[0] not in ("network", "---")]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(*arguments: str) -> list[list[str]]:
        monkeypatch.setattr(sys, "argv", ["bench", *arguments, "--threads", "1"])
        bench.main()
        return rows(capsys.readouterr().out)

    return run


def test_files_are_timed_beside_each_other(tmp_path: Path, run):
    files = []
    for name, chs in (("small", 4), ("large", 256)):
        path = tmp_path / f"{name}.onnx"
        bench.export_onnx(torch.nn.Conv2d(3, chs, 3), 32, path)
        files.append(str(path))
    table = run(*files, "--side", "32", "--batch", "1", "4", "--rounds", "9")
    assert [row[:3] for row in table] == [
        ["small", "onnxruntime", "1"],
        ["large", "onnxruntime", "1"],
        ["small", "onnxruntime", "4"],
        ["large", "onnxruntime", "4"],
    ]
    assert [row[6] for row in table[::2]] == ["1.00", "1.00"]
    assert float(table[3][5]) > float(table[2][5])  # the larger takes more of the CPU


def test_threads_are_as_before_afterwards(tmp_path: Path):
    path = tmp_path / "small.onnx"
    bench.export_onnx(torch.nn.Conv2d(3, 4, 3), 32, path)
    torch.set_num_threads(3)
    assert bench.timings([bench.Subject("small", 32, file=path)], 1, threads=2, rounds=1)
    assert torch.get_num_threads() == 3


@pytest.mark.slow
def test_a_host_is_timed_in_both_forms_by_every_engine(monkeypatch: pytest.MonkeyPatch, run):
    pytest.importorskip("openvino")

    def small() -> ResNet:
        return ResNet(ResNetConfig("scsc", widths=(12, 24, 24, 32), stem_width=8, **CNN))

    monkeypatch.setitem(bench.HOSTS, "small", (small, 64))
    table = run("small", "--batch", "2", "--rounds", "3", "--engines", *bench.ENGINES)
    assert [row[:3] for row in table] == [
        [name, engine, "2"] for engine in bench.ENGINES for name in ("small", "small-fused")
    ]
    torch._dynamo.reset()


def test_engines_give_the_networks_outputs(tmp_path: Path):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()).eval()
    bench.export_onnx(network, 16, tmp_path / "network.onnx")
    subject = bench.Subject("network", 16, network, tmp_path / "network.onnx")
    x = torch.randn(3, 3, 16, 16)
    expected = network(x).detach()
    for engine in ("eager", "onnxruntime"):
        output = bench._call(engine, subject, x, 1)()
        output = output if engine == "eager" else torch.from_numpy(output[0])
        torch.testing.assert_close(output.clone(), expected, atol=1e-5, rtol=1e-5)


def test_an_unknown_engine_is_refused():
    subject = bench.Subject("nothing", 16)
    with pytest.raises(ValueError, match="known: eager, compiled"):
        bench.timings([subject], 1, engines=["tpu"])
