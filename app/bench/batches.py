"""Batches of crops through the embedder: dealt out to threads, and whole by all threads at once.

Times take turns within one process, so that whatever else the machine does meets both alike: read
the ratios. The memory of each is that of a process of its own that met batches of many sizes.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.bench.process import alone, anonymous
from app.cpu import available_cpus
from app.entities import Floats
from app.memory import settle_memory
from app.runtime.ort import OrtRuntime
from app.sessions import open_session
from models import weights
from models.catalog import card

SIZES = (1, 2, 4, 8, 16, 32)
MIXED = 60  # batches of random sizes
WAYS = ("dealt", "whole")
Run = Callable[[Floats], object]


@dataclass(frozen=True)
class Batch:
    size: int  # crops
    dealt_ms: float  # per crop, medians of the rounds
    whole_ms: float
    dealt_of_whole: float  # the median of the rounds' ratios


@dataclass(frozen=True)
class Batches:
    batches: list[Batch]
    dealt_mb: float  # anonymous memory, in millions of bytes, beyond that before the file was open
    whole_mb: float


def measure(rounds: int) -> Batches:
    file = weights.find(card("scsc_faceresnet"))
    ways = {way: _opened(way, file) for way in WAYS}
    batches = []
    for size in SIZES:
        crops = _crops(size)
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds + 1):
            for way, run in ways.items():
                began = time.perf_counter()
                run(crops)
                taken[way].append((time.perf_counter() - began) * 1e3 / size)
        # The first round also lays out memory.
        dealt, whole = taken["dealt"][1:], taken["whole"][1:]
        ratio = statistics.median(a / b for a, b in zip(dealt, whole, strict=True))
        batches.append(Batch(size, statistics.median(dealt), statistics.median(whole), ratio))
    return Batches(batches, *(alone(_memory, way, file) for way in WAYS))


def _opened(way: str, file: Path) -> Run:
    threads = available_cpus()
    if way == "dealt":
        return OrtRuntime(file, threads=threads).run
    session = open_session(file, threads=threads)
    name = session.get_inputs()[0].name
    return lambda crops: session.run(None, {name: crops})


def _crops(count: int) -> Floats:
    rng = np.random.default_rng(count)
    return rng.standard_normal((count, 3, 112, 112), np.float32)


def _memory(way: str, file: Path) -> float:
    settle_memory()
    before = anonymous()
    run = _opened(way, file)
    for size in np.random.default_rng(0).integers(1, max(SIZES) + 1, MIXED):
        run(_crops(int(size)))
    return (anonymous() - before) / 1e6
