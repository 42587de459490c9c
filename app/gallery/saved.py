"""The same for an index that keeps itself in a file, so that a large gallery is back at once.

Saving leaves a mark in the journal, a number and a random token, and both in the file. As long as
the file is kept, the journal forgets nothing behind the mark: a file whose mark the journal still
has is of this store, and following the journal from there makes it agree. Any other file is none.

Whoever deletes a face has the file deleted before the answer: it holds codes of faces. The next
one is written soon after, while searches and changes go on.
"""

import logging
import secrets
import threading
import time

from sqlalchemy import Connection

from app.errors import FaceError, Unavailable
from app.gallery.projection import Projection, stored_vectors
from app.gallery.served import ServedModels
from app.index.base import SavedIndex
from app.store import face_rows, journal
from app.store.journal import Entry
from app.store.store import Store

PATIENCE = 2.0  # seconds that the start waits for the index; a larger one is made while it serves
LOOK_SECONDS = 10.0  # between two looks at whether there is something to save
REST = 20  # times as long as the last saving took, until the next
ENTRIES_BEHIND = 10_000  # that a start may have to follow

log = logging.getLogger("face.index")


class SavedProjection(Projection):
    """Where the store is encrypted nothing is saved: the file would not be."""

    def __init__(self, store: Store, index: SavedIndex, models: ServedModels) -> None:
        super().__init__(store, index, models)
        self._saved = index
        self._one = threading.RLock()  # who holds it may then wait for the store, not the reverse
        self._kept = 0  # number of the mark that the file has; 0: there is no file
        self._erasures = 0  # since the start; a file begun before one is not kept
        self._made, self._of = 0, 0  # faces, while the index is made
        self._fault: FaceError | None = None
        self._prepared, self._closing = threading.Event(), threading.Event()
        self._load()
        self._worker = threading.Thread(target=self._work, name="index", daemon=True)

    # Start

    def reconcile(self) -> None:
        """The first time it returns after PATIENCE seconds, ready or not."""
        if not self._prepared.is_set():
            self._worker.start()
            self._prepared.wait(PATIENCE)
            if self._fault is not None:
                raise self._fault
            return
        with self._one:
            super().reconcile()

    def require_ready(self) -> None:
        if self._fault is not None:
            raise self._fault
        if not self._prepared.is_set():
            raise Unavailable(
                f"the search index is being made: {self._made} of {self._of} faces; "
                "until then nobody can be found"
            )

    def follow(self) -> None:
        """Until the index is made, what is stored waits in the journal."""
        if self._prepared.is_set() or threading.current_thread() is self._worker:
            with self._one:
                super().follow()

    def forget_followed(self, connection: Connection) -> None:
        # Read without the lock: a mark that is too old only leaves more in the journal.
        journal.forget(connection, self._kept - 1 if self._kept else self._followed)

    def rebuild(self, key: int, name: str) -> None:
        with self._one:
            self._unsave()
            super().rebuild(key, name)

    def close(self) -> None:
        """Save what is not saved yet. May be called twice."""
        if self._closing.is_set():
            return
        self._closing.set()
        if self._worker.ident is not None:
            self._worker.join()

    def _load(self) -> None:
        mark = None if self._store.cipher else self._saved.load()
        if mark is not None:
            number, _, token = mark.partition(":")
            with self._store.read() as connection:
                if journal.has_mark(connection, int(number), int(token)):
                    self._kept = self._followed = int(number)
                    return
        for name in self._saved.collections():
            self._saved.drop(name)
        self._saved.unsave()

    def _work(self) -> None:
        try:
            self._prepare()
        except Exception as error:
            log.exception("the search index cannot be made")
            self._fault = (
                error
                if isinstance(error, FaceError)
                else Unavailable("the search index cannot be made")
            )
            return
        finally:
            self._prepared.set()
        rest = LOOK_SECONDS
        while not self._closing.wait(rest):
            rest = max(LOOK_SECONDS, REST * self._save_if_due(ENTRIES_BEHIND))
        self._save_if_due(1)

    def _prepare(self) -> None:
        """Changes go on meanwhile, and are followed at the end."""
        names = self._names()
        if set(self._saved.collections()) - set(names.values()):
            self._unsave()  # what is left of another model is dropped, from the file too
        missing = [(k, n) for k, n in names.items() if n not in self._saved.collections()]
        with self._store.read() as connection:
            self._of = sum(face_rows.count(connection, key) for key, _ in missing)
        for key, name in missing:
            for step in stored_vectors(self._store, key):
                if self._closing.is_set():
                    raise Unavailable("the service is shutting down")
                self._saved.add(name, step.ids, step.embeddings)
                self._made += len(step.ids)
        with self._one:
            super().reconcile()
            self._prepared.set()

    # The file

    def _agree_about(self, entries: list[Entry]) -> None:
        super()._agree_about(entries)
        if self._removes(entries):
            self._unsave()

    def _removes(self, entries: list[Entry]) -> bool:
        faces = {e.face for e in entries if e.collection_key != journal.MARKS and e.face}
        with self._store.read() as connection:
            here = face_rows.existing(connection, faces)
        return here < len(faces) or any(entry.face is None for entry in entries)

    def _unsave(self) -> None:
        self._erasures += 1
        if self._kept:
            self._saved.unsave()
            self._kept = 0

    def _save_if_due(self, behind: int) -> float:
        """Seconds that it took."""
        began = time.monotonic()
        try:
            stale = self._kept == 0 or self._followed - self._kept >= behind
            if stale and self._saved.worth_saving() and not self._store.cipher:
                self._save()
        except (FaceError, OSError) as error:  # a full disk: the next start takes longer
            log.warning("index not saved", extra={"facts": {"error": type(error).__name__}})
        return time.monotonic() - began

    def _save(self) -> None:
        token = secrets.randbits(62)
        with self._one:
            with self._store.write() as connection:
                number = journal.mark(connection, token)
            super().follow()
            erasures = self._erasures
        self._saved.write(f"{number}:{token}")
        with self._one:
            if self._erasures == erasures:
                self._saved.keep()
                self._kept = number
            else:
                self._saved.unsave()
                self._kept = 0
