"""Keeps the index equal to the store, whatever fell over in between.

The store is the truth. Each change leaves entries in its journal; `follow` makes the index agree
with the store about just those, and the entries are forgotten in the next change, to spare a commit
of their own. Everything here may run twice. The caller lets one thread in at a time.
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from sqlalchemy import Connection

from app.entities import Contract
from app.errors import FaceError, Unavailable
from app.index.base import Index
from app.store import collection_rows, face_rows, journal
from app.store.face_rows import Vectors
from app.store.journal import Entry
from app.store.store import Store

CHUNK = 4096  # vectors held at once while an index is rebuilt
ENTRIES = 1000  # journal entries followed at once


def index_name(collection_key: int) -> str:
    """By key, not by name: a collection made anew under an old name is another one."""
    return f"c{collection_key}"


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
    def __init__(self, store: Store, index: Index, contract: Contract) -> None:
        self._store = store
        self._index = index
        self._contract = contract
        self._followed = 0  # number of the last journal entry that the index has followed
        self.behind = False  # the index failed; the journal knows where to go on

    def reconcile(self) -> None:
        """Make the index equal to the store, from nothing if need be."""
        with self._store.read() as connection:
            contracts = collection_rows.contracts(connection)
        served = [key for key, contract in contracts.items() if contract == self._contract.id]
        for name in set(self._index.collections()) - {index_name(key) for key in served}:
            self._index.drop(name)
        self.follow()
        for key in served:
            with self._store.read() as connection:
                stored = face_rows.count(connection, key)
            if self._index.count(index_name(key)) != stored:
                self.rebuild(key)

    def follow(self) -> None:
        """Follow the journal to its end."""
        try:
            while entries := self._next_entries():
                self._agree_about(entries)
                self._followed = entries[-1].number
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

    def rebuild(self, key: int) -> None:
        """From nothing; searches meanwhile find a part of it."""
        self._index.drop(index_name(key))
        for step in stored_vectors(self._store, key):
            self._index.add(index_name(key), step.ids, step.embeddings)

    def waiting(self) -> int:
        """Entries that the index has not followed."""
        with self._store.read() as connection:
            return journal.count(connection, self._followed)

    def _next_entries(self) -> list[Entry]:
        with self._store.read() as connection:
            return journal.entries(connection, self._followed, ENTRIES)

    def _agree_about(self, entries: list[Entry]) -> None:
        faces: dict[int, set[int]] = defaultdict(set)
        for entry in entries:
            faces[entry.collection_key].update(() if entry.face is None else (entry.face,))
        with self._store.read() as connection:
            contracts = collection_rows.contracts(connection, faces)
            for key, ids in faces.items():
                if contracts.get(key) != self._contract.id:  # gone, or of another model
                    self._index.drop(index_name(key))
                else:
                    self._agree_about_faces(connection, key, ids)

    def _agree_about_faces(self, connection: Connection, key: int, ids: set[int]) -> None:
        stored = face_rows.vectors(connection, ids)
        gone = ids.difference(stored.ids.tolist())
        self._index.remove(index_name(key), np.fromiter(gone, np.int64, len(gone)))
        self._index.add(index_name(key), stored.ids, stored.embeddings)
