"""Times of ONNX files beside each other, on a CPU that need not be idle.

    python -m scsc.bench trained.onnx fused.onnx other.onnx --threads 2 --batch 1 16

The files take turns within one run, so that whatever else the machine does meets all of them
alike: read the ratios, not the milliseconds. Wall time is what a caller waits; CPU time, over all
threads, hardly feels the neighbours. Needs onnxruntime.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Timing:
    name: str
    batch: int
    wall: float  # milliseconds per picture, the median of the rounds
    cpu: float


def timings(
    files: Sequence[Path], batch: int, threads: int = 2, rounds: int = 20, side: int = 112
) -> list[Timing]:
    """The files' times on random pictures (batch, 3, side, side), in the order given."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # A thread that waits by spinning would count as work, and take it from the others.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = ["CPUExecutionProvider"]
    sessions = [onnxruntime.InferenceSession(path, options, providers) for path in files]
    x = np.random.default_rng(0).standard_normal((batch, 3, side, side)).astype(np.float32)
    calls = [partial(session.run, None, {session.get_inputs()[0].name: x}) for session in sessions]
    return [
        Timing(path.stem, batch, wall * 1e3 / batch, cpu * 1e3 / batch)
        for path, (wall, cpu) in zip(files, turns(calls, rounds), strict=True)
    ]


def turns(calls: Sequence[Callable[[], object]], rounds: int) -> list[tuple[float, float]]:
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


def table(rows: Sequence[Timing]) -> str:
    """Markdown; the ratio is to the first file at the same batch."""
    lines = [
        "| network | batch | wall ms per picture | ratio | CPU ms per picture | ratio |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    first: dict[int, Timing] = {}
    for row in rows:
        base = first.setdefault(row.batch, row)
        lines.append(
            f"| {row.name} | {row.batch} | {row.wall:.2f} | {row.wall / base.wall:.2f} "
            f"| {row.cpu:.2f} | {row.cpu / base.cpu:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--side", type=int, default=112, help="pixels")
    a = parser.parse_args()
    rows = [t for b in a.batch for t in timings(a.files, b, a.threads, a.rounds, a.side)]
    print(table(rows))


if __name__ == "__main__":
    main()
