"""Faces a second and the time of a request, beside the same pipeline without HTTP and JSON.

A service of its own with one person. Clients send photographs of all sizes in turn, each the next
one when it has its answer. The pipeline alone is a process of its own too, that decodes and
analyses the same files on one pool of threads, in turn with the service, so that what else the
machine does befalls both.
"""

import itertools
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import numpy as np
from PIL import Image as Pil
from prometheus_client.parser import text_string_to_metric_families

from app.bench.photographs import Photograph, photographs
from app.bench.process import PAUSE, served
from app.client import FaceClient
from app.commands.samples import astronaut_file, close_up
from app.cpu import available_cpus, quieten_numpy
from app.pipeline.analyze import Analyzer
from app.pipeline.decode import ImageLimits, decode_image, decode_photo
from app.settings import read_settings
from app.wiring import build_analyzer

PATHS = ("/detect", "/embed", "/identify")
CLIENTS = (1, 4, 16, 64)
COMPARED = 16  # clients, as many as the pool beside them has threads
CROPS = 16  # in the request whose overhead is measured
ROUNDS = 3  # of service and pipeline in turn
TIMEOUT = 120.0  # seconds to an answer, on a machine that is busy with other work


class Asked(NamedTuple):
    """A request that is sent again and again."""

    path: str
    body: bytes
    content_type: str
    faces: int  # in it


@dataclass(frozen=True)
class Load:
    path: str
    pictures: str
    clients: int
    requests: int  # answered with 200
    refused: int  # with `busy`
    faces_per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Stage:
    """Of all requests of a run, the waiting for a turn in it."""

    requests: int
    mean_ms: float
    share: float  # of the time of all stages


@dataclass(frozen=True)
class Report:
    cpus: int
    load_average: list[float]  # of the machine's last minute, before and after
    pictures: dict[str, int]  # name -> bytes
    loads: list[Load]
    sizes: list[Load]  # /embed by one client, each picture alone
    service_faces_per_second: list[float]  # /embed by COMPARED clients, round by round
    pipeline_faces_per_second: list[float]  # beside it, in turn
    throughput_ratio: float  # of the sums
    p99_over_p50: dict[str, float]  # at COMPARED clients
    crops_service_ms: float  # /embed of CROPS aligned crops by one client, median
    crops_pipeline_ms: float
    crops_overhead: float
    stages_alone: dict[str, Stage]  # /embed by one client
    stages_together: dict[str, Stage]  # /identify by COMPARED clients


def measure(seconds: float, archive: Path | None) -> Report:
    """`seconds` for each of the runs, some 25; `archive` is a zip of more photographs."""
    shots = photographs(archive)
    before = os.getloadavg()[0]
    with (
        served() as (url, _),
        ProcessPoolExecutor(1, get_context("spawn")) as beside,
    ):
        with FaceClient(url, timeout=TIMEOUT) as client:
            client.enroll("somebody", [astronaut_file()])
            counts = [len(client.detect([shot.data]).results[0].faces or ()) for shot in shots]
        asked = {
            path: [_form(path, [shot], n) for shot, n in zip(shots, counts, strict=True)]
            for path in PATHS
        }

        def load(path: str, clients: int) -> Load:
            return _loaded(url, asked[path], "all", clients, seconds)

        alone, stages_alone = _staged(url, lambda: load("/embed", 1))
        together, stages_together = _staged(url, lambda: load("/identify", COMPARED))
        done = {("/embed", 1): alone, ("/identify", COMPARED): together}
        loads = [done.get((p, n)) or load(p, n) for p in PATHS for n in CLIENTS]
        sizes = [
            _loaded(url, [one], shot.name, 1, seconds)
            for one, shot in zip(asked["/embed"], shots, strict=True)
        ]
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(load("/embed", COMPARED).faces_per_second)
            files = [shot.data for shot in shots]
            theirs.append(beside.submit(_pipeline, files, counts, seconds).result())
        crops_service, crops_pipeline = _crops(url, beside, seconds)
    return Report(
        cpus=available_cpus(),
        load_average=[before, os.getloadavg()[0]],
        pictures={shot.name: len(shot.data) for shot in shots},
        loads=loads,
        sizes=sizes,
        service_faces_per_second=ours,
        pipeline_faces_per_second=theirs,
        throughput_ratio=sum(ours) / sum(theirs),
        p99_over_p50={
            each.path: each.p99_ms / each.p50_ms for each in loads if each.clients == COMPARED
        },
        crops_service_ms=crops_service,
        crops_pipeline_ms=crops_pipeline,
        crops_overhead=crops_service / crops_pipeline - 1,
        stages_alone=stages_alone,
        stages_together=stages_together,
    )


# The service


def _form(path: str, shots: Sequence[Photograph], faces: int, **fields: str) -> Asked:
    files = [("images", (shot.name, shot.data)) for shot in shots]
    made = httpx.Request("POST", f"http://any{path}", data=fields, files=files)
    return Asked(path, made.read(), made.headers["content-type"], faces)


