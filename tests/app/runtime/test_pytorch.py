import sys
from types import ModuleType

import numpy as np
import pytest

from app.errors import SettingsError, Unavailable
from app.runtime.pytorch import PyTorchRuntime


@pytest.fixture
def loads_linear(monkeypatch):
    """The network's loader replaced by one that reads a tiny network from the checkpoint."""
    torch = pytest.importorskip("torch")
    import models

    def load(path):
        state = torch.load(path, weights_only=True)
        network = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(12, 2)
        )
        network.load_state_dict(state["model"])
        return network

    embedder = ModuleType("models.embedder")
    embedder.load = load
    monkeypatch.setitem(sys.modules, "models.embedder", embedder)
    monkeypatch.setattr(models, "embedder", embedder, raising=False)
    return torch


def test_it_runs_the_checkpoints_network_in_its_serving_form(loads_linear, tmp_path):
    torch = loads_linear
    weight = torch.arange(24, dtype=torch.float32).reshape(2, 12)
    state = {"2.weight": weight, "2.bias": torch.tensor([1.0, -1.0])}
    torch.save({"config": {}, "model": state}, tmp_path / "net.pt")
    runtime = PyTorchRuntime(tmp_path / "net.pt")
    batch = np.random.default_rng(0).normal(size=(3, 3, 2, 2)).astype(np.float32)
    output = runtime.run(batch)
    assert output.dtype == np.float32
    assert np.allclose(output, batch.reshape(3, 12) @ weight.numpy().T + [1, -1], atol=1e-4)
    with pytest.raises(Unavailable):
        runtime.run(np.zeros((1, 3, 5, 5), np.float32))
    runtime.close()


def test_a_missing_or_broken_checkpoint_is_a_settings_error(loads_linear, tmp_path):
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
