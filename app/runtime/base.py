"""The seam between a network's file and what runs it."""

from typing import Protocol

from app.entities import Floats


class Runtime(Protocol):
    """Runs one network. Thread-safe: `run` may be called from several threads at once."""

    name: str  # "onnxruntime", "pytorch", ...

    def run(self, batch: Floats) -> Floats:
        """(N, 3, H, W) float32, preprocessed -> the network's first output, (N, ...) float32."""
        ...

    def close(self) -> None: ...
