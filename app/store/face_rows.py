"""Rows of `faces` and `crops`, and the vectors in them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Row, Select, bindparam, delete, func, insert, select

from app.entities import Floats, StoredFace
from app.errors import Unavailable
from app.store import erasure, sealing
from app.store.sealing import CROP, EMBEDDING, Cipher
from app.store.tables import collections, crops, faces, people

VECTOR = np.dtype("<f4")  # as written in the embedding column

_VECTORS = select(faces.c.id, faces.c.embedding)
_VECTORS_OF = _VECTORS.where(faces.c.id.in_(bindparam("ids", expanding=True)))


@dataclass(frozen=True, eq=False)
class FaceToAdd:
    embedding: Floats  # (D,) of unit length
    quality: float | None
    png: bytes | None  # the crop, where it is kept
    created_at: datetime | None = None  # now


@dataclass(frozen=True, eq=False)
class Vectors:
    ids: npt.NDArray[np.int64]  # (N,)
    embeddings: Floats  # (N, D)


def add(
    connection: Connection, collection_key: int, person_key: int, new: Sequence[FaceToAdd]
) -> list[int]:
    """The ids of the new faces, in their order."""
    ids = []
    for face in new:
        row = insert(faces).values(
            collection_id=collection_key,
            person_id=person_key,
            embedding=written_vector(connection, face.embedding),
            quality=face.quality,
            created_at=face.created_at or datetime.now(UTC),
        )
        face_id = int(connection.execute(row.returning(faces.c.id)).scalar_one())
        if face.png is not None:
            png = sealing.sealed(connection, face.png, CROP)
            connection.execute(insert(crops).values(face_id=face_id, png=png))
        ids.append(face_id)
    return ids


def written_vector(connection: Connection, embedding: Floats) -> bytes:
    """(D,) as it is to be written."""
    return sealing.sealed(connection, embedding.astype(VECTOR).tobytes(), EMBEDDING)


def read_crop(connection: Connection, png: bytes) -> bytes:
    """Of what was written, the crop as it was given."""
    return sealing.opened(connection, bytes(png), CROP)


def of_person(connection: Connection, person_key: int) -> list[StoredFace]:
    return _found(connection, _listed().where(faces.c.person_id == person_key))


def of_ids(connection: Connection, face_ids: Iterable[int]) -> list[StoredFace]:
    return _found(connection, _listed().where(faces.c.id.in_(list(face_ids))))


def remove(connection: Connection, person_key: int, face_id: int) -> bool:
    """Whether that person had that face. The crop goes with it."""
    erasure.note(connection)
    gone = delete(faces).where(faces.c.id == face_id, faces.c.person_id == person_key)
    return connection.execute(gone).rowcount == 1


def crop(connection: Connection, person_key: int, face_id: int) -> bytes | None:
    row = connection.execute(
        select(crops.c.png)
        .join_from(crops, faces, crops.c.face_id == faces.c.id)
        .where(faces.c.id == face_id, faces.c.person_id == person_key)
    ).first()
    return None if row is None else read_crop(connection, row.png)


def vectors(connection: Connection, face_ids: Iterable[int]) -> Vectors:
    """Those of the ids that are still there."""
    return read_vectors(connection, _VECTORS_OF, {"ids": list(face_ids)})


def existing(connection: Connection, face_ids: Iterable[int]) -> int:
    """How many of the ids are still there."""
    query = select(func.count()).select_from(faces).where(faces.c.id.in_(list(face_ids)))
    return int(connection.execute(query).scalar_one())


def vectors_of_person(connection: Connection, person_key: int) -> Vectors:
    return read_vectors(
        connection, _VECTORS.where(faces.c.person_id == person_key).order_by(faces.c.id)
    )


def vectors_after(connection: Connection, collection_key: int, after: int, limit: int) -> Vectors:
    """Up to `limit` of a collection with ids above `after`, by id: one step of a walk over all."""
    return read_vectors(
        connection,
        _VECTORS.where(faces.c.collection_id == collection_key, faces.c.id > after)
        .order_by(faces.c.id)
        .limit(limit),
    )


def damaged(connection: Connection, collection_key: int, dim: int) -> list[int]:
    """Ids of faces whose vector is not one of `dim` numbers, or not sealed with the store's key."""
    of_collection = _VECTORS.where(faces.c.collection_id == collection_key)
    key, size = sealing.cipher(connection), dim * VECTOR.itemsize
    if key is None:
        wrong = of_collection.where(func.length(faces.c.embedding) != size)
        return [row.id for row in connection.execute(wrong)]
    rows = connection.execution_options(yield_per=1000).execute(of_collection)
    return [row.id for row in rows if len(_opened(key, row.embedding, EMBEDDING)) != size]


