"""The seam between the gallery and vector search. An index is a projection: it can be rebuilt."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from app.entities import Floats

Ids = npt.NDArray[np.int64]

# (collection, ids) -> of the ids that are still there, ids (N,) and float32 vectors (N, D)
Originals = Callable[[str, Ids], tuple[Ids, Floats]]


class Index(Protocol):
    """Vectors of many collections under int64 ids, searched by cosine. Thread-safe.

    `add` replaces a vector that has the id already and `remove` ignores an absent one, so that both
    may run twice.
    """

    def add(self, collection: str, ids: Ids, vectors: Floats) -> None:
        """ids (N,), vectors (N, D) of unit length; the first add of a collection fixes its D."""
        ...

    def remove(self, collection: str, ids: Ids) -> None: ...

    def search(self, collection: str, queries: Floats, k: int) -> tuple[Floats, Ids]:
        """queries (Q, D) -> cosines (Q, k) best first and ids (Q, k); -1 pads a short row.

        An unknown or empty collection gives only padding.
        """
        ...

    def count(self, collection: str) -> int: ...

    def collections(self) -> Sequence[str]: ...

    def drop(self, collection: str) -> None: ...

    def close(self) -> None: ...


@runtime_checkable
class SharedIndex(Index, Protocol):
    """An index outside of the process, which several processes change and search."""

    def ids_between(self, collection: str, above: int, up_to: int) -> Ids:
        """Ids in (above, up_to], in any order; where there are many, some thousands of them."""
        ...


@runtime_checkable
class SavedIndex(Index, Protocol):
    """An index in this process that keeps itself in a file, to be back at once after a start.

    The `mark` is the caller's: it says of what moment the file is.
    """

    def worth_saving(self) -> bool:
        """Whether it holds anything that is not made anew as quickly."""
        ...

    def load(self) -> str | None:
        """Take over what the file holds, and give its mark; None where it is absent or damaged."""
        ...

    def write(self, mark: str) -> None:
        """Into a second file, while searches and changes go on."""
        ...

    def keep(self) -> None:
        """What was written last takes the place of the file."""
        ...

    def unsave(self) -> None:
        """Delete what is on disk."""
        ...
