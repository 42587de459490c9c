"""Times of ONNX files beside each other, by ONNX Runtime and OpenVINO, on 2 threads.

All files, engines and batches take turns within one run, so that whatever else the machine does
meets all of them alike: read the ratios, not the milliseconds. Wall time is what a caller waits;
CPU time, over all threads, hardly feels the neighbours. Medians of the rounds.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models import engines
from scsc.bench import turns

NAMES = engines.NAMES
THREADS = 2
BATCHES = (1, 16)


def measure(
    files: Sequence[Path], names: Sequence[str] = NAMES, rounds: int = 31
) -> dict[str, dict[str, dict[str, Any]]]:
    """file stem -> engine -> batch -> {"ms", "cpu_ms" per face, "of": {another file: ratio}}.

    The ratios are of wall and of CPU time, to each other file with the same engine and batch.
    """
    rng = np.random.default_rng(0)
    cases, calls = [], []
    for batch in BATCHES:
        x = rng.standard_normal((batch, 3, 112, 112)).astype(np.float32)
        for name in names:
            for path in files:
                run = engines.open_file(path, name, batch, THREADS)
                cases.append((path.stem, name, batch))
                calls.append(lambda run=run, x=x: run(x))
    seconds = dict(zip(cases, turns(calls, rounds), strict=True))
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for (stem, name, batch), (wall, cpu) in seconds.items():
        others = [path.stem for path in files if path.stem != stem]
        of = {other: seconds[other, name, batch] for other in others}
        result.setdefault(stem, {}).setdefault(name, {})[str(batch)] = {
            "ms": round(wall * 1e3 / batch, 3),
            "cpu_ms": round(cpu * 1e3 / batch, 3),
            "of": {
                other: {"wall": round(wall / their_wall, 3), "cpu": round(cpu / their_cpu, 3)}
                for other, (their_wall, their_cpu) in of.items()
            },
        }
    return result


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown of rows with "name" and "latency": per face, ratios of wall time / of CPU time."""
    names = [row["name"] for row in rows]
    lines = [
        "| engine | batch | network | ms | CPU ms | "
        + " | ".join(f"of {name}" for name in names)
        + " |",
        "| --- " * (5 + len(names)) + "|",
    ]
    for engine in rows[0]["latency"]:
        for batch in rows[0]["latency"][engine]:
            for row in rows:
                time = row["latency"][engine][batch]
                itself = {row["name"]: {"wall": 1.0, "cpu": 1.0}}
                ratios = [(time["of"] | itself)[name] for name in names]
                cells = [engine, batch, row["name"], f"{time['ms']:.2f}", f"{time['cpu_ms']:.2f}"]
                cells += [f"{ratio['wall']:.2f} / {ratio['cpu']:.2f}" for ratio in ratios]
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
