"""How fast, how rightly and in how much memory a gallery finds faces: its whole way, from the
embedding to ranked people, beside raw FAISS and NumPy over the same vectors.

The vectors are made up to behave like faces: people lie at random on the sphere, four faces around
each, a probe further out, so that most of its neighbours are strangers. No direction is better than
another, which is the hardest case for an index that looks for structure. Each part runs in a
process of its own, with a filled folder and nothing else in memory.
"""

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import faiss
import numpy as np
from sqlalchemy import insert

from app.bench.process import alone, anonymous
from app.cpu import available_cpus, quieten_numpy
from app.entities import DEFAULT_COLLECTION, Contract, Floats, NewFace
from app.errors import Unavailable
from app.gallery import Gallery
from app.gallery.originals import originals_of
from app.gallery.projection import index_name
from app.gallery.ranking import Ranking
from app.index.base import Ids
from app.index.local import Kind, LocalIndex
from app.store.face_rows import written_vector
from app.store.store import Store, sqlite_url
from app.store.tables import faces, people

PER_PERSON = 4
SAME = 0.6  # cosine of two faces of a person
PROBE = 0.45  # cosine of a probe with its person's faces, about
STEP = 20_000  # faces made at once
PROBES, STRANGERS = 1000, 200
CLIENTS = 16
ONE_BY_ONE = 300  # searches by one client
SECONDS = 5.0  # of searches by all clients
ENROLMENTS = 50
KEY = 1  # of the collection `default`
TRUTH = "truth.npz"

Figures = dict[str, float]


@dataclass(frozen=True)
class Task:
    faces: int
    dim: int
    kind: Kind
    recall: float
    folder: Path

    @property
    def contract(self) -> Contract:
        return Contract(f"bench{self.dim}", "bench", self.dim)


def measure(task: Task) -> dict[str, Figures]:
    """Fills the task's folder, unless it is filled; what is measured leaves it as it was."""
    if not (task.folder / TRUTH).exists():
        alone(_fill, task)
        alone(_find_truth, task)
    return {
        "first start": alone(_start, task),
        "start": alone(_start, task),
        "gallery": alone(_search, task),
        "faiss flat, numpy": alone(_baseline, task),
    }


def run(faces: int, dim: int, kind: Kind, recall: float, folder: Path | None) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as made:
        where = folder or Path(made)
        where.mkdir(parents=True, exist_ok=True)
        task = Task(faces, dim, kind, recall, where)
        about = {"faces": faces, "dim": dim, "kind": kind, "recall": recall}
        return {**about, "cpus": available_cpus(), **measure(task)}


# What is searched


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _around(centres: Floats, cosine: float, random: np.random.Generator) -> Floats:
    """(N, D) at about this cosine to their centres (N, D)."""
    noise = _unit(random.standard_normal(centres.shape, np.float32))
    return _unit(cosine * centres + (1 - cosine**2) ** 0.5 * noise)


def _steps(task: Task) -> Iterator[tuple[Floats, Floats]]:
    """(people, D) and their faces (PER_PERSON for each, D); the same each time."""
    for start in range(0, task.faces, STEP):
        random = np.random.default_rng([task.dim, start])
        count = min(STEP, task.faces - start) // PER_PERSON
        centres = _unit(random.standard_normal((count, task.dim), np.float32))
        yield centres, _around(np.repeat(centres, PER_PERSON, axis=0), SAME**0.5, random)


