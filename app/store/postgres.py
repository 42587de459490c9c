"""All that is said to PostgreSQL in particular: taking turns among replicas, and copies.

Changes of all replicas take turns, as they do in SQLite: whoever changes something holds an
advisory lock from the first statement to the commit. So a transaction finds what it has looked up
unchanged, a migration runs once, and an answer under an Idempotency-Key is made once. Reading waits
for nobody.

A deleted row is out of reach at once; its bytes stay in the table's file and in the write-ahead log
until PostgreSQL uses the place again. docs/scale-out.md says how to hurry that.
"""

import secrets
import tempfile
from pathlib import Path

from sqlalchemy import Connection, Engine, Row, Table, create_engine, event, exc, insert, select
from sqlalchemy.engine import URL

from app.errors import SettingsError
from app.store import sqlite
from app.store.migrate import migrate
from app.store.tables import metadata

SHARED = True

POOL_SIZE, POOL_OVERFLOW = 8, 24  # connections of one replica
CONNECT_SECONDS = 10
# A replica waits so long for its turn. What a machine that died was doing ends after IDLE.
SESSION = {"lock_timeout": "30s", "idle_in_transaction_session_timeout": "60s", "timezone": "UTC"}
KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}

LOCK = "face_lock"  # execution option: the advisory lock that a transaction begins with
LOCKS = 0x66616365  # "face": the first half of the locks' names
WRITE, FOLLOW = 1, 2
COPIED_AT_ONCE = 1000  # rows


def open_engine(url: URL) -> Engine:
    settings = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_size=POOL_SIZE,
            max_overflow=POOL_OVERFLOW,
            pool_pre_ping=True,  # after a restart of the database the first request works too
            connect_args={"connect_timeout": CONNECT_SECONDS, "options": settings, **KEEPALIVE},
        )
    except ModuleNotFoundError as error:
        raise SettingsError(
            "PostgreSQL needs a driver: pip install 'face-recognition-service[postgres]'"
        ) from error
    event.listen(engine, "begin", _begin)
    try:
        engine.connect().close()
    except exc.OperationalError as error:
        where = f"{url.host or 'localhost'}:{url.port or 5432}"
        raise SettingsError(
            f"FACE_DATABASE_URL: the database {url.database!r} at {where} cannot be opened"
        ) from error
    return engine


def reading(engine: Engine) -> Engine:
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def writing(engine: Engine) -> Engine:
    # READ COMMITTED, which is the default: the moment of a stricter transaction would be that
    # of its first statement, before its turn has come.
    return engine.execution_options(**{LOCK: WRITE})


def following(engine: Engine) -> Engine:
    return engine.execution_options(**{LOCK: FOLLOW})


def _begin(connection: Connection) -> None:
    if lock := connection.get_execution_options().get(LOCK):
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s, %s)", (LOCKS, lock))


def mark_erasure(connection: Connection) -> None:
    """Nothing: PostgreSQL itself keeps count of its dead rows."""


def finish_erasure(engine: Engine, *, at_start: bool = False) -> bool:
    """Left to autovacuum: rewriting tables at each deletion would stop every replica."""
    return True


def faults(connection: Connection) -> list[str]:
    """What PostgreSQL noticed by itself; None where it keeps no checksums of its pages."""
    failures = connection.exec_driver_sql(
        "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()"
    ).scalar_one()
    return [f"PostgreSQL met {failures} pages with a wrong checksum"] if failures else []


def snapshot_place(url: URL) -> Path:
    return Path(tempfile.gettempdir()) / f"face-{secrets.token_hex(8)}.snapshot"


def copy_into(engine: Engine, file: Path) -> None:
    """Row by row, from one moment of the database."""
    file.touch(mode=0o600, exist_ok=False)
    copy = sqlite.open_engine(URL.create("sqlite", database=str(file)))
    try:
        with (
            reading(engine).connect().execution_options(yield_per=COPIED_AT_ONCE) as source,
            sqlite.writing(copy).begin() as target,
        ):
            migrate(target)
            for table in metadata.sorted_tables:
                for rows in source.execute(select(table)).partitions():
                    target.execute(insert(table), [_values(row) for row in rows])
                _carry_count(source, target, table)
    finally:
        copy.dispose()  # which also empties the copy's log into the file


def _values(row: Row[tuple[object, ...]]) -> dict[str, object]:
    return dict(row._mapping)


def _carry_count(source: Connection, target: Connection, table: Table) -> None:
    """The copy goes on counting behind the last key given, also where its row is gone."""
    if not table.dialect_options["sqlite"]["autoincrement"]:
        return
    last = source.exec_driver_sql(
        f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {table.name}_id_seq"
    ).scalar_one()
    target.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (table.name,))
    target.exec_driver_sql("INSERT INTO sqlite_sequence VALUES (?, ?)", (table.name, last))
