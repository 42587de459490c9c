"""All that is said to SQLite in particular: durability, transactions, and erasing for good.

`secure_delete` overwrites deleted rows with zeros, but two kinds of copies outlive it: the
write-ahead log keeps earlier pages until it is truncated, and a row that moved when a page was
split or merged leaves its old bytes in the slack of that page. So an erasure also truncates the
log, and rebuilds the file (VACUUM): at once while the file is small, at the next start when it is
large. `user_version` remembers that a rebuild is due; it is set in the erasing transaction.
"""

import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import URL

from app.errors import SettingsError

SHARED = False

BUSY_MS = 10_000  # how long a connection waits for another's lock
BUSY_RETRY_S = 0.005  # between two tries of what SQLite does not wait for itself
REBUILD_AT_ONCE_BYTES = 8 * 2**20  # a rebuild of this many bytes takes some tens of milliseconds
POOL_SIZE, POOL_OVERFLOW = 8, 56  # readers in parallel; more wait
BEGIN = "sqlite_begin"  # execution option: which BEGIN opens a transaction; None opens none


def open_engine(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise SettingsError("the store needs a file: a database in memory would be forgotten")
    # For its owner alone, whatever the folder allows; SQLite's log is given the same mode.
    with suppress(OSError):  # SQLite tells better what is wrong with a place
        Path(url.database).touch(mode=0o600)
    engine = create_engine(url, pool_size=POOL_SIZE, max_overflow=POOL_OVERFLOW)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def reading(engine: Engine) -> Engine:
    return engine  # a transaction of the log sees one moment by itself


def writing(engine: Engine) -> Engine:
    """The same engine, whose transactions take the write lock at once and cannot lose it later."""
    return engine.execution_options(**{BEGIN: "BEGIN IMMEDIATE"})


def following(engine: Engine) -> Engine:
    return writing(engine)


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    # No transactions behind our back: the driver would not open one for DDL, and migrations
    # must be whole or absent.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}").close()
    _log_ahead(connection)
    for pragma in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Write-ahead logging, which a file keeps once it has it; waits while another turns it on.

    The busy timeout does not hold here: SQLite reads the new file, then asks for its write lock,
    and fails at once where two that have read it would wait for each other.
    """
    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(BUSY_RETRY_S)


def _begin(connection: Connection) -> None:
    if statement := connection.get_execution_options().get(BEGIN, "BEGIN"):
        connection.exec_driver_sql(statement)


def mark_erasure(connection: Connection) -> None:
    """Within the erasing transaction: a rebuild is due, whatever happens after the commit."""
    connection.exec_driver_sql("PRAGMA user_version = 1")


def finish_erasure(engine: Engine, *, at_start: bool = False) -> bool:
    """Rebuild the file where that is due, empty the log; False when the log has to wait.

    The erasure itself is committed, so a full disk or a busy reader here is no error.
    """
    try:
        with engine.execution_options(**{BEGIN: None}).connect() as connection:
            if _number(connection, "user_version"):
                size = _number(connection, "page_count") * _number(connection, "page_size")
                if at_start or size <= REBUILD_AT_ONCE_BYTES:
                    connection.exec_driver_sql("VACUUM")
                    connection.exec_driver_sql("PRAGMA user_version = 0")
            # Its first column is 1 when a reader held the log open.
            return _number(connection, "wal_checkpoint(TRUNCATE)") == 0
    except exc.SQLAlchemyError:
        return False


def faults(connection: Connection) -> list[str]:
    """What is damaged in the file, page by page; nothing for a whole one."""
    said = connection.exec_driver_sql("PRAGMA integrity_check(10)").scalars().all()
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return [
        *(line for line in said if line != "ok"),
        *(f"a row of {row[0]} belongs to nothing" for row in orphans[:10]),
    ]


def snapshot_place(url: URL) -> Path:
    return Path(f"{url.database}.snapshot")


def copy_into(engine: Engine, file: Path) -> None:
    """All that is committed now, in a new file without free pages. Changes go on meanwhile."""
    with engine.execution_options(**{BEGIN: None}).connect() as connection:
        connection.exec_driver_sql("VACUUM INTO ?", (str(file),))


def _number(connection: Connection, pragma: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one())
