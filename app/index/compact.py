"""Large collections in memory: int8 codes of all vectors, and signs to choose among them quickly.

Vectors are turned by a fixed random rotation, which leaves cosines as they are and makes all
coordinates alike. Kept are their int8 codes, and the signs of their products with some random
directions: two vectors at an angle differ in a share angle / pi of the signs (Charikar, Similarity
estimation techniques from rounding algorithms, 2002). A search counts the signs that differ from
the query's in every row, compares the codes of those where it is least, and asks the store for the
float32 vectors of the best few. So whom it finds is approximate, and every score an exact cosine.
"""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Literal

import faiss
import numpy as np
import numpy.typing as npt

from app.entities import Floats
from app.index.base import Ids, Originals
from app.index.table import Bytes, Column, Rows, Table

Kind = Literal["int8", "signs"]

CODES, SIGNS = "codes", "signs"
DIRECTIONS = 512  # at least as many signs as there are coordinates
RANGE = 6.0  # of a code, in standard deviations of a coordinate
ZERO = 127  # the code nearest to 0
SPARE = 8  # more rows than asked, compared exactly: codes can swap two that are nearly equal
LEAST_CANDIDATES = 1000  # rows whose codes are compared
ALL = 4  # where more than one in so many rows is a candidate, all codes are compared instead
LEAST_PART = 16_384  # rows worth a thread
AT_ONCE = 32  # queries
ROWS_AT_ONCE = 16_384  # float32 vectors that they are compared with

Places = npt.NDArray[np.int64]


