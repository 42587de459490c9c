"""Changes, one at a time: each a transaction, and the index that follows it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from app.gallery.projection import Projection
from app.store import audit_rows
from app.store.audit_rows import Act
from app.store.store import Store


class Changes:
    def __init__(self, store: Store, projection: Projection) -> None:
        self._store = store
        self._projection = projection
        self._one = threading.RLock()
        self._begun: Connection | None = None  # of the thread that holds the lock

    @contextmanager
    def begin(self, act: Act | None = None) -> Iterator[Connection]:
        """A change begun inside another becomes a part of it: both are stored, or neither.

        So is the line of `act` in the audit log.
        """
        with self._one:
            if self._begun is not None:
                yield self._begun
                _log(self._begun, act)
                return
            with self._store.write() as connection:
                self._projection.forget_followed(connection)
                self._begun = connection
                try:
                    yield connection
                    _log(connection, act)
                finally:
                    self._begun = None
            self._projection.follow()

    @contextmanager
    def none(self) -> Iterator[None]:
        """While the block runs, nothing is changed."""
        with self._one:
            yield

    def catch_up(self) -> None:
        """Make good what the index missed, if anything. Unavailable while it is being made."""
        self._projection.require_ready()
        if self._projection.behind:
            self.follow()

    def follow(self) -> None:
        """Make the index follow the journal, whoever wrote it."""
        with self._one:
            self._projection.follow()


def _log(connection: Connection, act: Act | None) -> None:
    # At the end of the block: from here on the processes on this store wait for one another.
    if act is not None:
        audit_rows.append(connection, act)
