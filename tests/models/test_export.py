from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from models import embedder, export
from scsc.faceresnet import FaceResNet, FaceResNetConfig

TINY = FaceResNetConfig(widths=(8, 8, 16, 16), depths=(1, 1, 1, 1), kernel_sizes=((3, 5),) * 4)


def test_an_exported_network_gives_the_same_embeddings_for_any_number_of_crops(tmp_path):
    network = FaceResNet(TINY).eval()
    assert export.export(network, tmp_path / "tiny.onnx") >= 0.9999
    session = onnxruntime.InferenceSession(tmp_path / "tiny.onnx")
    for count in (1, 5):
        crops = np.random.default_rng(0).normal(size=(count, 3, 112, 112)).astype(np.float32)
        with torch.no_grad():
            mine = network(torch.from_numpy(crops)).numpy()
        assert np.allclose(session.run(["embedding"], {"crops": crops})[0], mine, atol=1e-4)


def test_an_exported_file_tells_nothing_of_the_machine_that_made_it(tmp_path):
    export.export(FaceResNet(TINY), tmp_path / "tiny.onnx")
    content = (tmp_path / "tiny.onnx").read_bytes()
    assert str(Path(export.__file__).parents[1]).encode() not in content
    assert b".py" not in content


def test_a_file_without_parity_is_not_kept(tmp_path, monkeypatch):
    path = tmp_path / "tiny.onnx"
    path.write_bytes(b"the one before")
    monkeypatch.setattr(export, "LEAST_COSINE", 1.1)
    with pytest.raises(export.ParityError, match=r"tiny\.onnx: cosine"):
        export.export(FaceResNet(TINY), path)
    assert path.read_bytes() == b"the one before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_released_checkpoint_and_a_runs_own_are_both_read(tmp_path, monkeypatch):
    monkeypatch.setitem(embedder.CONFIGS, "tiny", TINY)
    network = FaceResNet(TINY).eval()
    embedder.save(network, tmp_path / "released.pt")
    torch.save({"settings": {"name": "tiny"}, "average": network.state_dict()}, tmp_path / "run.pt")
    crops = torch.randn(1, 3, 112, 112)
    with torch.no_grad():
        for name in ("released.pt", "run.pt"):
            assert torch.equal(export.read(tmp_path / name)(crops), network(crops))
