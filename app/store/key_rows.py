"""Rows of `api_keys`. Of a key's secret only the SHA-256 is stored.

A plain hash is enough, and cheap: a secret has 256 random bits, so unlike a password it cannot be
found by trying.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select, update

from app.entities import ApiKey
from app.store.tables import api_keys


@dataclass(frozen=True)
class KeyRow:
    entity: ApiKey
    sha256: bytes


def listed(connection: Connection) -> list[KeyRow]:
    """All of them, the revoked too, oldest first."""
    query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
    return [
        KeyRow(
            ApiKey(
                id=row.id,
                name=row.name,
                role=row.role,
                rate=row.rate,
                created_at=row.created_at,
                revoked_at=row.revoked_at,
            ),
            bytes(row.sha256),
        )
        for row in connection.execute(query)
    ]


def add(connection: Connection, row: KeyRow) -> None:
    key = row.entity
    connection.execute(
        insert(api_keys).values(
            id=key.id,
            name=key.name,
            role=key.role,
            sha256=row.sha256,
            rate=key.rate,
            created_at=key.created_at,
        )
    )


def revoke(connection: Connection, id: str) -> bool:
    """Whether there was such a key in use."""
    in_use = (api_keys.c.id == id, api_keys.c.revoked_at.is_(None))
    done = connection.execute(update(api_keys).where(*in_use).values(revoked_at=datetime.now(UTC)))
    return done.rowcount == 1
