"""Batches of crops through the embedder: dealt out to threads, and whole by all threads at once.

The memory of each is that of a process of its own that met batches of many sizes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from app.bench.process import alone, anonymous
from app.bench.turns import beside
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
        dealt, whole = (partial(ways[way], crops) for way in WAYS)
        batches.append(Batch(size, *beside(dealt, whole, rounds, per=size)))
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