class CompactIndex:
    """An `Index` that changes without stopping searches. It holds no float32 vectors."""

    def __init__(
        self, originals: Originals, *, kind: Kind, share: float = 0.0, threads: int = 1
    ) -> None:
        """`share` of a collection's rows whose codes are compared, for `signs`."""
        self._originals = originals
        self._kind = kind
        self._share = share
        self._threads = threads
        self._collections: dict[str, _Collection] = {}
        self._naming = threading.Lock()  # guards the dict alone
        # Threads of our own, each with one of OpenMP's: those would wait for one another spinning.
        self._pool = ThreadPoolExecutor(
            threads, "search", initializer=faiss.omp_set_num_threads, initargs=(1,)
        )

    def add(self, collection: str, ids: Ids, vectors: Floats) -> None:
        if len(ids) == 0:
            return
        with self._naming:
            held = self._collections.get(collection)
            if held is None:
                held = self._collections[collection] = _Collection(vectors.shape[1], self._kind)
        held.put(ids, vectors)

    def remove(self, collection: str, ids: Ids) -> None:
        if held := self._collections.get(collection):
            held.table.remove(ids)

    def search(self, collection: str, queries: Floats, k: int) -> tuple[Floats, Ids]:
        scores = np.full((len(queries), k), -1, np.float32)
        ids = np.full((len(queries), k), -1, np.int64)
        held = self._collections.get(collection)
        if held is not None and k > 0:
            step = max(1, min(AT_ONCE, ROWS_AT_ONCE // (k + SPARE)))
            for start in range(0, len(queries), step):
                some = slice(start, start + step)
                near = self._near(held, queries[some], k)
                self._rank(collection, queries[some], near, scores[some], ids[some])
        return scores, ids

    def count(self, collection: str) -> int:
        held = self._collections.get(collection)
        return 0 if held is None else held.table.count

    def collections(self) -> Sequence[str]:
        with self._naming:
            return sorted(self._collections)

    def drop(self, collection: str) -> None:
        with self._naming:
            self._collections.pop(collection, None)

    def close(self) -> None:
        with self._naming:
            self._collections.clear()
        self._pool.shutdown()

    def rows(self) -> Mapping[str, tuple[int, Rows]]:
        """Collection -> D and all its rows; a row that is removed meanwhile goes blank in them."""
        with self._naming:
            return {name: (held.dim, held.table.rows) for name, held in self._collections.items()}

    def take(self, collection: str, dim: int, rows: Rows) -> None:
        """Rows of another process's index of this kind. Raises ValueError where they do not fit."""
        held = _Collection(dim, self._kind)
        held.table.take(rows)
        with self._naming:
            self._collections[collection] = held

    def _near(self, held: "_Collection", queries: Floats, k: int) -> Ids:
        """Ids of all rows that may be among the k best of any query."""
        rows = held.table.rows
        turned = held.turned(queries)
        wanted = min(k + k // 2 + SPARE, len(rows))
        candidates = max(LEAST_CANDIDATES, int(self._share * len(rows)), 4 * wanted)
        if self._kind == "int8" or candidates * ALL > len(rows):
            candidates = len(rows)
        signs = held.signs(queries) if candidates < len(rows) else None
        step = -(-len(rows) // max(1, min(self._threads, len(rows) // LEAST_PART)))
        parts = [slice(start, start + step) for start in range(0, len(rows), step)]

        def best(part: slice) -> tuple[Floats, Places]:
            if signs is None:
                return held.by_codes(rows, part, turned, wanted)
            return held.by_signs(rows, part, turned, signs, -(-candidates // len(parts)), wanted)

        found = list(self._pool.map(best, parts))
        if not found:
            return np.empty(0, np.int64)
        scores = np.concatenate([part[0] for part in found], axis=1)
        places = np.concatenate([part[1] for part in found], axis=1)
        places = np.take_along_axis(places, _largest(scores, wanted), axis=1)
        places = np.unique(places[places >= 0])
        near: Ids = rows.ids[places[rows.there[places]]]
        return near

    def _rank(self, collection: str, queries: Floats, near: Ids, scores: Floats, ids: Ids) -> None:
        """Fill scores and ids (Q, k) with the best of the `near`, by their float32 vectors."""
        if len(near) == 0:
            return
        known, vectors = self._originals(collection, near)
        if len(known) == 0 or vectors.shape[1] != queries.shape[1]:
            return  # deleted, or moved to another model, since they were found
        cosines = queries @ vectors.T
        best = _largest(cosines, scores.shape[1])
        found = np.take_along_axis(cosines, best, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        width = best.shape[1]
        # Rounding can put the product of two unit vectors a hair outside of a cosine's range.
        scores[:, :width] = np.take_along_axis(found, order, axis=1).clip(-1, 1)
        ids[:, :width] = known[np.take_along_axis(best, order, axis=1)]


class _Collection:
    def __init__(self, dim: int, kind: Kind) -> None:
        self.dim = dim
        self._rotation = _directions(dim, dim)
        self._directions = _directions(dim, max(DIRECTIONS, dim)) if kind == "signs" else None
        limit = min(1.0, RANGE / dim**0.5)
        self._coder = faiss.IndexScalarQuantizer(
            dim, faiss.ScalarQuantizer.QT_8bit_uniform, faiss.METRIC_INNER_PRODUCT
        )
        self._coder.train(np.array([[-limit] * dim, [limit] * dim], np.float32))
        columns = {CODES: Column(dim, ZERO)}
        if self._directions is not None:
            columns[SIGNS] = Column(-(-self._directions.shape[1] // 8), 0)
        self.table = Table(columns)

    def put(self, ids: Ids, vectors: Floats) -> None:
        if vectors.shape != (len(ids), self.dim):
            raise ValueError(f"vectors of shape {vectors.shape} do not fit this collection")
        values = {CODES: self._coder.sa_encode(self.turned(vectors))}
        if self._directions is not None:
            values[SIGNS] = self.signs(vectors)
        self.table.put(ids, values)

    def turned(self, vectors: Floats) -> Floats:
        return vectors @ self._rotation

    def signs(self, vectors: Floats) -> Bytes:
        """(N, D) -> (N, directions / 8), a bit for each direction."""
        assert self._directions is not None
        return np.packbits(vectors @ self._directions > 0, axis=1)

    def by_codes(
        self, rows: Rows, part: slice, turned: Floats, wanted: int
    ) -> tuple[Floats, Places]:
        """Of all rows of the part -> (Q, wanted) scores and places, -1 where there are fewer."""
        codes = rows.columns[CODES][part]
        scan = faiss.IndexScalarQuantizer(
            self.dim, faiss.ScalarQuantizer.QT_8bit_uniform, faiss.METRIC_INNER_PRODUCT
        )
        scan.sq, scan.is_trained, scan.ntotal = self._coder.sq, True, len(codes)
        view: Any = faiss.MaybeOwnedVectorUInt8  # of our codes, which it neither copies nor owns
        scan.codes = view.create_view(faiss.swig_ptr(codes), codes.size, view().owner)
        chosen = None
        if rows.gaps:
            there = np.packbits(rows.there[part], bitorder="little")
            selector: Any = faiss.IDSelectorBitmap
            parameters: Any = faiss.SearchParameters
            chosen = parameters(sel=selector(there))
        scores, places = scan.search(turned, min(wanted, len(codes)), params=chosen)
        return scores, np.where(places < 0, -1, places + part.start)

    def by_signs(
        self, rows: Rows, part: slice, turned: Floats, signs: Bytes, candidates: int, wanted: int
    ) -> tuple[Floats, Places]:
        """Likewise, of the `candidates` whose signs are nearest."""
        codes = rows.columns[CODES][part]
        _, near = faiss.knn_hamming(
            signs, rows.columns[SIGNS][part], min(candidates, len(codes)), variant="mc"
        )
        # Codes and coordinates go together by a step and an offset, the same for all rows.
        scores = np.stack(
            [
                codes.take(row, axis=0).astype(np.float32) @ probe
                for row, probe in zip(near, turned, strict=True)
            ]
        )
        best = _largest(scores, wanted)
        places = np.take_along_axis(near, best, axis=1).astype(np.int64)
        return np.take_along_axis(scores, best, axis=1), places + part.start


def _largest(scores: Floats, k: int) -> npt.NDArray[np.intp]:
    """(Q, N) -> where the k largest of each row are, (Q, min(k, N)), in any order."""
    if k >= scores.shape[1]:
        return np.tile(np.arange(scores.shape[1]), (len(scores), 1))
    return np.argpartition(-scores, k - 1, axis=1)[:, :k]


@cache
def _directions(dim: int, count: int) -> Floats:
    """(D, count), count >= D: random, the same in every process, and orthonormal rows."""
    square = np.random.default_rng(count).standard_normal((count, count))
    return np.ascontiguousarray(np.linalg.qr(square)[0][:dim], np.float32)
