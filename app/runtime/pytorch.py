"""PyTorch on the CPU, from a training checkpoint. Torch is imported only when one is made."""

from pathlib import Path

import numpy as np

from app.entities import Floats
from app.errors import SettingsError, Unavailable


class PyTorchRuntime:
    """Runs the network that a checkpoint `{"config": ..., "model": state_dict}` describes."""

    name = "pytorch"

    def __init__(self, checkpoint: Path, *, threads: int = 0) -> None:
        try:
            import torch

            from models.embedder import load
        except ModuleNotFoundError as exc:
            if exc.name != "torch":
                raise
            raise SettingsError(
                "FACE_RUNTIME=pytorch needs PyTorch: install the extra `train`"
                " (pip install '.[train]')"
            ) from exc
        if not checkpoint.is_file():
            raise SettingsError(f"the checkpoint {checkpoint} does not exist")
        if threads:
            torch.set_num_threads(threads)  # one number for the whole process
        try:
            self._network = load(checkpoint)
        except Exception as exc:  # unpickling and state dicts fail in many ways
            raise SettingsError(
                f"{checkpoint} is not a checkpoint of this project's networks"
            ) from exc
        self._torch = torch

    def run(self, batch: Floats) -> Floats:
        torch = self._torch
        try:
            with torch.inference_mode():
                output = self._network(torch.from_numpy(np.ascontiguousarray(batch)))
        except RuntimeError as exc:
            raise Unavailable("the network failed on this batch") from exc
        return np.asarray(output.float().numpy(), np.float32)

    def close(self) -> None:
        """Nothing to do: the network goes with its last user."""
