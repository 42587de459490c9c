"""Every Prometheus metric, named once. No label carries a person, a collection or an address."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from app import tracing

# In the order of the work: the body comes in, a worker is waited for, and so on.
Stage = Literal["read", "wait", "decode", "detect", "align", "embed", "search", "store"]

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)  # memory, processor time, open files

REQUESTS = Counter(
    "face_requests",
    "Answered requests.",
    ["method", "path", "status"],
    registry=REGISTRY,
)
SECONDS = Histogram(
    "face_request_seconds",
    "From the request line to the end of the answer.",
    ["method", "path"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
STAGE_SECONDS = Histogram(
    "face_stage_seconds",
    "Time of one stage of a request, the waiting for its turn in it.",
    ["stage"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
PROBLEMS = Counter(
    "face_problems",
    "Requests answered with a problem, by its code.",
    ["code"],
    registry=REGISTRY,
)
IN_FLIGHT = Gauge(
    "face_picture_requests_in_flight",
    "Requests whose pictures are held in memory now.",
    registry=REGISTRY,
)
PICTURES_REFUSED = Counter(
    "face_pictures_refused",
    "Pictures answered with an error, by its code.",
    ["code"],
    registry=REGISTRY,
)
FACES_FOUND = Counter(
    "face_faces_found",
    "Faces found in pictures, by operation.",
    ["operation"],
    registry=REGISTRY,
)
DECISIONS = Counter(
    "face_decisions",
    "Probes by what was decided about them.",
    ["operation", "decision"],
    registry=REGISTRY,
)
TOP_SCORE = Histogram(
    "face_top_score",
    "Cosine of the best person for each identified probe; it drifts when the scene changes.",
    buckets=tuple(score / 20 for score in range(-2, 20)),
    registry=REGISTRY,
)
VERIFY_SCORE = Histogram(
    "face_verify_score",
    "Cosine of each comparison of two faces, or of a face with a person.",
    buckets=tuple(score / 20 for score in range(-2, 20)),
    registry=REGISTRY,
)
PEOPLE = Gauge("face_people", "People in the gallery.", registry=REGISTRY)
STORED_FACES = Gauge("face_stored_faces", "Faces in the gallery.", registry=REGISTRY)
BATCH_SIZE = Histogram(
    "face_batch_size",
    "Crops in one run of the embedder.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
    registry=REGISTRY,
)
BATCH_SECONDS = Histogram(
    "face_batch_seconds",
    "Time of one run of the embedder, without the waiting.",
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
    registry=REGISTRY,
)
QUEUE_DEPTH = Gauge(
    "face_queue_depth",
    "Crops that wait for the embedder.",
    registry=REGISTRY,
)
AUDIT_GROUP = Histogram(
    "face_audit_group",
    "Lines of the audit log that one commit writes for those who wait for theirs.",
    buckets=(1, 2, 4, 8, 16, 32, 64),
    registry=REGISTRY,
)


@contextmanager
def stage(name: Stage) -> Iterator[None]:
    """Times a stage, also one that fails, and makes it a span where traces are wanted."""
    began = time.perf_counter()
    try:
        with tracing.stage(name):
            yield
    finally:
        STAGE_SECONDS.labels(name).observe(time.perf_counter() - began)


def observe_batch(size: int, waiting: int) -> None:
    """What the micro-batcher tells of each batch before it runs."""
    BATCH_SIZE.observe(size)
    QUEUE_DEPTH.set(waiting)


def render() -> bytes:
    """All of them in the Prometheus text format."""
    return generate_latest(REGISTRY)
