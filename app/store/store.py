"""The store's door: many readers at once, one writer, each block one transaction.

What is read and written stands in `collection_rows`, `person_rows`, `face_rows` and `journal`:
plain functions over the connection that a block gives.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.errors import SettingsError, Unavailable
from app.store import erasure, sqlite
from app.store.faults import translated
from app.store.migrate import migrate


def sqlite_url(file: Path) -> str:
    return URL.create("sqlite", database=str(file)).render_as_string()


class Store:
    """Opened by URL; the schema is brought up to date on opening."""

    def __init__(self, url: str) -> None:
        self._engine = _open(url)
        self._writer = sqlite.writing(self._engine)
        self._one_writer = threading.Lock()
        self._one_snapshot = threading.Lock()
        self._snapshot = Path(f"{self._engine.url.database}.snapshot")
        self._erasing = False  # an erasure waits for a reader to let go of the log
        self._closed = False
        try:
            with self.write() as connection:
                migrate(connection)
        except BaseException:
            self.close()
            raise
        # What an earlier process copied, or erased, and had no time to finish.
        self._snapshot.unlink(missing_ok=True)
        sqlite.finish_erasure(self._engine, at_start=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        self._require_open()
        with translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """On leaving, the block is on disk, and what it deleted is erased; on an error, none is."""
        with translated(), self._one_writer:
            self._require_open()
            with self._writer.begin() as connection:
                erasure.take(connection)  # of a block that failed
                yield connection
                if erases := erasure.take(connection):
                    sqlite.mark_erasure(connection)
            if erases or self._erasing:
                self._erasing = not sqlite.finish_erasure(self._engine)

    def faults(self) -> list[str]:
        """What is damaged in the database itself; reads all of it."""
        with self.read() as connection:
            return sqlite.faults(connection)

    @contextmanager
    def snapshot(self) -> Iterator[Path]:
        """A file with all that is committed now; it is gone after the block."""
        self._require_open()
        with translated(), self._one_snapshot:
            self._snapshot.unlink(missing_ok=True)
            try:
                sqlite.copy_into(self._engine, self._snapshot)
                yield self._snapshot
            finally:
                self._snapshot.unlink(missing_ok=True)

    def close(self) -> None:
        """May be called twice. The last connection's end also empties the write-ahead log."""
        with self._one_writer:
            self._closed = True
            self._engine.dispose()

    def _require_open(self) -> None:
        if self._closed:
            raise Unavailable("the store is closed")


def _open(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise SettingsError("the store's URL is not of the form sqlite:///FILE") from error
    match parsed.get_backend_name():
        case "sqlite" if parsed.database and parsed.database != ":memory:":
            # For its owner alone, whatever the folder allows; SQLite's log is given the same mode.
            with suppress(OSError):  # SQLite tells better what is wrong with a place
                Path(parsed.database).touch(mode=0o600)
            return sqlite.open_engine(parsed)
        case "sqlite":
            raise SettingsError("the store needs a file: a database in memory would be forgotten")
        case other:
            raise SettingsError(f"the store has no back-end for {other}; use sqlite:///FILE")
