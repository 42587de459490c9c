"""`face doctor`: each part that a service needs, whether it works, and how to mend it."""

import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
from rich.table import Table
from rich.text import Text

from app.client import ClientError, FaceClient
from app.commands.samples import astronaut, astronaut_file
from app.cpu import available_cpus
from app.errors import FaceError
from app.gallery import Gallery
from app.pipeline.analyze import Analyzer
from app.settings import Settings, read_settings
from app.wiring import build_analyzer, build_gallery
from models import weights
from models.catalog import card as card_named

Status = Literal["ok", "warn", "fail"]
STYLES: dict[Status, str] = {"ok": "green", "warn": "yellow", "fail": "bold red"}

PACKAGES = ("numpy", "opencv-python", "onnxruntime", "faiss-cpu", "fastapi", "sqlalchemy")
LOW_DISK = 1024**3  # bytes
SLOW = 2.0  # seconds for one picture of 512 x 512
EMBEDDING_TOLERANCE = 1e-3  # of the length 1


@dataclass(frozen=True)
class Check:
    name: str
    status: Status
    said: str
    mend: str = ""


def table(checks: list[Check]) -> Table:
    grid = Table(header_style="bold", pad_edge=False)
    grid.add_column("part", no_wrap=True)
    grid.add_column("")
    grid.add_column("found", overflow="fold")
    grid.add_column("how to mend it", overflow="fold")
    for check in checks:
        status = Text(check.status, STYLES[check.status])
        grid.add_row(check.name, status, Text(check.said), Text(check.mend))
    return grid


def check_here(data: Path | None) -> Iterator[Check]:
    """The installation and a data folder. What needs a broken part is left out."""
    yield _python()
    yield _packages()
    try:
        settings = read_settings({"data_dir": data})
    except FaceError as exc:
        yield Check("settings", "fail", str(exc), "correct or unset the variable")
        return
    yield _cpu(settings)
    yield _data_folder(settings.data_dir)
    yield _model_file(settings)
    try:
        analyzer = build_analyzer(settings)
    except FaceError as exc:
        yield Check("networks", "fail", str(exc), "see the lines above, FACE_MODEL, FACE_DETECTOR")
        return
    try:
        yield _engine(settings)
        yield _attempt("self test", lambda: _self_test(analyzer))
        yield from _gallery(settings, analyzer)
    finally:
        analyzer.close()


def check_service(url: str, key: str | None) -> Iterator[Check]:
    """A running service, seen from outside."""
    with FaceClient(url, key) as client:
        try:
            health = client.health()
        except ClientError as exc:
            mend = "start it with `face serve`, or correct --url" if exc.status == 0 else ""
            yield Check("service", "fail", exc.detail, mend)
            return
        yield Check("service", "ok", f"{url} is {health.status}")
        yield _attempt("networks", lambda: _remote_networks(client))
        yield _attempt("collections", lambda: _remote_collections(client))
        yield _attempt("self test", lambda: _remote_self_test(client))


def _attempt(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except (FaceError, ClientError) as exc:
        return Check(name, "fail", str(exc))


def _python() -> Check:
    said = f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}"
    return Check("python", "ok", said)


def _packages() -> Check:
    found, absent = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            absent.append(name)
    if absent:
        return Check("packages", "fail", f"absent: {', '.join(absent)}", "pip install -e .")
    return Check("packages", "ok", ", ".join(found))


def _cpu(settings: Settings) -> Check:
    cpus, cores = available_cpus(), os.cpu_count() or 1
    threads = settings.threads or cpus
    said = f"{cpus} CPUs of {cores} may be used; {threads} threads"
    if threads > cpus:
        return Check("cpu", "warn", said, "set FACE_THREADS to at most the quota, or unset it")
    return Check("cpu", "ok", said)


