"""Collections on their way to another model, each in a thread of its own."""

import logging
import threading
from dataclasses import dataclass, field
from typing import Literal

from app.entities import Contract
from app.errors import FaceError, NotFound
from app.gallery.changes import Changes
from app.gallery.lookups import collection_of
from app.gallery.reembed import Embed, Reembedding, Stopped
from app.gallery.served import ServedModels
from app.index.base import Index
from app.store import face_rows, other_vectors
from app.store.audit_rows import Act
from app.store.store import Store

log = logging.getLogger("face.reembed")


@dataclass(frozen=True)
class Progress:
    """Where a collection stands between two models. `none`: nobody moves it; `stopped`: on its way,
    and nobody works on it; `moved`: it can go back."""

    collection: str
    state: Literal["none", "running", "stopped", "moved"]
    held: Contract  # that it goes by
    other: Contract | None  # that it goes to, or came from
    made: int  # faces that have a vector of the other model
    faces: int
    said: str | None  # what ended the last run, where that was not its end


@dataclass
class _Job:
    thread: threading.Thread | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    fault: str | None = None  # the sentence that ended it

    @property
    def running(self) -> bool:
        return self.thread is not None and self.thread.is_alive()


_NO_JOB = _Job()


class ReembedJobs:
    """Nothing starts by itself: a move that a kill interrupted goes on when it is asked for again,
    with what was made before."""

    def __init__(self, store: Store, index: Index, models: ServedModels, changes: Changes) -> None:
        self._store = store
        self._index = index
        self._models = models
        self._changes = changes
        self._jobs: dict[str, _Job] = {}
        self._one = threading.Lock()
        self._closed = False

    def start(
        self, collection: str, embed: Embed, *, back: bool = False, threshold: float | None = None
    ) -> None:
        """To the main model, or back to the one before. Does nothing where it is under way."""
        with self._one:
            name = self.progress(collection).collection
            job = self._jobs.get(name)
            if self._closed or (job is not None and job.running):
                return
            job = self._jobs[name] = _Job()
            work = Reembedding(
                self._store, self._index, self._models, self._changes, embed, job.stop
            )
            work.begin(name, back=back, threshold=threshold)
            job.thread = threading.Thread(target=_run, args=(work, name, job), name="reembed")
            job.thread.start()

    def progress(self, collection: str) -> Progress:
        with self._store.read() as connection:
            row = collection_of(connection, collection)
            held = Contract(row.entity.contract, row.model, row.entity.dim)
            other = other_vectors.find(connection, row.key)
            made = other_vectors.count(connection, row.key) if other else 0
            faces = face_rows.count(connection, row.key)
        job = self._jobs.get(row.entity.name, _NO_JOB)
        state: Literal["none", "running", "stopped", "moved"] = "none"
        if job.running:
            state = "running"
        elif other:
            state = "moved" if other.served else "stopped"
        contract = other.contract if other else None
        return Progress(row.entity.name, state, held, contract, made, faces, job.fault)

    def forget(self, collection: str) -> None:
        """Stop, and delete the vectors of the other model, be it the next or the one before."""
        with self._one:
            name = self.progress(collection).collection
            _end(self._jobs.pop(name, None))
            with self._changes.begin(Act("forget_reembedding", name)) as connection:
                row = collection_of(connection, name)
                if other_vectors.find(connection, row.key) is None:
                    raise NotFound(f"the collection {name!r} has vectors of one model only")
                other_vectors.forget(connection, row.key)

    def close(self) -> None:
        """May be called twice."""
        with self._one:
            self._closed = True
            for job in self._jobs.values():
                _end(job)


def _run(work: Reembedding, collection: str, job: _Job) -> None:
    try:
        work.run(collection)
    except Stopped:
        job.fault = "it was stopped; started again, it goes on where it was"
    except FaceError as error:
        job.fault = str(error)
    except Exception as error:
        job.fault = "it failed; the log of the service says at what"
        log.error("reembed", extra={"facts": {"error": type(error).__name__}})


def _end(job: _Job | None) -> None:
    if job is not None and job.thread is not None:
        job.stop.set()
        job.thread.join()
