"""Rows of `audit`: who did what to whom, each chained to the one before by its hash.

    hash = SHA-256(hash of the line before, a line feed, the line as canonical JSON)

The first line follows 64 zeros. Changes of a store take turns, also those of several processes, so
there is one chain.
"""

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from app.actor import ACTOR
from app.entities import AuditLine
from app.store.tables import audit

FIRST = "0" * 64

_LAST = select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
_INSERT = insert(audit)


@dataclass(frozen=True)
class Act:
    """What is about to be logged. `people` were changed or recognised, `shown` only ranked."""

    action: str
    collection: str | None = None
    people: Sequence[str] = ()
    shown: Sequence[str] = ()


@dataclass(frozen=True)
class SignedAct:
    act: Act
    actor: str
    at: datetime


@dataclass(frozen=True)
class Head:
    seq: int  # 0: nothing is logged yet
    hash: str


def signed(act: Act) -> SignedAct:
    """By whoever acts in this thread, now."""
    return SignedAct(act, ACTOR.get(), datetime.now(UTC))


def append(connection: Connection, act: Act) -> None:
    """In the transaction of the act itself: both are stored, or neither."""
    append_all(connection, [signed(act)])


def append_all(connection: Connection, acts: Sequence[SignedAct]) -> None:
    """One line each, in this order, behind the last line."""
    last, rows = head(connection), []
    for act in acts:
        line = _line(last.seq + 1, act)
        last = Head(line.seq, chained(last.hash, line))
        rows.append(
            {
                "seq": line.seq,
                "at": line.at,
                "actor": line.actor,
                "action": line.action,
                "collection": line.collection,
                "people": list(line.people),
                "shown": list(line.shown),
                "hash": last.hash,
            }
        )
    connection.execute(_INSERT, rows)


def chained(before: str, line: AuditLine) -> str:
    """The hash of a line that follows the one with the hash `before`."""
    at = line.at.astimezone(UTC).isoformat(timespec="microseconds")
    facts = [line.seq, at, line.actor, line.action, line.collection, line.people, line.shown]
    text = json.dumps(facts, separators=(",", ":"))
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def head(connection: Connection) -> Head:
    row = connection.execute(_LAST).first()
    return Head(0, FIRST) if row is None else Head(row.seq, row.hash)


def after(connection: Connection, seq: int, limit: int) -> list[tuple[AuditLine, str]]:
    """Up to `limit` lines behind number `seq`, with their hashes."""
    query = select(audit).where(audit.c.seq > seq).order_by(audit.c.seq).limit(limit)
    return [(_from_row(row), row.hash) for row in connection.execute(query)]


def _from_row(row: Row[Any]) -> AuditLine:
    return AuditLine(
        seq=row.seq,
        at=row.at,
        actor=row.actor,
        action=row.action,
        collection=row.collection,
        people=tuple(row.people),
        shown=tuple(row.shown),
    )


def _line(seq: int, signed: SignedAct) -> AuditLine:
    act = signed.act
    return AuditLine(
        seq=seq,
        at=signed.at,
        actor=signed.actor,
        action=act.action,
        collection=None if act.collection is None else _composed(act.collection),
        people=tuple(_composed(person) for person in act.people),
        shown=tuple(_composed(person) for person in act.shown),
    )


def _composed(name: str) -> str:
    # As names.checked_id stores it.
    return unicodedata.normalize("NFC", name)
