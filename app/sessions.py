"""Opens ONNX Runtime sessions, one way for the embedder and for the detectors that need one."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnxruntime as ort

from app.cpu import available_cpus
from app.errors import SettingsError

_ERRORS_ONLY = 3
_one_at_a_time = threading.Lock()
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
    with _one_at_a_time:
        _share_an_arena()
    options.add_session_config_entry("session.use_env_allocators", "1")
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


def open_pair(
    model: Path | bytes, *, threads: int, varying_shapes: bool = False
) -> tuple[ort.InferenceSession, ort.InferenceSession | None]:
    """A session with that many threads, and one with one; None for that where a GPU has a part."""
    together = open_session(model, threads=threads, varying_shapes=varying_shapes)
    if not on_cpu(together):
        return together, None
    if threads == 1:
        return together, together
    return together, open_session(model, threads=1, varying_shapes=varying_shapes)


@cache
def _share_an_arena() -> None:
    """All sessions take what a run needs from one arena: what one has done with, another one uses.

    An arena keeps the most that it ever held, and each session would have its own.
    """
    place = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    no_limit, as_ever = 0, -1
    ort.create_and_register_allocator(place, ort.OrtArenaCfg(no_limit, *[as_ever] * 3))


class SharedSession:
    """A network that requests run at once, each an input of its own. Thread-safe.

    Few callers get all threads each, which is soonest done. Where there are as many as CPUs, each
    has one thread, and no more of them run at once: so none waits for another behind every layer,
    and the maps of fewer inputs lie in memory. The numbers are the same. A GPU takes all as they
    come. docs/load.md has the figures.
    """

    def __init__(self, model: Path | bytes, *, threads: int, varying_shapes: bool = False) -> None:
        """`threads` 0: as many as the process has CPUs."""
        self._cpus = available_cpus()
        self._together, self._alone = open_pair(
            model, threads=threads or self._cpus, varying_shapes=varying_shapes
        )
        self._turns = threading.Semaphore(self._cpus)
        self._callers = 0
        self._counting = threading.Lock()

    def get_inputs(self) -> Sequence[ort.NodeArg]:
        inputs: Sequence[ort.NodeArg] = self._together.get_inputs()
        return inputs

    def get_outputs(self) -> Sequence[ort.NodeArg]:
        outputs: Sequence[ort.NodeArg] = self._together.get_outputs()
        return outputs

    def run(
        self, outputs: Sequence[str] | None, inputs: Mapping[str, npt.NDArray[Any]]
    ) -> Sequence[Any]:
        """As the session's own `run`."""
        with self._session() as session:
            answer: Sequence[Any] = session.run(outputs, inputs)
            return answer

    @contextmanager
    def _session(self) -> Iterator[ort.InferenceSession]:
        """The one to run now, once the turn has come."""
        if self._alone is None:
            yield self._together
            return
        with self._counted(), self._turns:
            # Counted when the turn has come: the last of a crowd is alone.
            yield self._together if self._callers < self._cpus else self._alone

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._counting:
            self._callers += 1
        try:
            yield
        finally:
            with self._counting:
                self._callers -= 1


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