def _fill(task: Task) -> None:
    """Straight into the tables: it is not what is measured."""
    with _Opened(task) as (_, store, _index):
        pass
    store = Store(sqlite_url(task.folder / "face.db"))
    now, person = datetime.now(UTC), 0
    for centres, vectors in _steps(task):
        with store.write() as connection:
            keys = range(person + 1, person + len(centres) + 1)
            some = {"collection_id": KEY, "created_at": now}
            told = {"metadata": {}, "updated_at": now, **some}
            connection.execute(
                insert(people),
                [{"id": k, "person": f"p{k}", "name": "", "folded": f"p{k}", **told} for k in keys],
            )
            owners = np.repeat(np.asarray(keys), PER_PERSON).tolist()
            connection.execute(
                insert(faces),
                [
                    {"person_id": owner, "embedding": written_vector(connection, row), **some}
                    for owner, row in zip(owners, vectors, strict=True)
                ],
            )
            person = keys[-1]
    store.close()


def _find_truth(task: Task) -> None:
    """Probes, and the ten faces that are nearest to each by all float32 vectors."""
    random = np.random.default_rng(task.dim)
    chosen = random.integers(0, task.faces // PER_PERSON, PROBES)
    centres = np.concatenate([step for step, _ in _steps(task)])[chosen]
    known = _around(centres, PROBE / SAME**0.5, random)
    strangers = _unit(random.standard_normal((STRANGERS, task.dim), np.float32))
    probes = np.concatenate([known, strangers])
    best = faiss.ResultHeap(len(probes), 10, keep_max=True)
    first = 1  # ids of faces
    for _, vectors in _steps(task):
        scores, rows = faiss.knn(probes, vectors, 10, faiss.METRIC_INNER_PRODUCT)
        best.add_result(scores, rows + first)
        first += len(vectors)
    best.finalize()
    np.savez(task.folder / TRUTH, probes=probes, scores=best.D, ids=best.I)


def _truth(task: Task) -> tuple[Floats, Floats, Ids]:
    with np.load(task.folder / TRUTH) as arrays:
        return arrays["probes"], arrays["scores"], arrays["ids"]


# What is measured


class _Opened:
    """A gallery on the task's folder, ready to be searched."""

    def __init__(self, task: Task) -> None:
        quieten_numpy()
        self._store = Store(sqlite_url(task.folder / "face.db"))
        self._index = LocalIndex(
            originals_of(self._store),
            folder=task.folder,
            kind=task.kind,
            recall=task.recall,
            threads=available_cpus(),
        )
        self._gallery = Gallery(self._store, self._index, task.contract, 0.5)

    def __enter__(self) -> tuple[Gallery, Store, LocalIndex]:
        while True:
            try:
                self._gallery.require_ready()
                break
            except Unavailable:  # it is still being made
                time.sleep(0.01)
        return self._gallery, self._store, self._index

    def __exit__(self, *_: object) -> None:
        self._gallery.close()


def _start(task: Task) -> Figures:
    """The first time from the store's rows, then from the saved file."""
    before, cpu, began = anonymous(), time.process_time(), time.perf_counter()
    with _Opened(task):
        seconds, busy = time.perf_counter() - began, time.process_time() - cpu
        memory = anonymous() - before
    return {
        "ready, s": seconds,
        "ready, s of processor": busy,
        "memory per face, bytes": memory / task.faces,
    }


def _search(task: Task) -> Figures:
    probes, _, nearest = _truth(task)
    before = anonymous()
    with _Opened(task) as (gallery, store, index):
        name = index_name(KEY, task.contract.id)
        found = index.search(name, probes, 10)[1]
        known, strangers = slice(0, PROBES), slice(PROBES, None)
        ranking = Ranking(store, index)
        searched = [each[None] for each in probes[known]]

        def search(probe: Floats) -> object:
            return ranking.rank(name, probe, 2)

        def identify(probe: Floats) -> object:
            return gallery.identify(DEFAULT_COLLECTION, probe)

        figures = {
            "recall@1": _recall(found[known, :1], nearest[known, :1]),
            "recall@10": _recall(found[known], nearest[known]),
            "strangers recall@1": _recall(found[strangers, :1], nearest[strangers, :1]),
            **_one_client("search", search, searched),
            **_clients("search", search, searched),
            **_one_client("identify", identify, searched),
            **_clients("identify", identify, searched),
        }
        figures["memory per face after searches, bytes"] = (anonymous() - before) / task.faces
        figures |= _changing(gallery, search, searched, task)
        ranking.close()
    return figures


def _changing(
    gallery: Gallery, search: Callable[[Floats], object], probes: Sequence[Floats], task: Task
) -> Figures:
    """Enrolments and deletions, each on disk before the next, while one client searches."""
    stop = threading.Event()
    vectors = _unit(np.random.default_rng().standard_normal((ENROLMENTS, task.dim), np.float32))
    took: list[float] = []

    def searching() -> None:
        while not stop.is_set():
            took.append(_seconds(search, probes[len(took) % len(probes)]))

    client = threading.Thread(target=searching)
    client.start()
    began = time.perf_counter()
    for number, vector in enumerate(vectors):
        gallery.enrol(DEFAULT_COLLECTION, f"new{number}", [NewFace(vector)])
    added = time.perf_counter() - began
    for number in range(len(vectors)):
        gallery.delete_person(DEFAULT_COLLECTION, f"new{number}")
    stop.set()
    client.join()
    return {
        "enrolments per s, beside searches": len(vectors) / added,
        **_quantiles("search beside changes", took),
    }


def _baseline(task: Task) -> Figures:
    """Both hold all float32 vectors in memory and know no people."""
    probes, *_ = _truth(task)
    vectors = np.empty((task.faces, task.dim), np.float32)
    first = 0
    for _, some in _steps(task):
        vectors[first : first + len(some)] = some
        first += len(some)
    faiss.omp_set_num_threads(available_cpus())
    single = [probe[None] for probe in probes[:20]]

    def flat(queries: Floats) -> object:
        return faiss.knn(queries, vectors, 10, faiss.METRIC_INNER_PRODUCT)

    def numpy(query: Floats) -> object:
        scores = vectors @ query[0]
        return np.argpartition(-scores, 10)[:10]

    batch = probes[:CLIENTS]
    together = min(_seconds(flat, batch) for _ in range(3))
    return {
        **_one_client("faiss flat", flat, single),
        "faiss flat, searches per s in batches of 16": len(batch) / together,
        **_one_client("numpy", numpy, single),
        "memory per face, bytes": vectors.nbytes / task.faces,
    }


def _one_client(what: str, work: Callable[[Floats], object], probes: Sequence[Floats]) -> Figures:
    count = min(ONE_BY_ONE, len(probes))
    for probe in probes[: count // 10]:
        work(probe)  # the first ones fill caches
    cpu = time.process_time()
    took = [_seconds(work, probe) for probe in probes[:count]]
    busy = (time.process_time() - cpu) / count * 1000
    return {**_quantiles(what, took), f"{what}, ms of processor": busy}


def _clients(what: str, work: Callable[[Floats], object], probes: Sequence[Floats]) -> Figures:
    took: list[float] = []
    end = time.perf_counter() + SECONDS

    def client(first: int) -> None:
        place = first
        while time.perf_counter() < end:
            took.append(_seconds(work, probes[place % len(probes)]))
            place += CLIENTS

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = len(took) / (time.perf_counter() - began)
    many = f"{what} by {CLIENTS} clients"
    return {f"{many}, per s": rate, **_quantiles(many, took)}


def _seconds(work: Callable[[Floats], object], probe: Floats) -> float:
    began = time.perf_counter()
    work(probe)
    return time.perf_counter() - began


def _quantiles(what: str, took: Sequence[float]) -> Figures:
    cuts = statistics.quantiles(took, n=100)
    return {f"{what}, p50 ms": cuts[49] * 1000, f"{what}, p99 ms": cuts[98] * 1000}


def _recall(found: Ids, nearest: Ids) -> float:
    hits = [np.isin(true, some).mean() for some, true in zip(found, nearest, strict=True)]
    return float(np.mean(hits))
