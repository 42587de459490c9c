"""Times of networks beside each other, on a CPU that need not be idle.

    python -m scsc.bench trained.onnx fused.onnx other.onnx --threads 2 --batch 1 16
    python -m scsc.bench resnet50 scsc_resnet50 --engines eager compiled onnxruntime openvino

Takes ONNX files and hosts by name; a host is timed as it is trained and fused, with random weights.
All take turns within one run, so that whatever else the machine does meets all of them alike: read
the ratios, not the milliseconds. Wall time is what a caller waits; CPU time, over all threads,
hardly feels the neighbours. Needs the extra `bench`: onnxruntime, openvino, onnxscript.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from scsc.blocks import in_blocks
from scsc.faceresnet import CROP, FaceResNet, FaceResNetConfig
from scsc.fuse import fuse
from scsc.resnet import resnet50, resnet101, scsc_resnet50, scsc_resnet101
from scsc.swin import scsc_swin_t, swin_t

Call = Callable[[], object]
ENGINES = ("eager", "compiled", "onnxruntime", "openvino")

# Depths and kernels of the released face embedder, its branches as narrow as the paper has them.
_FACE = FaceResNetConfig(depths=(1, 3, 8, 2), kernel_sizes=((3, 5), (3, 5, 7), (3, 5, 7), (3, 5)))
# Name -> maker, and the side in pixels of the pictures it is timed on.
HOSTS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "resnet50": (resnet50, 224),
    "scsc_resnet50": (scsc_resnet50, 224),
    "resnet101": (resnet101, 224),
    "scsc_resnet101": (scsc_resnet101, 224),
    "swin_t": (swin_t, 224),
    "scsc_swin_t": (scsc_swin_t, 224),
    "faceresnet": (lambda: FaceResNet(replace(_FACE, block="plain")), CROP),
    "scsc_faceresnet": (lambda: FaceResNet(_FACE), CROP),
}


@dataclass(frozen=True)
class Subject:
    """What is timed: a network, its ONNX file or both."""

    name: str
    side: int  # pixels
    network: nn.Module | None = None
    file: Path | None = None


@dataclass(frozen=True)
class Timing:
    name: str
    engine: str
    batch: int
    wall: float  # milliseconds per picture, the median of the rounds
    cpu: float


def subjects(names: Sequence[str], side: int, folder: Path, export: bool) -> Iterator[Subject]:
    """Files as they are; of a host its two forms, exported to `folder` where that is asked for."""
    for name in names:
        if name not in HOSTS:
            yield Subject(Path(name).stem, side, file=Path(name))
            continue
        make, side_of_host = HOSTS[name]
        torch.manual_seed(0)
        network = make().eval()
        for form, suffix in ((network, ""), (fuse(network), "-fused")):
            file = folder / f"{name}{suffix}.onnx" if export else None
            if file is not None:
                export_onnx(form, side_of_host, file)
            yield Subject(f"{name}{suffix}", side_of_host, form, file)


def export_onnx(network: nn.Module, side: int, file: Path) -> None:
    """Write the network for any number of pictures (N, 3, side, side); a fused one in blocks."""
    pictures = {0: torch.export.Dim("pictures", min=1, max=4096)}
    example = (torch.zeros(2, 3, side, side),)
    torch.onnx.export(
        in_blocks(network.eval()),
        example,
        file,
        dynamic_shapes=(pictures,),
        dynamo=True,
        verbose=False,
    )


def timings(
    networks: Sequence[Subject],
    batch: int,
    threads: int = 2,
    rounds: int = 20,
    engines: Sequence[str] = ("onnxruntime",),
) -> list[Timing]:
    """Times on random pictures, engine by engine; a subject is left out where it has no form."""
    cases: list[tuple[str, str]] = []
    calls: list[Call] = []
    with _torch_threads(threads):
        for engine in engines:
            for subject in networks:
                torch.manual_seed(0)
                x = torch.randn(batch, 3, subject.side, subject.side)
                call = _call(engine, subject, x, threads)
                if call is not None:
                    cases.append((subject.name, engine))
                    calls.append(call)
        taken = turns(calls, rounds)
    return [
        Timing(name, engine, batch, wall * 1e3 / batch, cpu * 1e3 / batch)
        for (name, engine), (wall, cpu) in zip(cases, taken, strict=True)
    ]


@contextmanager
def _torch_threads(number: int) -> Iterator[None]:
    """PyTorch's threads for a while: the number is the process', and others compute in it too."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def turns(calls: Sequence[Call], rounds: int) -> list[tuple[float, float]]:
    """(wall, CPU) seconds of each call: medians of the rounds, in which they take turns."""
    taken: list[list[tuple[float, float]]] = [[] for _ in calls]
    for turn in range(rounds + 2):
        for call, times in zip(calls, taken, strict=True):
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            if turn >= 2:  # the first runs also lay out memory
                times.append((time.perf_counter() - wall, time.process_time() - cpu))
    medians = (
        [statistics.median(column) for column in zip(*times, strict=True)] for times in taken
    )
    return [(wall, cpu) for wall, cpu in medians]


