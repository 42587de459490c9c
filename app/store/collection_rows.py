"""Rows of `collections`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Label,
    Row,
    Select,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from app.entities import Collection, Contract
from app.store import erasure, replies
from app.store.tables import collections, faces, people, reembeddings

# Each search asks these; put together here, as that costs more than to run them.
_BY_NAME = select(collections).where(collections.c.name == bindparam("wanted"))
_CONTRACTS = select(collections.c.id, collections.c.contract)
_CONTRACTS_OF = _CONTRACTS.where(collections.c.id.in_(bindparam("keys", expanding=True)))


@dataclass(frozen=True)
class CollectionRow:
    key: int  # never used twice
    model: str  # the name that goes with entity.contract
    entity: Collection  # its counts are filled by `listed` and `counted` only


def find(connection: Connection, name: str) -> CollectionRow | None:
    row = connection.execute(_BY_NAME, {"wanted": name}).first()
    return None if row is None else _from_row(row)


def by_key(connection: Connection, key: int) -> CollectionRow | None:
    row = connection.execute(select(collections).where(collections.c.id == key)).first()
    return None if row is None else _from_row(row)


def listed(connection: Connection) -> list[CollectionRow]:
    """All of them by name, with their counts."""
    rows = connection.execute(_with_counts().order_by(collections.c.name))
    return [_from_row(row, row.people, row.faces) for row in rows]


def counted(connection: Connection, key: int) -> Collection:
    """The one of that key, with its counts."""
    row = connection.execute(_with_counts().where(collections.c.id == key)).one()
    return _from_row(row, row.people, row.faces).entity


def contracts(connection: Connection, keys: Iterable[int] | None = None) -> dict[int, str]:
    """key -> contract id, of those asked for that exist, or of all."""
    if keys is None:
        rows = connection.execute(_CONTRACTS)
    else:
        rows = connection.execute(_CONTRACTS_OF, {"keys": list(keys)})
    return {row.id: row.contract for row in rows}


def retentions(connection: Connection) -> dict[int, tuple[str, int | None]]:
    """key -> name and days that faces are kept, of all."""
    query = select(collections.c.id, collections.c.name, collections.c.retention_days)
    return {row.id: (row.name, row.retention_days) for row in connection.execute(query)}


def has_faces(connection: Connection, key: int) -> bool:
    any_face = select(faces.c.id).where(faces.c.collection_id == key).limit(1)
    return connection.execute(any_face).first() is not None


def add(
    connection: Connection,
    name: str,
    contract: Contract,
    *,
    threshold: float | None = None,
    keep_crops: bool = False,
    description: str = "",
    created_at: datetime | None = None,
    retention_days: int | None = None,
) -> None:
    connection.execute(
        insert(collections).values(
            name=name,
            contract=contract.id,
            model=contract.model,
            dim=contract.dim,
            threshold=threshold,
            keep_crops=keep_crops,
            description=description,
            created_at=created_at or datetime.now(UTC),
            retention_days=retention_days,
        )
    )


def change(connection: Connection, key: int, values: Mapping[str, object]) -> None:
    """`values` by column: threshold, keep_crops, description, retention_days."""
    if values:
        connection.execute(update(collections).where(collections.c.id == key).values(**values))


def adopt(connection: Connection, key: int, contract: Contract) -> None:
    """Hand a collection without faces to another model."""
    connection.execute(delete(reembeddings).where(reembeddings.c.collection_id == key))
    change(
        connection,
        key,
        {"contract": contract.id, "model": contract.model, "dim": contract.dim},
    )


def remove(connection: Connection, key: int) -> None:
    """The collection with its people, faces and crops."""
    erasure.note(connection)
    replies.erase_of_collection(connection, key)
    connection.execute(delete(collections).where(collections.c.id == key))


def _with_counts() -> Select[Any]:
    def count(of: Table) -> Label[int]:
        rows = select(func.count()).where(of.c.collection_id == collections.c.id)
        return rows.scalar_subquery().label(of.name)

    return select(collections, count(people), count(faces))


def _from_row(row: Row[Any], people: int = 0, faces: int = 0) -> CollectionRow:
    return CollectionRow(
        key=row.id,
        model=row.model,
        entity=Collection(
            name=row.name,
            contract=row.contract,
            dim=row.dim,
            created_at=row.created_at,
            threshold=row.threshold,
            keep_crops=row.keep_crops,
            description=row.description,
            people=people,
            faces=faces,
            retention_days=row.retention_days,
        ),
    )
