"""The index in this process with float32 vectors to rank by, which the store has in the service."""

import numpy as np

from app.entities import Floats
from app.index.base import Ids
from app.index.local import LocalIndex


class Originals:
    def __init__(self) -> None:
        self.vectors: dict[str, dict[int, Floats]] = {}
        self.asked = 0  # vectors

    def __call__(self, collection: str, ids: Ids) -> tuple[Ids, Floats]:
        held = self.vectors.get(collection, {})
        known = [face for face in ids.tolist() if face in held]
        self.asked += len(known)
        if not known:
            return np.empty(0, np.int64), np.empty((0, 0), np.float32)
        return np.array(known, np.int64), np.stack([held[face] for face in known])


class BackedIndex(LocalIndex):
    """Puts what it is given into its originals first, as the store comes before the index."""

    def __init__(self, **given) -> None:
        self.originals = Originals()
        super().__init__(self.originals, **given)

    def add(self, collection: str, ids: Ids, vectors: Floats) -> None:
        super().add(collection, ids, vectors)  # refuses a wrong shape
        held = self.originals.vectors.setdefault(collection, {})
        held.update(zip(ids.tolist(), vectors, strict=True))

    def remove(self, collection: str, ids: Ids) -> None:
        for face in ids.tolist():
            self.originals.vectors.get(collection, {}).pop(face, None)
        super().remove(collection, ids)

    def drop(self, collection: str) -> None:
        self.originals.vectors.pop(collection, None)
        super().drop(collection)
