"""A change that its caller may send again and again is carried out once.

The answer is stored in the transaction of the change. So a caller who heard nothing, for whatever
reason, sends the same request under the same key: it is carried out now, or its answer is repeated.
Only success is stored; what failed may be tried again.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from app.errors import Conflict
from app.gallery.lookups import known_person
from app.names import checked_id
from app.store import collection_rows, replies
from app.store.replies import Reply

KEEP_REPLIES = timedelta(hours=24)


@dataclass(frozen=True)
class Mark:
    """What tells one request from another, and of whom its answer will speak."""

    key: str  # SHA-256 of the caller's key
    request: str  # HMAC-SHA-256 of the request under that key
    collection: str | None = None
    person: str | None = None


def answered(connection: Connection, mark: Mark, keep: timedelta) -> Reply | None:
    row = replies.find(connection, mark.key, keep)
    if row is None:
        return None
    if row.request != mark.request:
        raise Conflict("this Idempotency-Key was used for another request; take a new one")
    if row.reply is None:
        raise Conflict(
            "the request with this Idempotency-Key was carried out, and its answer is no longer "
            "kept: the person or the collection was changed or deleted since"
        )
    return row.reply


def remember(connection: Connection, mark: Mark, reply: Reply, keep: timedelta) -> None:
    collection_key, person_key = _subject(connection, mark)
    replies.prune(connection, keep)
    replies.add(
        connection,
        mark.key,
        mark.request,
        reply,
        collection_key=collection_key,
        person_key=person_key,
    )


def _subject(connection: Connection, mark: Mark) -> tuple[int | None, int | None]:
    """The keys of the collection and the person; None for what is not there, or not any more."""
    if mark.collection is None:
        return None, None
    row = collection_rows.find(connection, checked_id(mark.collection, "a collection's name"))
    if row is None:
        return None, None
    person = None if mark.person is None else known_person(connection, row, mark.person)
    return row.key, None if person is None else person.key
