"""A database file that nobody writes to: what it holds, and whether it is whole."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from app.entities import Contract
from app.errors import BadRequest

COUNTED = ("collections", "people", "faces", "crops")


@dataclass(frozen=True)
class Facts:
    schema: str  # revision of the migrations
    counts: dict[str, int]  # rows by table
    contracts: tuple[Contract, ...]  # of the collections


def facts_of(file: Path) -> Facts:
    """Raises BadRequest for a file that is not one of the store's, or is damaged."""
    with _opened(file) as database:
        counts = {
            table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in COUNTED
        }
        contracts = database.execute(
            "SELECT DISTINCT contract, model, dim FROM collections ORDER BY 1"
        ).fetchall()
        (schema,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
        return Facts(schema, counts, tuple(Contract(*contract) for contract in contracts))


def require_whole(file: Path) -> None:
    """Reads every page. Raises BadRequest."""
    with _opened(file) as database:
        (said,) = database.execute("PRAGMA integrity_check(1)").fetchone()
        if said != "ok" or database.execute("PRAGMA foreign_key_check").fetchone():
            raise BadRequest("the database is damaged")


@contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    # Immutable: neither locks nor a log beside it.
    database = sqlite3.connect(f"file:{quote(str(file))}?mode=ro&immutable=1", uri=True)
    try:
        yield database
    except (sqlite3.Error, TypeError) as error:  # TypeError: a row that has to be there is not
        raise BadRequest("the database is damaged, or is not one of this service's") from error
    finally:
        database.close()
