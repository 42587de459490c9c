"""ONNX files run by one engine or another, for measuring. The service has its own: app/runtime/.

onnxruntime        float32, or what the file says; batches dealt out to threads as the service does
onnxruntime-whole  the same, each batch by all threads at once, as ONNX Runtime does by itself
openvino           float32 throughout; the extra `openvino`
openvino-bf16      float32 in and out, inside bfloat16 where the CPU has it
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from models.dealing import Dealer

Floats = npt.NDArray[np.float32]
Engine = Callable[[Floats], Floats]  # (batch, 3, 112, 112) -> (batch, D)
WHOLE = "onnxruntime-whole"
NAMES = ("onnxruntime", WHOLE, "openvino", "openvino-bf16")


def open_file(path: Path, engine: str, batch: int, threads: int) -> Engine:
    """The file's network for exactly `batch` crops. `threads` 0: as many as the engine likes."""
    match engine:
        case "onnxruntime":
            threads = threads or os.cpu_count() or 1  # dealing needs a number
            return Dealer(_onnxruntime(path, threads), _onnxruntime(path, 1), threads).run
        case "onnxruntime-whole":
            return _onnxruntime(path, threads)
        case "openvino":
            return _openvino(path, "f32", batch, threads)
        case "openvino-bf16":
            return _openvino(path, "bf16", batch, threads)
    raise LookupError(f"no engine is called {engine!r}; known are {', '.join(NAMES)}")


def _onnxruntime(path: Path, threads: int) -> Engine:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = threads
    # A thread that waits by spinning would count as work, and take it from the others.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(x: Floats) -> Floats:
        return np.asarray(session.run(None, {name: x})[0], np.float32)

    return run


def _openvino(path: Path, precision: str, batch: int, threads: int) -> Engine:
    try:
        import openvino
    except ImportError as error:
        raise ImportError(f"{error}; pip install -e '.[openvino]' brings it") from error
    core = openvino.Core()
    model = core.read_model(path)
    model.reshape([batch, 3, 112, 112])
    config = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    if threads:
        config["INFERENCE_NUM_THREADS"] = str(threads)
    request = core.compile_model(model, "CPU", config).create_infer_request()

    def run(x: Floats) -> Floats:
        return np.array(request.infer([x])[0], np.float32)

    return run
