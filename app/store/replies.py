"""Rows of `replies`: what was answered to changes that carried an Idempotency-Key.

A row holds no readable name of its caller's: of the key a hash, of the request a hash that only the
key can make again. The body may tell of a person, so it is erased with the person, and when the
person's name or metadata are replaced; the rest of the row stays, to keep a late repetition from
bringing the person back.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from app.store.tables import replies


@dataclass(frozen=True)
class Reply:
    status: int  # of HTTP
    body: bytes


@dataclass(frozen=True)
class ReplyRow:
    request: str
    reply: Reply | None  # None: erased


def find(connection: Connection, key: str, keep: timedelta) -> ReplyRow | None:
    """`key` as it was given to `add`; a reply older than `keep` counts as gone."""
    query = select(replies).where(replies.c.key == key, replies.c.created_at > _since(keep))
    row = connection.execute(query).first()
    if row is None:
        return None
    return ReplyRow(row.request, None if row.body is None else Reply(row.status, bytes(row.body)))


def add(
    connection: Connection,
    key: str,
    request: str,
    reply: Reply,
    *,
    collection_key: int | None,
    person_key: int | None,
) -> None:
    """The keys are of whom the body tells."""
    connection.execute(
        insert(replies).values(
            key=key,
            request=request,
            status=reply.status,
            body=reply.body,
            collection_id=collection_key,
            person_id=person_key,
            created_at=datetime.now(UTC),
        )
    )


def erase_of_person(connection: Connection, person_key: int) -> None:
    connection.execute(update(replies).where(replies.c.person_id == person_key).values(body=None))


def erase_of_collection(connection: Connection, collection_key: int) -> None:
    """Those of its people too."""
    gone = replies.c.collection_id == collection_key
    connection.execute(update(replies).where(gone).values(body=None))


def prune(connection: Connection, keep: timedelta) -> None:
    connection.execute(delete(replies).where(replies.c.created_at <= _since(keep)))


def _since(keep: timedelta) -> datetime:
    return datetime.now(UTC) - keep