def _loaded(url: str, asked: Sequence[Asked], pictures: str, clients: int, seconds: float) -> Load:
    """What is begun in time counts, and is waited for.

    By the plainest client there is: a richer one costs milliseconds a request, of the same cores.
    """
    turn = itertools.cycle(asked)
    began = time.perf_counter()

    def client(_: int) -> tuple[list[float], int, int]:
        took, faces, refused = list[float](), 0, 0
        with closing(HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT)) as connection:
            while (sent := time.perf_counter()) < began + seconds:
                one = next(turn)
                headers = {"content-type": one.content_type}
                connection.request("POST", one.path, one.body, headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status == 503:
                    refused += 1
                    time.sleep(PAUSE)
                elif answer.status != 200:
                    raise RuntimeError(f"{one.path} was answered with {answer.status}")
                else:
                    took.append(time.perf_counter() - sent)
                    faces += one.faces
        return took, faces, refused

    with ThreadPoolExecutor(clients) as pool:
        tallies = list(pool.map(client, range(clients)))
    wall = time.perf_counter() - began
    took = [one for each, _, _ in tallies for one in each]
    faces, refused = sum(each for _, each, _ in tallies), sum(each for _, _, each in tallies)
    p50, p99 = (float(cut) * 1000 for cut in np.percentile(took, [50, 99]))
    return Load(asked[0].path, pictures, clients, len(took), refused, faces / wall, p50, p99)


def _staged(url: str, run: Callable[[], Load]) -> tuple[Load, dict[str, Stage]]:
    before = _stage_sums(url)
    load = run()
    after = _stage_sums(url)
    spent = {
        name: (count - before.get(name, (0, 0))[0], total - before.get(name, (0, 0))[1])
        for name, (count, total) in after.items()
    }
    whole = sum(total for _, total in spent.values())
    return load, {
        name: Stage(int(count), total / count * 1000, total / whole)
        for name, (count, total) in spent.items()
        if count
    }


def _stage_sums(url: str) -> dict[str, tuple[float, float]]:
    """Stage -> how often, and seconds in all, from the service's metrics."""
    text = httpx.get(f"{url}/metrics", timeout=TIMEOUT).raise_for_status().text
    (family,) = (f for f in text_string_to_metric_families(text) if f.name == "face_stage_seconds")
    sums = {s.labels["stage"]: s.value for s in family.samples if s.name.endswith("_sum")}
    counts = {s.labels["stage"]: s.value for s in family.samples if s.name.endswith("_count")}
    return {name: (counts[name], total) for name, total in sums.items()}


def _crops(url: str, beside: ProcessPoolExecutor, seconds: float) -> tuple[float, float]:
    """Median ms of the same aligned crops by the service and by the pipeline, in turn."""
    file = BytesIO()
    Pil.fromarray(close_up()).save(file, "PNG")
    crops = [Photograph("crop.png", file.getvalue())] * CROPS
    asked = [_form("/embed", crops, CROPS, aligned="true")]
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_loaded(url, asked, "crops", 1, seconds / ROUNDS).p50_ms)
        files = [crop.data for crop in crops]
        theirs.append(beside.submit(_pipeline_crops, files, seconds / ROUNDS).result())
    return statistics.median(ours), statistics.median(theirs)


# The pipeline alone, in a process that keeps it between the calls

_analyzer: Analyzer | None = None


def _kept_analyzer() -> Analyzer:
    global _analyzer
    if _analyzer is None:
        quieten_numpy()
        _analyzer = build_analyzer(read_settings())
        _analyzer.detect([decode_image(astronaut_file().read_bytes(), ImageLimits())])
    return _analyzer


def _pipeline(files: Sequence[bytes], counts: Sequence[int], seconds: float) -> float:
    """Faces a second that as many threads decode, find and embed."""
    analyzer, turn = _kept_analyzer(), itertools.cycle(range(len(files)))
    began = time.perf_counter()

    def work(_: int) -> int:
        faces = 0
        while time.perf_counter() < began + seconds:
            place = next(turn)
            analyzer.analyze([decode_photo(files[place], ImageLimits(), analyzer.side)])
            faces += counts[place]
        return faces

    with ThreadPoolExecutor(COMPARED) as pool:
        faces = sum(pool.map(work, range(COMPARED)))
    return faces / (time.perf_counter() - began)


def _pipeline_crops(files: Sequence[bytes], seconds: float) -> float:
    """Median ms of one batch, decoded and embedded."""
    analyzer, took = _kept_analyzer(), list[float]()
    until = time.perf_counter() + seconds
    while not took or time.perf_counter() < until:
        began = time.perf_counter()
        images = [decode_photo(file, ImageLimits(), analyzer.side) for file in files]
        analyzer.analyze(images, aligned=True)
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000
