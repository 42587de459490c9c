"""The detector's network asked by several requests at once: shared, and one session for all.

The memory of each is that of a process of its own, with the largest pictures and the most callers.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnxruntime as ort

from app.bench.process import alone, anonymous
from app.bench.turns import beside
from app.cpu import available_cpus
from app.detectors.centerface import weights_file, with_free_sizes
from app.entities import Floats
from app.memory import settle_memory
from app.sessions import SharedSession
from app.settings import read_settings

SIDES = (256, 512, 1024)  # pixels; the detector looks at no more than the last
WAYS = ("shared", "one")
Run = Callable[[Floats], object]


@dataclass(frozen=True)
class Crowd:
    side: int  # pixels, width and height
    callers: int
    shared_ms: float  # per picture, medians of the rounds
    one_ms: float
    shared_of_one: float  # the median of the rounds' ratios


@dataclass(frozen=True)
class Detection:
    crowds: list[Crowd]
    shared_mb: float  # anonymous memory, in millions of bytes, beyond that before the file was open
    one_mb: float


def measure(rounds: int, pictures: int) -> Detection:
    """So many pictures a round."""
    model = with_free_sizes(weights_file())
    ways = {way: _opened(way, model) for way in WAYS}
    crowds = [
        _crowd(side, callers, pictures, ways, rounds)
        for side in SIDES
        for callers in (1, read_settings().workers)
    ]
    return Detection(crowds, *(alone(_memory, way, model, pictures) for way in WAYS))


def _crowd(side: int, callers: int, pictures: int, ways: dict[str, Run], rounds: int) -> Crowd:
    asked = [_picture(side)] * pictures
    shared, one = (partial(_ask, ways[way], asked, callers) for way in WAYS)
    return Crowd(side, callers, *beside(shared, one, rounds, per=pictures))


def _picture(side: int) -> Floats:
    return np.random.default_rng(side).uniform(0, 255, (1, 3, side, side)).astype(np.float32)


def _ask(run: Run, pictures: list[Floats], callers: int) -> None:
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(run, pictures))  # raises what a run raised


def _opened(way: str, model: bytes) -> Run:
    session = (
        SharedSession(model, threads=0, varying_shapes=True) if way == "shared" else _plain(model)
    )
    name = session.get_inputs()[0].name
    return lambda picture: session.run(None, {name: picture})


def _plain(model: bytes) -> ort.InferenceSession:
    """As the engine alone would have it: an arena of its own, and all threads for every caller."""
    options = ort.SessionOptions()
    options.log_severity_level = 3  # of the file's unused numbers it would speak at length
    options.intra_op_num_threads = available_cpus()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = False
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _memory(way: str, model: bytes, pictures: int) -> float:
    settle_memory()
    before = anonymous()
    run, asked = _opened(way, model), [_picture(max(SIDES))] * pictures
    for callers in (1, read_settings().workers):
        _ask(run, asked, callers)
    return (anonymous() - before) / 1e6
