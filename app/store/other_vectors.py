"""Rows of `reembeddings` and `other_vectors`: what a collection's faces are to another model.

Beside the model that a collection goes by, its faces may have vectors of one other: the next one,
while they are made, and the one before, until it is forgotten. The two change places in one
transaction. Whoever deletes a face or a collection deletes these too, by their foreign keys.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Join, Select, bindparam, delete, func, insert, select, update

from app.entities import Contract, Floats
from app.store import collection_rows, erasure
from app.store.collection_rows import CollectionRow
from app.store.face_rows import Vectors, read_crop, read_vectors, written_vector
from app.store.tables import crops, faces, other_vectors, people, reembeddings

STEP = 1000  # rows that are read at once while vectors change places


@dataclass(frozen=True)
class OtherModel:
    contract: Contract
    threshold: float | None  # the collection's own while it goes by this model
    served: bool  # it went by this model before


def find(connection: Connection, key: int) -> OtherModel | None:
    """`key` is a collection's, here and below."""
    query = select(reembeddings).where(reembeddings.c.collection_id == key)
    row = connection.execute(query).first()
    if row is None:
        return None
    return OtherModel(Contract(row.contract, row.model, row.dim), row.threshold, row.served)


def begin(connection: Connection, key: int, contract: Contract) -> None:
    row = {"contract": contract.id, "model": contract.model, "dim": contract.dim, "served": False}
    connection.execute(insert(reembeddings).values(collection_id=key, **row))


def set_threshold(connection: Connection, key: int, threshold: float) -> None:
    """What the collection will have as its own when it goes by the other model."""
    of_collection = reembeddings.c.collection_id == key
    connection.execute(update(reembeddings).where(of_collection).values(threshold=threshold))


def forget(connection: Connection, key: int) -> None:
    """The other model and its vectors."""
    erasure.note(connection)
    of_collection = select(faces.c.id).where(faces.c.collection_id == key)
    connection.execute(delete(other_vectors).where(other_vectors.c.face_id.in_(of_collection)))
    connection.execute(delete(reembeddings).where(reembeddings.c.collection_id == key))


def missing(connection: Connection, key: int, after: int, limit: int) -> list[tuple[int, bytes]]:
    """(face id, crop as PNG) of faces with ids above `after` that have a crop and no vector yet."""
    query = (
        select(faces.c.id, crops.c.png)
        .join_from(faces, crops, crops.c.face_id == faces.c.id)
        .outerjoin(other_vectors, other_vectors.c.face_id == faces.c.id)
        .where(faces.c.collection_id == key, faces.c.id > after, other_vectors.c.face_id.is_(None))
        .order_by(faces.c.id)
        .limit(limit)
    )
    return [(row.id, read_crop(connection, row.png)) for row in connection.execute(query)]


def hopeless(connection: Connection, key: int, limit: int) -> list[tuple[int, str]]:
    """(face id, person) of faces that have neither such a vector nor a crop to make it from."""
    query = (
        select(faces.c.id, people.c.person)
        .join_from(faces, people, faces.c.person_id == people.c.id)
        .outerjoin(other_vectors, other_vectors.c.face_id == faces.c.id)
        .outerjoin(crops, crops.c.face_id == faces.c.id)
        .where(faces.c.collection_id == key)
        .where(other_vectors.c.face_id.is_(None), crops.c.face_id.is_(None))
        .order_by(faces.c.id)
        .limit(limit)
    )
    return [(row.id, row.person) for row in connection.execute(query)]


def count(connection: Connection, key: int) -> int:
    """Faces that have such a vector."""
    query = select(func.count()).select_from(_of_faces()).where(faces.c.collection_id == key)
    return int(connection.execute(query).scalar_one())


def add(connection: Connection, ids: Sequence[int], embeddings: Floats) -> None:
    """embeddings (N, D) of the faces `ids`, of which some may be gone by now."""
    there = set(connection.execute(select(faces.c.id).where(faces.c.id.in_(ids))).scalars())
    rows = [
        {"face_id": face, "embedding": written_vector(connection, embedding)}
        for face, embedding in zip(ids, embeddings, strict=True)
        if face in there
    ]
    if rows:
        connection.execute(insert(other_vectors), rows)


def sample(connection: Connection, ids: Sequence[int]) -> tuple[Vectors, list[bytes]]:
    """Vectors of those faces, and the crop as PNG of each; without those that have no crop."""
    made_from = _of_faces().join(crops, crops.c.face_id == faces.c.id)
    some = faces.c.id.in_(ids)
    query = select(faces.c.id, other_vectors.c.embedding).select_from(made_from).where(some)
    pictures = select(crops.c.png).select_from(made_from).where(some).order_by(faces.c.id)
    pngs = connection.execute(pictures).scalars()
    return read_vectors(connection, query.order_by(faces.c.id)), [
        read_crop(connection, png) for png in pngs
    ]


def vectors(connection: Connection, face_ids: Sequence[int]) -> Vectors:
    """Those of the ids that have one."""
    query = select(other_vectors.c.face_id.label("id"), other_vectors.c.embedding)
    return read_vectors(connection, query.where(other_vectors.c.face_id.in_(face_ids)))


def vectors_after(connection: Connection, key: int, after: int, limit: int) -> Vectors:
    """Up to `limit` of them with ids above `after`, by id: one step of a walk over all."""
    query = (
        select(faces.c.id, other_vectors.c.embedding)
        .select_from(_of_faces())
        .where(faces.c.collection_id == key, faces.c.id > after)
        .order_by(faces.c.id)
        .limit(limit)
    )
    return read_vectors(connection, query)


def change_places(connection: Connection, row: CollectionRow, other: OtherModel) -> None:
    """The collection goes by the other model from now on, and has its own as the other one.

    Every face must have a vector of each.
    """
    held = row.entity
    now = {"contract": other.contract.id, "model": other.contract.model, "dim": other.contract.dim}
    before = {"contract": held.contract, "model": row.model, "dim": held.dim, "served": True}
    connection.execute(
        update(reembeddings)
        .where(reembeddings.c.collection_id == row.key)
        .values(threshold=held.threshold, **before)
    )
    collection_rows.change(connection, row.key, {"threshold": other.threshold, **now})
    last = 0
    while rows := connection.execute(_pairs(row.key, last)).all():
        # In place, row by row: copies of a whole gallery would be left in pages that are freed.
        connection.execute(_PUT_SERVED, [{"face": pair.id, "new": pair.other} for pair in rows])
        connection.execute(_PUT_OTHER, [{"face": pair.id, "new": pair.embedding} for pair in rows])
        last = rows[-1].id


_PUT_SERVED = (
    update(faces).where(faces.c.id == bindparam("face")).values(embedding=bindparam("new"))
)
_PUT_OTHER = (
    update(other_vectors)
    .where(other_vectors.c.face_id == bindparam("face"))
    .values(embedding=bindparam("new"))
)


def _of_faces() -> Join:
    return faces.join(other_vectors, other_vectors.c.face_id == faces.c.id)


def _pairs(key: int, after: int) -> Select[Any]:
    return (
        select(faces.c.id, faces.c.embedding, other_vectors.c.embedding.label("other"))
        .select_from(_of_faces())
        .where(faces.c.collection_id == key, faces.c.id > after)
        .order_by(faces.c.id)
        .limit(STEP)
    )
