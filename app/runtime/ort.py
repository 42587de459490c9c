"""ONNX Runtime on the CPU: the default runtime."""

from pathlib import Path

import numpy as np

from app.entities import Floats
from app.errors import Unavailable
from app.sessions import open_session


class OrtRuntime:
    """Runs a network with one input and takes its first output. A session is thread-safe."""

    name = "onnxruntime"

    def __init__(self, model: Path, *, threads: int = 0) -> None:
        self._session = open_session(model, threads=threads)
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name

    def run(self, batch: Floats) -> Floats:
        try:
            (output,) = self._session.run([self._output], {self._input: batch})
        except Exception as exc:  # the engine's exceptions share no base class of their own
            raise Unavailable("the network failed on this batch") from exc
        return np.asarray(output, np.float32)

    def close(self) -> None:
        """Nothing to do: the session goes with its last user."""