def ids(connection: Connection, collection_key: int) -> npt.NDArray[np.int64]:
    """Of all faces of a collection, rising."""
    of_collection = faces.c.collection_id == collection_key
    found = connection.execute(select(faces.c.id).where(of_collection).order_by(faces.c.id))
    return np.fromiter(found.scalars(), np.int64)


def crops_after(
    connection: Connection, after: int, limit: int, *, damaged: bool = False
) -> list[tuple[int, bytes]]:
    """(face id, PNG) of up to `limit` crops, by id: one step of a walk over all. `damaged`: one
    that cannot be decrypted is empty, and else an error."""
    query = select(crops).where(crops.c.face_id > after).order_by(crops.c.face_id).limit(limit)
    rows, key = connection.execute(query), sealing.cipher(connection)
    if damaged and key is not None:
        return [(row.face_id, _opened(key, row.png, CROP)) for row in rows]
    return [(row.face_id, read_crop(connection, row.png)) for row in rows]


def count(connection: Connection, collection_key: int | None = None) -> int:
    """Faces of a collection, or of all."""
    query = select(func.count()).select_from(faces)
    if collection_key is not None:
        query = query.where(faces.c.collection_id == collection_key)
    return int(connection.execute(query).scalar_one())


def _opened(key: Cipher, value: bytes, kind: bytes) -> bytes:
    """Empty where it was not sealed so."""
    try:
        return key.open(value, kind)
    except Unavailable:
        return b""


def read_vectors(
    connection: Connection, query: Select[Any], parameters: Mapping[str, object] | None = None
) -> Vectors:
    """Of a query for ids and embeddings."""
    rows, key = connection.execute(query, parameters).all(), sealing.cipher(connection)
    ids = np.fromiter((id for id, _ in rows), np.int64, len(rows))
    stored = [embedding for _, embedding in rows]
    if len({len(embedding) for embedding in stored}) > 1:
        raise Unavailable("a stored vector is damaged: restore a backup")
    plain = stored if key is None else [key.open(embedding, EMBEDDING) for embedding in stored]
    flat = np.frombuffer(b"".join(plain), VECTOR)
    return Vectors(ids, flat.astype(np.float32, copy=False).reshape(len(rows), -1 if rows else 0))


def _listed() -> Select[Any]:
    return (
        select(
            faces.c.id,
            people.c.person,
            collections.c.name.label("collection"),
            faces.c.created_at,
            faces.c.quality,
            crops.c.face_id.is_not(None).label("has_crop"),
        )
        .join_from(faces, people, faces.c.person_id == people.c.id)
        .join(collections, faces.c.collection_id == collections.c.id)
        .outerjoin(crops, crops.c.face_id == faces.c.id)
    )


def _found(connection: Connection, query: Select[Any]) -> list[StoredFace]:
    return [_from_row(row) for row in connection.execute(query.order_by(faces.c.id))]


def _from_row(row: Row[Any]) -> StoredFace:
    return StoredFace(
        id=row.id,
        person=row.person,
        collection=row.collection,
        created_at=row.created_at,
        quality=row.quality,
        has_crop=bool(row.has_crop),
    )
