import sys
from pathlib import Path

import numpy as np
import pytest

from app.errors import SettingsError, Unavailable
from app.runtime.pytorch import PyTorchRuntime

SHAPE = {"widths": (8, 8, 16, 16), "depths": (1, 1, 1, 1), "dim": 16}


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """A tiny untrained network, saved as a released one is."""
    torch = pytest.importorskip("torch")
    from models import embedder
    from scsc.faceresnet import FaceResNet, FaceResNetConfig

    torch.manual_seed(0)
    embedder.save(FaceResNet(FaceResNetConfig(block="plain", **SHAPE)), tmp_path / "tiny.pt")
    return tmp_path / "tiny.pt"


def test_it_runs_the_checkpoints_network_in_its_serving_form(checkpoint):
    import torch

    from models import embedder

    runtime = PyTorchRuntime(checkpoint)
    batch = np.random.default_rng(0).normal(size=(3, 3, 112, 112)).astype(np.float32)
    output = runtime.run(batch)
    assert output.shape == (3, 16)
    assert output.dtype == np.float32
    # Batch statistics would let neighbours change a face's numbers.
    assert np.allclose(runtime.run(batch[:1]), output[:1], atol=1e-4)
    with torch.inference_mode():
        expected = embedder.load(checkpoint)(torch.from_numpy(batch)).numpy()
    assert np.allclose(output, expected, atol=1e-5)
    runtime.close()


def test_a_batch_that_does_not_fit_is_unavailable(checkpoint):
    with pytest.raises(Unavailable):
        PyTorchRuntime(checkpoint).run(np.zeros((1, 4, 112, 112), np.float32))


def test_a_missing_or_broken_checkpoint_is_a_settings_error(tmp_path):
    pytest.importorskip("torch")
    with pytest.raises(SettingsError, match=r"absent\.pt does not exist"):
        PyTorchRuntime(tmp_path / "absent.pt")
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"no checkpoint")
    with pytest.raises(SettingsError, match="not a checkpoint"):
        PyTorchRuntime(broken)


def test_without_torch_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SettingsError, match="extra `train`"):
        PyTorchRuntime(tmp_path / "net.pt")
