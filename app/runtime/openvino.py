"""OpenVINO on the CPU, from the same ONNX files. It is imported only when one is made."""

from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np

from app.entities import Floats
from app.errors import SettingsError, Unavailable


class OpenVinoRuntime:
    """Runs a network with one input and takes its first output. One batch at a time."""

    name = "openvino"

    def __init__(
        self, model: Path, *, threads: int = 0, precision: Literal["f32", "bf16"] = "f32"
    ) -> None:
        """`precision` is inside the network alone. In bf16 a photograph's embedding has a cosine of
        0.9998 to that in f32, more than 0.9999 asks of one contract."""
        try:
            import openvino
        except ModuleNotFoundError as exc:
            raise SettingsError(
                "FACE_RUNTIME=openvino needs OpenVINO: install the extra `openvino`"
                " (pip install '.[openvino]')"
            ) from exc
        if not model.is_file():
            raise SettingsError(f"the model file {model} does not exist")
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property(
            "CPU", "OPTIMIZATION_CAPABILITIES"
        ):
            raise SettingsError(
                "FACE_RUNTIME=openvino-bf16: this CPU has no bfloat16; use openvino"
            )
        # Said in any case: left alone, OpenVINO takes bfloat16 where the CPU has it.
        config: dict[str, str | int] = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads:
            config["INFERENCE_NUM_THREADS"] = threads
        try:
            compiled = core.compile_model(str(model), "CPU", config)
        except RuntimeError as exc:
            raise SettingsError(
                f"{model} cannot be opened by OpenVINO; is it an ONNX file?"
            ) from exc
        self._takes, self._shape = compiled.input(0).partial_shape, openvino.PartialShape
        self._request = compiled.create_infer_request()
        self._running = Lock()  # a request is one thread's at a time

    def run(self, batch: Floats) -> Floats:
        # OpenVINO reads a batch of another shape as if it fitted.
        if not self._takes.compatible(self._shape(batch.shape)):
            raise Unavailable("the network does not take a batch of this shape")
        try:
            with self._running:
                output = self._request.infer([batch])[0]
                return np.array(output, np.float32)  # a copy: the request reuses its memory
        except RuntimeError as exc:
            raise Unavailable("the network failed on this batch") from exc

    def close(self) -> None:
        """Nothing to do: the request goes with its last user."""
