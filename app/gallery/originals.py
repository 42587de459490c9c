"""The store's float32 vectors, by which an index in this process ranks what it found."""

import numpy as np

from app.entities import Floats
from app.gallery.projection import parts_of
from app.index.base import Ids, Originals
from app.store import collection_rows, face_rows, other_vectors
from app.store.face_rows import Vectors
from app.store.person_rows import IDS_PER_QUERY
from app.store.store import Store

NONE = Vectors(np.empty(0, np.int64), np.empty((0, 0), np.float32))


def originals_of(store: Store) -> Originals:
    def originals(name: str, ids: Ids) -> tuple[Ids, Floats]:
        steps = range(0, len(ids), IDS_PER_QUERY)
        found = [_found(store, name, ids[start : start + IDS_PER_QUERY]) for start in steps]
        some = [step for step in found if len(step.ids)] or [NONE]
        return (
            np.concatenate([step.ids for step in some]),
            np.concatenate([step.embeddings for step in some]),
        )

    return originals


def _found(store: Store, name: str, ids: Ids) -> Vectors:
    """By the model that the index's name says, whether the collection goes by it or by another."""
    key, contract = parts_of(name)
    with store.read() as connection:
        if collection_rows.contracts(connection, [key]).get(key) == contract:
            return face_rows.vectors(connection, ids.tolist())
        other = other_vectors.find(connection, key)
        if other is not None and other.contract.id == contract:
            return other_vectors.vectors(connection, ids.tolist())
    return NONE