def _data_folder(folder: Path) -> Check:
    place = folder if folder.exists() else folder.absolute().parent
    if not place.exists() or not os.access(place, os.W_OK | os.X_OK):
        return Check("data folder", "fail", f"{folder} cannot be written", "FACE_DATA_DIR, --data")
    free = shutil.disk_usage(place).free
    known = "" if folder.exists() else " (made at the first start)"
    said = f"{folder}{known}, {free >> 20} MiB free"
    if free < LOW_DISK:
        return Check("data folder", "warn", said, "make room on the disk")
    return Check("data folder", "ok", said)


def _model_file(settings: Settings) -> Check:
    try:
        card = card_named(settings.model)
        file = settings.model_file or weights.find(card)  # find compares with the card's hash
        digest = weights.sha256_of(file)
    except (weights.WeightsError, LookupError, OSError) as exc:
        return Check("model file", "fail", str(exc), "FACE_MODEL, FACE_MODEL_FILE")
    said = f"{card.name}, {file}, sha256 {digest[:16]}"
    if settings.model_file:
        return Check("model file", "ok", f"{said}, by FACE_MODEL_FILE")
    if not card.sha256:
        return Check("model file", "warn", f"{said}, not pinned by its card")
    return Check("model file", "ok", said)


def _engine(settings: Settings) -> Check:
    providers = ", ".join(onnxruntime.get_available_providers())
    precision = "bfloat16" if settings.runtime == "openvino-bf16" else "float32"
    engine = f"{settings.runtime} in {precision}, detector {settings.detector}"
    return Check("networks", "ok", f"{engine}; ONNX Runtime has {providers}")


def _self_test(analyzer: Analyzer) -> Check:
    """A photograph goes through the whole pipeline, and its embedding must be one."""
    image = astronaut()
    started = time.perf_counter()
    face = analyzer.for_enrolment(image, faces="largest")
    seconds = time.perf_counter() - started
    length = 0.0 if face.embedding is None else float(np.linalg.norm(face.embedding))
    if abs(length - 1) > EMBEDDING_TOLERANCE:
        return Check("self test", "fail", f"the embedding has length {length:.3f}, not 1")
    return _timed(f"a face found with {face.score:.2f} and embedded", seconds)


def _timed(said: str, seconds: float) -> Check:
    said = f"{said} in {seconds * 1000:.0f} ms"
    if seconds > SLOW:
        return Check("self test", "warn", said, "another load, or too few CPUs?")
    return Check("self test", "ok", said)


def _gallery(settings: Settings, analyzer: Analyzer) -> Iterator[Check]:
    """The store opens, and the index holds what the store holds."""
    if not settings.data_dir.exists():
        yield Check("store", "ok", "nothing is stored yet")
        return
    try:
        gallery = build_gallery(settings, analyzer)
    except FaceError as exc:
        yield Check("store", "fail", str(exc), "for a running service: face doctor --url")
        return
    try:
        yield _attempt("store", lambda: _counts(gallery))
    finally:
        gallery.close()


def _counts(gallery: Gallery) -> Check:
    people, faces = gallery.counts()
    collections = len(gallery.collections())
    said = f"{people} people, {faces} faces, {collections} collections; the index agrees"
    return Check("store", "ok", said)


def _remote_networks(client: FaceClient) -> Check:
    models = client.models()
    said = f"{models.embedder} on {models.runtime}, detector {models.detector}"
    return Check("networks", "ok", said)


def _remote_collections(client: FaceClient) -> Check:
    shown = [f"{c.name}: {c.people} people, {c.faces} faces" for c in client.collections()]
    return Check("collections", "ok", "; ".join(shown))


def _remote_self_test(client: FaceClient) -> Check:
    started = time.perf_counter()
    (result,) = client.embed([astronaut_file()], faces="largest").results
    seconds = time.perf_counter() - started
    if result.error or not result.faces:
        said = result.error.detail if result.error else "no face was found in the sample picture"
        return Check("self test", "fail", said)
    return _timed("a face found and embedded", seconds)
