"""Rows by the names that callers use, or the sentence that says what is missing."""

from sqlalchemy import Connection

from app.errors import NotFound
from app.names import checked_id
from app.store import collection_rows, person_rows
from app.store.collection_rows import CollectionRow
from app.store.person_rows import PersonRow


def collection_of(connection: Connection, name: str) -> CollectionRow:
    row = collection_rows.find(connection, checked_id(name, "a collection's name"))
    if row is None:
        raise NotFound(f"there is no collection {name!r}")
    return row


def known_person(connection: Connection, row: CollectionRow, id: str) -> PersonRow | None:
    return person_rows.find(connection, row.key, checked_id(id, "a person's id"))


def person_of(connection: Connection, row: CollectionRow, id: str) -> PersonRow:
    person = known_person(connection, row, id)
    if person is None:
        raise NotFound(f"there is no person {id!r} in the collection {row.entity.name!r}")
    return person


def checked_face(face_id: int, id: str) -> int:
    # Beyond 64 bits the database would not even take the question.
    if not 0 < face_id < 2**63:
        raise NotFound(f"the person {id!r} has no face {face_id}")
    return face_id
