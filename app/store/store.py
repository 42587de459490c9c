"""The store's door: many readers at once, one writer, each block one transaction.

SQLite in a file of this process alone, or PostgreSQL, which any number of processes may share; then
there is one writer among all of them.

What is read and written stands in `collection_rows`, `person_rows`, `face_rows` and `journal`:
plain functions over the connection that a block gives.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.errors import SettingsError, Unavailable
from app.metrics import stage
from app.store import erasure, postgres, rotation, sealing, sqlite
from app.store.backend import Backend
from app.store.faults import translated
from app.store.migrate import migrate
from app.store.sealing import Cipher


def sqlite_url(file: Path) -> str:
    return URL.create("sqlite", database=str(file)).render_as_string()


class Store:
    """Opened by URL; the schema is brought up to date on opening."""

    def __init__(self, url: str, cipher: Cipher | None = None) -> None:
        """With a `cipher`, vectors and crops are kept encrypted; see sealing.py."""
        parsed, self._backend = _parsed(url)
        self.cipher = cipher
        self._engine = self._backend.open_engine(parsed).execution_options(
            **{sealing.OPTION: cipher}
        )
        self._reader = self._backend.reading(self._engine)
        self._writer = self._backend.writing(self._engine)
        self._follower = self._backend.following(self._engine)
        self._one_writer = threading.Lock()
        self._one_snapshot = threading.Lock()
        self._snapshot = self._backend.snapshot_place(parsed)
        self._erasing = False  # an erasure waits for a reader to let go of the log
        self._closed = False
        try:
            with self.write() as connection:
                migrate(connection)
                sealing.require_key(connection)
        except BaseException:
            self.close()
            raise
        # What an earlier process copied, or erased, and had no time to finish.
        self._snapshot.unlink(missing_ok=True)
        self._backend.finish_erasure(self._engine, at_start=True)

    @property
    def shared(self) -> bool:
        """Whether other processes may read and write it too."""
        return self._backend.SHARED

    @contextmanager
    def read(self) -> Iterator[Connection]:
        self._require_open()
        with translated(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def write(self, *, timed: bool = True) -> Iterator[Connection]:
        """On leaving, the block is on disk, and what it deleted is erased; on an error, none is.

        It is a stage of a request, unless not `timed`.
        """
        with stage("store") if timed else nullcontext(), translated(), self._one_writer:
            self._require_open()
            with self._writer.begin() as connection:
                erasure.take(connection)  # of a block that failed
                yield connection
                if erases := erasure.take(connection):
                    self._backend.mark_erasure(connection)
            if erases or self._erasing:
                self._erasing = not self._backend.finish_erasure(self._engine)

    @contextmanager
    def follow(self) -> Iterator[Connection]:
        """A transaction of whoever makes the index follow: one at a time among all processes."""
        self._require_open()
        with translated(), self._follower.begin() as connection:
            yield connection

    def rotate(self, new: Cipher | None) -> int:
        """Seal everything anew -> values. The store has to be closed and opened with `new` then."""
        with self.write() as connection:
            count = rotation.rotate(connection, new)
        self._backend.finish_erasure(self._engine, at_start=True)
        return count

    def faults(self) -> list[str]:
        """What is damaged in the database itself; reads all of it."""
        with self.read() as connection:
            return self._backend.faults(connection)

    @contextmanager
    def snapshot(self) -> Iterator[Path]:
        """A file with all that is committed now; it is gone after the block."""
        self._require_open()
        with translated(), self._one_snapshot:
            self._snapshot.unlink(missing_ok=True)
            try:
                self._backend.copy_into(self._engine, self._snapshot)
                yield self._snapshot
            finally:
                self._snapshot.unlink(missing_ok=True)

    def close(self) -> None:
        """May be called twice. The last connection's end also empties the write-ahead log."""
        with self._one_writer:
            self._closed = True
            # A connection that a reader still has is closed when it comes back.
            event.listen(self._engine.pool, "checkin", lambda _, record: record.invalidate())
            self._engine.dispose()

    def _require_open(self) -> None:
        if self._closed:
            raise Unavailable("the store is closed")


def _parsed(url: str) -> tuple[URL, Backend]:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise SettingsError("the store's URL is not of the form postgresql://HOST/NAME") from error
    match parsed.get_backend_name():
        case "sqlite":
            return parsed, sqlite
        case "postgresql":
            return parsed, postgres
        case other:
            raise SettingsError(
                f"the store has no back-end for {other}; use postgresql://HOST/NAME"
            )
