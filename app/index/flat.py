"""Exact search in memory: FAISS's inner product over a matrix that this file owns.

FAISS's own flat index moves the whole tail when a vector is removed; here the last row takes the
place of the removed one, so a removal costs O(D). Searches run at once, changes run alone.
"""

import threading
from collections.abc import Sequence

import faiss
import numpy as np

from app.entities import Floats
from app.index.base import Ids
from app.index.lock import SharedLock

FIRST_CAPACITY = 64  # rows
NO_ID = -1
NO_SCORE = -1.0  # beside NO_ID: as far away as a cosine can be


class FlatIndex:
    """An `Index` that forgets everything when the process ends."""

    def __init__(self, *, threads: int = 0) -> None:
        """`threads` of one search; 0 leaves the number to FAISS, which counts the host's cores."""
        self._threads = threads
        self._matrices: dict[str, _Matrix] = {}
        self._naming = threading.Lock()  # guards the dict alone, never held during a search

    def add(self, collection: str, ids: Ids, vectors: Floats) -> None:
        if len(ids) == 0:
            return
        with self._naming:
            matrix = self._matrices.get(collection)
            if matrix is None:
                matrix = self._matrices[collection] = _Matrix(vectors.shape[1])
        matrix.put(ids, vectors)

    def remove(self, collection: str, ids: Ids) -> None:
        if matrix := self._matrices.get(collection):
            matrix.remove(ids)

    def search(self, collection: str, queries: Floats, k: int) -> tuple[Floats, Ids]:
        scores = np.full((len(queries), k), NO_SCORE, np.float32)
        ids = np.full((len(queries), k), NO_ID, np.int64)
        matrix = self._matrices.get(collection)
        if matrix is not None and len(queries) and k > 0:
            if self._threads:  # OpenMP keeps this number for each calling thread by itself
                faiss.omp_set_num_threads(self._threads)
            found_scores, found_ids = matrix.search(queries, k)
            width = found_ids.shape[1]
            scores[:, :width], ids[:, :width] = found_scores, found_ids
        return scores, ids

    def content(self, collection: str) -> tuple[Ids, Floats]:
        """A copy of all ids (N,) and vectors (N, D); KeyError for an unknown collection."""
        return self._matrices[collection].content()

    def count(self, collection: str) -> int:
        matrix = self._matrices.get(collection)
        return 0 if matrix is None else matrix.count

    def collections(self) -> Sequence[str]:
        with self._naming:
            return sorted(self._matrices)

    def drop(self, collection: str) -> None:
        with self._naming:
            self._matrices.pop(collection, None)

    def close(self) -> None:
        with self._naming:
            self._matrices.clear()


class _Matrix:
    """One collection: rows [0, count) are vectors, those behind are room to grow."""

    def __init__(self, dim: int) -> None:
        self.count = 0
        self._vectors = np.zeros((FIRST_CAPACITY, dim), np.float32)
        self._ids = np.full(FIRST_CAPACITY, NO_ID, np.int64)
        self._rows: dict[int, int] = {}  # id -> row
        self._lock = SharedLock()

    def put(self, ids: Ids, vectors: Floats) -> None:
        if vectors.shape != (len(ids), self._vectors.shape[1]):
            raise ValueError(f"vectors of shape {vectors.shape} do not fit this collection")
        # The last of an id that comes twice wins.
        sources = {int(face): source for source, face in enumerate(ids)}
        with self._lock.alone():
            self._make_room(self.count + len(sources))
            for face, source in sources.items():
                row = self._rows.get(face)
                if row is None:
                    row = self._rows[face] = self.count
                    self._ids[row] = face
                    self.count += 1
                self._vectors[row] = vectors[source]

    def remove(self, ids: Ids) -> None:
        with self._lock.alone():
            for face in ids.tolist():
                row = self._rows.pop(face, None)
                if row is None:
                    continue
                self.count -= 1
                last = self.count
                if row != last:
                    self._vectors[row] = self._vectors[last]
                    self._ids[row] = self._ids[last]
                    self._rows[int(self._ids[row])] = row
                self._vectors[last] = 0  # forgotten, not only out of reach
                self._ids[last] = NO_ID

    def search(self, queries: Floats, k: int) -> tuple[Floats, Ids]:
        """(Q, D) -> scores and ids (Q, min(k, count)), best first."""
        with self._lock.shared():
            k = min(k, self.count)
            if k == 0:
                return np.empty((len(queries), 0), np.float32), np.empty(
                    (len(queries), 0), np.int64
                )
            scores, rows = faiss.knn(
                queries, self._vectors[: self.count], k, faiss.METRIC_INNER_PRODUCT
            )
            ids = self._ids[rows]
        # Rounding can put the product of two unit vectors a hair outside of a cosine's range.
        return np.clip(scores, -1, 1, out=scores), ids

    def content(self) -> tuple[Ids, Floats]:
        with self._lock.shared():
            return self._ids[: self.count].copy(), self._vectors[: self.count].copy()

    def _make_room(self, rows: int) -> None:
        """Double the capacity as often as needed, so that adding stays O(D) on average."""
        capacity = len(self._ids)
        if rows <= capacity:
            return
        while capacity < rows:
            capacity *= 2
        vectors = np.zeros((capacity, self._vectors.shape[1]), np.float32)
        ids = np.full(capacity, NO_ID, np.int64)
        vectors[: self.count] = self._vectors[: self.count]
        ids[: self.count] = self._ids[: self.count]
        self._vectors, self._ids = vectors, ids
