"""Keeps the index equal to the store, whatever fell over in between.

The store is the truth. Each change leaves entries in its journal; `follow` makes the index agree
with the store about just those, and the entries are forgotten in the next change, to spare a commit
of their own. Everything here may run twice. The caller lets one thread in at a time.
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from sqlalchemy import Connection

from app.errors import FaceError, Unavailable
from app.gallery.served import ServedModels
from app.index.base import Index
from app.store import collection_rows, face_rows, journal
from app.store.face_rows import Vectors
from app.store.journal import Entry
from app.store.store import Store

CHUNK = 4096  # vectors held at once while an index is rebuilt
ENTRIES = 1000  # journal entries followed at once


def index_name(collection_key: int, contract: str) -> str:
    """By key, not by name: a collection made anew under an old name is another one. By contract
    too, so that vectors of the next model can be made ready beside those that are searched."""
    return f"c{collection_key}_{contract}"


def parts_of(name: str) -> tuple[int, str]:
    """Of such a name the collection's key and the contract."""
    key, _, contract = name.removeprefix("c").partition("_")
    return int(key), contract


def stored_vectors(store: Store, key: int) -> Iterator[Vectors]:
    """All vectors of a collection, in the order of their ids, a chunk at a time."""
    last = 0
    while True:
        # A short transaction for each step: a long one would keep the log from being emptied.
        with store.read() as connection:
            step = face_rows.vectors_after(connection, key, last, CHUNK)
        if len(step.ids) == 0:
            return
        yield step
        last = int(step.ids[-1])


class Projection:
    def __init__(self, store: Store, index: Index, models: ServedModels) -> None:
        self._store = store
        self._index = index
        self._models = models
        self._followed = 0  # number of the last journal entry that the index has followed
        self.behind = False  # the index failed; the journal knows where to go on

    def reconcile(self) -> None:
        """Make the index equal to the store, from nothing if need be."""
        names = self._names()
        for name in set(self._index.collections()) - set(names.values()):
            self._index.drop(name)
        self.follow()
        for key, name in names.items():
            with self._store.read() as connection:
                stored = face_rows.count(connection, key)
            if self._index.count(name) != stored:
                self.rebuild(key, name)

    def require_ready(self) -> None:
        """Raises Unavailable, with how far it is, while the index is being made."""

    def close(self) -> None:
        """May be called twice."""

    def follow(self) -> None:
        """Follow the journal to its end."""
        try:
            while self._follow_some():
                pass
        except FaceError:
            self.behind = True
            raise
        except Exception as error:
            self.behind = True
            raise Unavailable(
                "the change is stored, but the search index could not follow it yet"
            ) from error
        self.behind = False

    def forget_followed(self, connection: Connection) -> None:
        journal.forget(connection, self._followed)

    def rebuild(self, key: int, name: str) -> None:
        """From nothing; searches meanwhile find a part of it."""
        self._index.drop(name)
        for step in stored_vectors(self._store, key):
            self._index.add(name, step.ids, step.embeddings)

    def waiting(self) -> int:
        """Entries that the index has not followed."""
        with self._store.read() as connection:
            return journal.count(connection, self._followed)

    def _names(self) -> dict[int, str]:
        """What the index has to have: collection key -> name."""
        with self._store.read() as connection:
            contracts = collection_rows.contracts(connection)
        return {k: index_name(k, held) for k, held in contracts.items() if self._projects(held)}

    def _projects(self, contract: str) -> bool:
        return contract in self._models

    def _follow_some(self) -> bool:
        """Whether there may be more."""
        with self._store.read() as connection:
            entries = journal.entries(connection, self._followed, ENTRIES)
        if entries:
            self._agree_about(entries)
            self._followed = entries[-1].number
        return bool(entries)

    def _agree_about(self, entries: list[Entry]) -> None:
        faces: dict[int, set[int]] = defaultdict(set)
        for entry in entries:
            faces[entry.collection_key].update(() if entry.face is None else (entry.face,))
        wholes = {entry.collection_key for entry in entries if entry.face is None}
        with self._store.read() as connection:
            contracts = collection_rows.contracts(connection, faces)
            for key, ids in faces.items():
                held = contracts.get(key)  # None: the collection is gone
                name = index_name(key, held) if held and self._projects(held) else None
                if key in wholes:
                    self._drop_others(key, name)
                if name is not None:
                    self._agree_about_faces(connection, name, ids)

    def _drop_others(self, key: int, name: str | None) -> None:
        """What the index has of the collection under other contracts than `name` says."""
        for other in self._index.collections():
            if other.startswith(index_name(key, "")) and other != name:
                self._index.drop(other)

    def _agree_about_faces(self, connection: Connection, name: str, ids: set[int]) -> None:
        stored = face_rows.vectors(connection, ids)
        gone = ids.difference(stored.ids.tolist())
        self._index.remove(name, np.fromiter(gone, np.int64, len(gone)))
        self._index.add(name, stored.ids, stored.embeddings)
