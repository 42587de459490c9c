"""Which faces and people of a collection are older than they may be."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, exists, select

from app.store import erasure, tables


def any_expired(connection: Connection, key: int, before: datetime) -> bool:
    """`key` is a collection's, here and below."""
    queries = (_faces(key, before), _people(key, before))
    return any(connection.execute(query.limit(1)).first() for query in queries)


def faces(connection: Connection, key: int, before: datetime, limit: int) -> list[int]:
    """Ids of up to `limit` faces that were stored before then."""
    return list(connection.execute(_faces(key, before).limit(limit)).scalars())


def remove_faces(connection: Connection, ids: Sequence[int]) -> None:
    """Their vectors and crops with them."""
    erasure.note(connection)
    connection.execute(delete(tables.faces).where(tables.faces.c.id.in_(ids)))


def people(connection: Connection, key: int, before: datetime, limit: int) -> dict[int, str]:
    """Key -> id of up to `limit` people without a face who were not changed since then."""
    return {row.id: row.person for row in connection.execute(_people(key, before).limit(limit))}


def _faces(key: int, before: datetime) -> Select[Any]:
    stored = tables.faces.c
    return select(stored.id).where(stored.collection_id == key, stored.created_at < before)


def _people(key: int, before: datetime) -> Select[Any]:
    person, face = tables.people.c, tables.faces.c
    return select(person.id, person.person).where(
        person.collection_id == key,
        person.updated_at < before,
        ~exists().where(face.person_id == person.id),
    )
