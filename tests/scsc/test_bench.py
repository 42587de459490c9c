import sys
from pathlib import Path

import pytest
import torch

from scsc import bench

pytest.importorskip("onnxruntime")


@pytest.mark.filterwarnings("ignore")  # the exporter's own, about its insides
def test_files_are_timed_beside_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    files = []
    for name, chs in (("small", 4), ("large", 256)):
        path = tmp_path / f"{name}.onnx"
        network = torch.nn.Conv2d(3, chs, 3)
        shapes = ({0: torch.export.Dim("pictures", min=1, max=64)},)
        x = torch.zeros(2, 3, 32, 32)
        torch.onnx.export(network, (x,), path, dynamic_shapes=shapes, dynamo=True, verbose=False)
        files.append(str(path))
    options = ["--side", "32", "--batch", "1", "4", "--rounds", "9", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["bench", *files, *options])
    bench.main()
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [(row[0], row[1]) for row in rows] == [
        ("| small", "1"),
        ("| large", "1"),
        ("| small", "4"),
        ("| large", "4"),
    ]
    assert [row[5] for row in rows[::2]] == ["1.00 |", "1.00 |"]
    assert float(rows[3][4]) > float(rows[2][4])  # the larger takes more of the CPU