def _call(engine: str, subject: Subject, x: torch.Tensor, threads: int) -> Call | None:
    """One run of the subject on x, or None where it lacks what the engine runs."""
    match engine:
        case "eager" if subject.network is not None:
            return partial(_forward, subject.network, x)
        case "compiled" if subject.network is not None:
            return partial(_forward, torch.compile(subject.network, dynamic=False), x)
        case "onnxruntime" if subject.file is not None:
            return _onnxruntime(subject.file, x, threads)
        case "openvino" if subject.file is not None:
            return _openvino(subject.file, x, threads)
        case name if name not in ENGINES:
            raise ValueError(f"unknown engine {engine!r}; known: {', '.join(ENGINES)}")
    return None


def _forward(network: Callable[[torch.Tensor], object], x: torch.Tensor) -> object:
    with torch.inference_mode():
        return network(x)


def _onnxruntime(file: Path, x: torch.Tensor, threads: int) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # A thread that waits by spinning would count as work, and take it from the others.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return partial(session.run, None, {session.get_inputs()[0].name: x.numpy()})


def _openvino(file: Path, x: torch.Tensor, threads: int) -> Call:
    import openvino

    model = openvino.Core().read_model(file)
    model.reshape(list(x.shape))
    # Float32 as the others: by itself it takes bfloat16 where the CPU has it.
    config = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": str(threads),
    }
    request = openvino.Core().compile_model(model, "CPU", config).create_infer_request()
    return partial(request.infer, [x.numpy()])


def table(rows: Sequence[Timing]) -> str:
    """Markdown; the ratio is to the first network with the same engine and batch."""
    lines = [
        "| network | engine | batch | wall ms per picture | ratio | CPU ms per picture | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    first: dict[tuple[str, int], Timing] = {}
    for row in rows:
        base = first.setdefault((row.engine, row.batch), row)
        lines.append(
            f"| {row.name} | {row.engine} | {row.batch} | {row.wall:.2f} "
            f"| {row.wall / base.wall:.2f} | {row.cpu:.2f} | {row.cpu / base.cpu:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("networks", nargs="+", help=f"ONNX files, or of {', '.join(HOSTS)}")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=["onnxruntime"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--side", type=int, default=CROP, help="pixels; of files")
    a = parser.parse_args()
    export = not {"onnxruntime", "openvino"}.isdisjoint(a.engines)
    with tempfile.TemporaryDirectory() as folder:
        networks = list(subjects(a.networks, a.side, Path(folder), export))
        for batch in a.batch:
            rows = timings(networks, batch, a.threads, a.rounds, a.engines)
            print(table(rows), flush=True)


if __name__ == "__main__":
    main()
