"""Faces are deleted when they have been kept for as long as they may be; so are people who have
none left. Deleted as by hand: rows, vectors, crops, index entries and stored answers."""

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.errors import FaceError
from app.gallery.changes import Changes
from app.store import audit_rows, collection_rows, expiry, journal, person_rows
from app.store.audit_rows import Act
from app.store.store import Store

SECONDS = 600.0  # between two sweeps
AT_ONCE = 1000  # faces, or people, deleted in one transaction

log = logging.getLogger("face.retention")


@dataclass(frozen=True)
class Swept:
    faces: int = 0
    people: int = 0


class Retention:
    def __init__(self, store: Store, changes: Changes) -> None:
        self._store = store
        self._changes = changes
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, days: int) -> None:
        """Sweep now and from time to time, in a thread. `days` where a collection has none of its
        own; 0 keeps for ever."""
        self._thread = threading.Thread(target=self._run, args=(days,), name="retention")
        self._thread.start()

    def close(self) -> None:
        """May be called twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def sweep(self, days: int) -> Swept:
        now, faces, people = datetime.now(UTC), 0, 0
        with self._store.read() as connection:
            collections = collection_rows.retentions(connection)
        for key, (name, own) in collections.items():
            kept = days if own is None else own
            while kept and not self._stop.is_set():
                swept = self._sweep_some(key, name, now - timedelta(days=kept))
                faces, people = faces + swept.faces, people + swept.people
                if swept == Swept():
                    break
        return Swept(faces, people)

    def _sweep_some(self, key: int, name: str, before: datetime) -> Swept:
        with self._store.read() as connection:  # most often there is nothing to change
            if not expiry.any_expired(connection, key, before):
                return Swept()
        with self._changes.begin() as connection:
            faces = expiry.faces(connection, key, before, AT_ONCE)
            journal.note_faces(connection, key, faces)
            expiry.remove_faces(connection, faces)
            people = expiry.people(connection, key, before, AT_ONCE)
            for person in people:
                person_rows.remove(connection, person)
            ids = list(people.values())
            if faces or ids:
                audit_rows.append(connection, Act("expire", name, ids))
        return Swept(len(faces), len(people))

    def _run(self, days: int) -> None:
        while not self._stop.is_set():
            try:
                swept = self.sweep(days)
                if swept != Swept():
                    facts = {"faces": swept.faces, "people": swept.people}
                    log.info("expired", extra={"facts": facts})
            except FaceError as error:  # the next sweep tries again
                log.error("expiry failed", extra={"facts": {"error": type(error).__name__}})
            self._stop.wait(SECONDS)
