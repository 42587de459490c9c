"""The index in this process: each collection in the kind that its size and recall call for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from app.entities import Floats
from app.index import compact, files
from app.index.base import Ids, Index, Originals
from app.index.compact import CompactIndex
from app.index.flat import FlatIndex

Kind = Literal["auto", "exact", "int8", "signs"]

EXACT_UP_TO = 20_000  # faces of a collection; beyond that `auto` leaves float32
# Asked recall -> share of the rows whose codes are compared; measured, see docs/performance.md.
SHARES = {0.99: 0.0005, 0.999: 0.001}


class LocalIndex:
    """A `SavedIndex`. What is exact is not saved: it is made anew sooner than it is read."""

    def __init__(
        self,
        originals: Originals,
        *,
        folder: Path,
        kind: Kind = "auto",
        recall: float = 0.999,
        threads: int = 1,
    ) -> None:
        """`recall`: of the best face, for a probe of somebody enrolled. 1 compares all codes."""
        self._folder = folder
        self._kind = kind
        share = next((SHARES[least] for least in sorted(SHARES) if least >= recall), None)
        chosen: compact.Kind = "int8" if kind == "int8" or share is None else "signs"
        self._exact = FlatIndex(threads=threads)
        self._compact = CompactIndex(originals, kind=chosen, share=share or 0, threads=threads)
        self._homes: dict[str, Index] = {}

    def add(self, collection: str, ids: Ids, vectors: Floats) -> None:
        if len(ids) == 0:
            return
        first: Index = self._exact if self._kind in ("auto", "exact") else self._compact
        home = self._homes.setdefault(collection, first)
        home.add(collection, ids, vectors)
        if self._kind == "auto" and home is self._exact and home.count(collection) > EXACT_UP_TO:
            self._compact.add(collection, *self._exact.content(collection))
            self._homes[collection] = self._compact
            self._exact.drop(collection)

    def remove(self, collection: str, ids: Ids) -> None:
        self._home(collection).remove(collection, ids)

    def search(self, collection: str, queries: Floats, k: int) -> tuple[Floats, Ids]:
        while True:
            home = self._home(collection)
            found = home.search(collection, queries, k)
            if self._home(collection) is home:  # else it moved, and the answer is half or empty
                return found

    def count(self, collection: str) -> int:
        return self._home(collection).count(collection)

    def collections(self) -> Sequence[str]:
        return sorted({*self._exact.collections(), *self._compact.collections()})

    def drop(self, collection: str) -> None:
        self._homes.pop(collection, None)
        for index in (self._exact, self._compact):
            index.drop(collection)

    def close(self) -> None:
        self._exact.close()
        self._compact.close()

    def worth_saving(self) -> bool:
        return bool(self._compact.collections())

    def load(self) -> str | None:
        found = files.read(self._folder)
        if found is None:
            return None
        mark, held = found
        try:
            for name, (dim, rows) in held.items():
                self._compact.take(name, dim, rows)
        except ValueError:  # of another kind
            for name in held:
                self._compact.drop(name)
            return None
        self._homes.update(dict.fromkeys(held, self._compact))
        return mark

    def write(self, mark: str) -> None:
        files.write(self._folder, mark, self._compact.rows())

    def keep(self) -> None:
        files.keep(self._folder)

    def unsave(self) -> None:
        files.delete(self._folder)

    def _home(self, collection: str) -> Index:
        return self._homes.get(collection, self._exact)
