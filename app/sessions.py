"""Opens ONNX Runtime sessions, one way for the embedder and for the detectors that need one."""

from pathlib import Path

import onnxruntime as ort

from app.errors import SettingsError

_ERRORS_ONLY = 3
_CUDA = "CUDAExecutionProvider"
Providers = list[str | tuple[str, dict[str, str]]]


def open_session(
    model: Path | bytes, *, threads: int, varying_shapes: bool = False
) -> ort.InferenceSession:
    """A session over a file or a serialised model; `threads` 0 leaves the number to the engine.

    `varying_shapes` is for inputs of ever new sizes, where a memory plan would be kept per shape.
    """
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads
    # Spinning threads steal the cores from decoding and detection of the other requests.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = not varying_shapes
    if isinstance(model, Path) and not model.is_file():
        raise SettingsError(f"the model file {model} does not exist")
    source = str(model) if isinstance(model, Path) else model
    try:
        return ort.InferenceSession(source, options, providers=_providers())
    except Exception as exc:  # the engine's exceptions share no base class of their own
        shown = model if isinstance(model, Path) else "the model"
        raise SettingsError(
            f"{shown} cannot be opened by ONNX Runtime; is it an ONNX file?"
        ) from exc


def on_cpu(session: ort.InferenceSession) -> bool:
    """Whether the CPU runs all of it."""
    providers: list[str] = session.get_providers()
    return providers == ["CPUExecutionProvider"]


def _providers() -> Providers:
    """CUDA where the engine has it (docker/gpu.Dockerfile), the CPU for what is left."""
    if _CUDA not in ort.get_available_providers():
        return ["CPUExecutionProvider"]
    ort.preload_dlls()  # of the nvidia packages, which no loader path names
    # Exact float32: TF32's 10 bits would set its embeddings apart from those of a CPU.
    return [(_CUDA, {"use_tf32": "0"}), "CPUExecutionProvider"]
