"""Rows of `people`."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, func, insert, select, update

from app.entities import Person
from app.store import erasure, replies
from app.store.tables import collections, faces, people

IDS_PER_QUERY = 10_000  # databases limit the parameters of a statement, SQLite to 32,766

_OWNERS = (
    select(faces.c.id, people.c.person, people.c.name)
    .join_from(faces, people, faces.c.person_id == people.c.id)
    .where(faces.c.id.in_(bindparam("ids", expanding=True)))
)


@dataclass(frozen=True)
class PersonRow:
    key: int
    entity: Person


@dataclass(frozen=True)
class Owner:
    """Whose face it is, as a ranking needs it."""

    person: str
    name: str


def find(connection: Connection, collection_key: int, person: str) -> PersonRow | None:
    row = connection.execute(
        _with_counts().where(people.c.collection_id == collection_key, people.c.person == person)
    ).first()
    return None if row is None else _from_row(row)


def page(
    connection: Connection, collection_key: int, *, after: str | None, limit: int, search: str
) -> list[Person]:
    """Up to `limit` people by id, those behind `after`; `search` is a part of an id or a name."""
    query = _with_counts().where(people.c.collection_id == collection_key)
    if after is not None:
        query = query.where(people.c.person > after)
    if search:
        query = query.where(people.c.folded.contains(fold(search), autoescape=True))
    rows = connection.execute(query.order_by(people.c.person).limit(limit))
    return [_from_row(row).entity for row in rows]


def add(
    connection: Connection,
    collection_key: int,
    person: str,
    name: str,
    metadata: Mapping[str, str],
    times: tuple[datetime, datetime] | None = None,
) -> int:
    """The new person's key. `times`: created and updated at; now."""
    created_at, updated_at = times or (datetime.now(UTC),) * 2
    row = insert(people).values(
        collection_id=collection_key,
        person=person,
        name=name,
        folded=_searched(person, name),
        metadata=dict(metadata),
        created_at=created_at,
        updated_at=updated_at,
    )
    return int(connection.execute(row.returning(people.c.id)).scalar_one())


def change(connection: Connection, row: PersonRow, name: str, metadata: Mapping[str, str]) -> None:
    erasure.note(connection)
    if (name, dict(metadata)) != (row.entity.name, dict(row.entity.metadata)):
        replies.erase_of_person(connection, row.key)
    connection.execute(
        update(people)
        .where(people.c.id == row.key)
        .values(
            name=name,
            folded=_searched(row.entity.id, name),
            metadata=dict(metadata),
            updated_at=datetime.now(UTC),
        )
    )


def remove(connection: Connection, key: int) -> None:
    """The person with faces and crops."""
    erasure.note(connection)
    replies.erase_of_person(connection, key)
    connection.execute(delete(people).where(people.c.id == key))


def owners(connection: Connection, face_ids: Sequence[int]) -> dict[int, Owner]:
    """face id -> its person; an id that is gone is absent."""
    found = {}
    for start in range(0, len(face_ids), IDS_PER_QUERY):
        some = face_ids[start : start + IDS_PER_QUERY]
        for id, person, name in connection.execute(_OWNERS, {"ids": some}).all():
            found[id] = Owner(person, name)
    return found


def count(connection: Connection) -> int:
    """People of all collections."""
    return int(connection.execute(select(func.count()).select_from(people)).scalar_one())


def fold(text: str) -> str:
    """As texts are compared in a search: without case, and with one form for each character."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _searched(person: str, name: str) -> str:
    # A line feed is in neither, so no search runs across the seam.
    return f"{fold(person)}\n{fold(name)}"


def _with_counts() -> Select[Any]:
    count = select(func.count()).where(faces.c.person_id == people.c.id)
    return select(
        people,
        collections.c.name.label("collection"),
        count.scalar_subquery().label("faces"),
    ).join_from(people, collections, people.c.collection_id == collections.c.id)


def _from_row(row: Row[Any]) -> PersonRow:
    return PersonRow(
        key=row.id,
        entity=Person(
            id=row.person,
            collection=row.collection,
            name=row.name,
            created_at=row.created_at,
            updated_at=row.updated_at,
            metadata=row.metadata,
            faces=row.faces,
        ),
    )
