"""The journal of changes that the index has to follow; rows of `changes`.

An entry is written in the transaction of the change itself and says only where to look: "the index
may not agree with the store about this face". Whoever follows it looks up what the store holds now,
so an entry may be followed twice, late, or after the face has changed again. It is forgotten once
the index has followed; a process killed in between leaves it for the next start.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from app.store.tables import changes, faces

MARKS = 0  # the key of no collection


@dataclass(frozen=True)
class Entry:
    number: int  # rising
    collection_key: int
    face: int | None  # None: the collection as a whole


def note_faces(connection: Connection, collection_key: int, face_ids: Iterable[int]) -> None:
    rows = [{"collection_id": collection_key, "face_id": face_id} for face_id in face_ids]
    if rows:
        connection.execute(insert(changes), rows)


def note_faces_of(connection: Connection, person_key: int) -> None:
    """Every face of a person who is about to be removed."""
    connection.execute(
        insert(changes).from_select(
            ["collection_id", "face_id"],
            select(faces.c.collection_id, faces.c.id).where(faces.c.person_id == person_key),
        )
    )


def note_collection(connection: Connection, collection_key: int) -> None:
    connection.execute(insert(changes).values(collection_id=collection_key))


def mark(connection: Connection, token: int) -> int:
    """An entry about nothing, by which this place in the journal is known again; its number."""
    row = insert(changes).values(collection_id=MARKS, face_id=token).returning(changes.c.id)
    return int(connection.execute(row).scalar_one())


def has_mark(connection: Connection, number: int, token: int) -> bool:
    """Whether it is there, and so all that came after it."""
    query = select(changes.c.id).where(
        changes.c.id == number, changes.c.collection_id == MARKS, changes.c.face_id == token
    )
    return connection.execute(query).first() is not None


def entries(connection: Connection, after: int, limit: int) -> list[Entry]:
    rows = connection.execute(
        select(changes).where(changes.c.id > after).order_by(changes.c.id).limit(limit)
    )
    return [Entry(row.id, row.collection_id, row.face_id) for row in rows]


def count(connection: Connection, after: int) -> int:
    query = select(func.count()).select_from(changes).where(changes.c.id > after)
    return int(connection.execute(query).scalar_one())


def forget(connection: Connection, up_to: int) -> None:
    connection.execute(delete(changes).where(changes.c.id <= up_to))


def forget_these(connection: Connection, numbers: Iterable[int]) -> None:
    """Where an entry with a lower number may be committed later, and must not be missed."""
    connection.execute(delete(changes).where(changes.c.id.in_(list(numbers))))
