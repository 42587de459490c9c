"""The same for an index that other processes change and search too.

Whoever follows the journal holds a lock that one process at a time has, and forgets the entries in
the transaction in which they were followed. So none is skipped, in whatever order the numbers were
committed; one that a killed process had in hand is followed by the next; and as the store is looked
up under the lock, what an index hears last is what the store said last.
"""

import logging
import threading

import numpy as np
from sqlalchemy import Connection

from app.errors import FaceError
from app.gallery.changes import Changes
from app.gallery.projection import CHUNK, ENTRIES, Projection
from app.gallery.saved import SavedProjection
from app.gallery.served import ServedModels
from app.index.base import Index, SavedIndex, SharedIndex
from app.store import face_rows, journal
from app.store.store import Store

COMPARISONS = 3  # a change under way looks like a difference, but not for long
LAST_ID = 2**63 - 1
WATCH_SECONDS = 2.0  # how long an entry that nobody follows may wait

log = logging.getLogger("face.index")


def projection_of(store: Store, index: Index, models: ServedModels) -> Projection:
    if isinstance(index, SharedIndex):
        return SharedProjection(store, index, models)
    if isinstance(index, SavedIndex):
        return SavedProjection(store, index, models)
    return Projection(store, index, models)


class SharedProjection(Projection):
    def __init__(self, store: Store, index: SharedIndex, models: ServedModels) -> None:
        super().__init__(store, index, models)
        self._shared = index

    def reconcile(self) -> None:
        """Mend what differs, in place. What the store does not know stays, it may be another's."""
        for key, name in self._names().items():
            for _ in range(COMPARISONS):
                self.follow()
                if self._counts_agree(key, name):
                    break
            else:
                self._mend(key, name)

    def forget_followed(self, connection: Connection) -> None:
        """They are forgotten already."""

    def rebuild(self, key: int, name: str) -> None:
        """In place: searches meanwhile find everything that was found before."""
        self._mend(key, name, every=True)

    def _projects(self, contract: str) -> bool:
        return True  # another replica may serve that model

    def _follow_some(self) -> bool:
        with self._store.follow() as connection:
            entries = journal.entries(connection, 0, ENTRIES)
            if entries:
                self._agree_about(entries)
                journal.forget_these(connection, [entry.number for entry in entries])
        return len(entries) == ENTRIES

    def _counts_agree(self, key: int, name: str) -> bool:
        indexed = self._shared.count(name)
        with self._store.read() as connection:
            return face_rows.count(connection, key) == indexed

    def _mend(self, key: int, name: str, *, every: bool = False) -> None:
        """Step by step along the ids; `every`: vectors that are there are replaced too."""
        last, end = 0, 0
        while last < LAST_ID:
            with self._store.follow() as connection:
                stored = face_rows.vectors_after(connection, key, last, CHUNK)
                end = int(stored.ids[-1]) if len(stored.ids) == CHUNK else LAST_ID
                held = self._shared.ids_between(name, last, end)
                strays = np.setdiff1d(held, stored.ids)
                missing = np.full(len(stored.ids), True) if every else ~np.isin(stored.ids, held)
                self._shared.remove(name, strays)
                self._shared.add(name, stored.ids[missing], stored.embeddings[missing])
            if len(strays) == 0:  # else there may be more of them than were told
                last = end


class Watch:
    """Follows what nobody else does: an import, or what a replica stored before it was killed."""

    def __init__(self, changes: Changes, projection: Projection) -> None:
        self._changes = changes
        self._projection = projection
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """May be called twice."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(WATCH_SECONDS):
            try:
                if self._projection.waiting():
                    self._changes.follow()
            except FaceError as error:  # the next look may find it mended
                log.warning("watch", extra={"facts": {"error": error.code}})
