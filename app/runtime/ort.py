"""ONNX Runtime: the default runtime, on the CPU or a GPU."""

from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime

from app.cpu import available_cpus
from app.entities import Floats
from app.errors import Unavailable
from app.sessions import open_pair
from models.dealing import Dealer


class OrtRuntime:
    """Runs a network with one input and takes its first output. A session is thread-safe.

    On a CPU a batch is dealt out to the threads (models/dealing.py); a GPU takes it whole.
    """

    name = "onnxruntime"

    def __init__(self, model: Path, *, threads: int = 0) -> None:
        """`threads` 0: as many as the process has CPUs."""
        threads = threads or available_cpus()
        session, one = open_pair(model, threads=threads)
        self._input = session.get_inputs()[0].name
        self._output = session.get_outputs()[0].name
        self._whole = partial(self._run, session)
        self._dealer: Dealer | None = None
        if one is not None:
            self._dealer = Dealer(self._whole, partial(self._run, one), threads)

    def run(self, batch: Floats) -> Floats:
        return self._dealer.run(batch) if self._dealer else self._whole(batch)

    def _run(self, session: onnxruntime.InferenceSession, crops: Floats) -> Floats:
        try:
            (output,) = session.run([self._output], {self._input: crops})
        except Exception as exc:  # the engine's exceptions share no base class of their own
            raise Unavailable("the network failed on this batch") from exc
        return np.asarray(output, np.float32)

    def close(self) -> None:
        """The sessions go with their last user."""
        if self._dealer:
            self._dealer.close()
