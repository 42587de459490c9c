"""Lines of the audit log that are written together, on every back-end."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import event, text

from app.actor import ACTOR
from app.entities import AuditLine
from app.errors import Busy, FaceError, Unavailable
from app.gallery import Act, Gallery, auditor
from app.gallery.audit import AuditLog
from app.gallery.auditor import Auditor
from app.store.store import Store
from tests.app.gallery.made import face, vector

CALLERS = 12
DAMAGE, REPAIR = "ALTER TABLE audit RENAME TO lost", "ALTER TABLE lost RENAME TO audit"


@pytest.fixture
def writer(store: Store) -> Iterator[Auditor]:
    opened = Auditor(store)
    yield opened
    opened.close()


class Callers:
    """Each writes a line in a thread of its own, and remembers what it heard."""

    def __init__(self, writer: Auditor, count: int = CALLERS) -> None:
        self.heard: list[FaceError | None] = [None] * count
        self._writer = writer
        self._handed_over = threading.Semaphore(0)
        submit = writer._batcher.submit

        def counted(act):
            try:
                return submit(act)
            finally:
                self._handed_over.release()

        writer._batcher.submit = counted
        self._threads = [threading.Thread(target=self._call, args=(n,)) for n in range(count)]

    def start(self) -> None:
        """Returns when every line waits, or was refused."""
        for thread in self._threads:
            thread.start()
        for _ in self._threads:
            assert self._handed_over.acquire(timeout=10)

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _call(self, number: int) -> None:
        ACTOR.set(f"key:{number}")
        try:
            self._writer.write(Act("verify", "default", [f"p{number}"]))
        except FaceError as error:
            self.heard[number] = error


@contextmanager
def commits(store: Store) -> Iterator[list[object]]:
    """Of changes, while the block runs."""
    seen: list[object] = []
    note = seen.append
    event.listen(store._writer, "commit", note)
    yield seen
    event.remove(store._writer, "commit", note)


def told(store: Store) -> list[AuditLine]:
    """All lines, when they follow from one another."""
    log = AuditLog(store)
    assert log.verify().fault is None
    return log.lines()


def run(store: Store, statement: str) -> None:
    with store.write() as connection:
        connection.execute(text(statement))


def test_lines_that_wait_at_the_same_time_share_a_commit(store: Store, writer: Auditor):
    callers = Callers(writer)
    with commits(store) as seen:
        with store.write():  # holds the first group, whatever is in it; the others are the second
            callers.start()
        callers.join()
    assert 2 <= len(seen) <= 3  # this block's own is among them
    assert callers.heard == [None] * CALLERS
    assert sorted(line.people for line in told(store)) == sorted((f"p{n}",) for n in range(CALLERS))


def test_a_line_tells_the_actor_and_the_time_of_its_caller(store: Store, writer: Auditor):
    callers, began = Callers(writer), datetime.now(UTC)
    with store.write():
        callers.start()
        handed_over = datetime.now(UTC)
    callers.join()
    assert {(line.actor, line.people) for line in told(store)} == {
        (f"key:{n}", (f"p{n}",)) for n in range(CALLERS)
    }
    assert all(began <= line.at <= handed_over for line in told(store))


def test_a_group_that_fails_is_an_error_for_each_of_its_callers_and_the_next_works(
    store: Store, writer: Auditor
):
    writer.write(Act("backup"))
    callers = Callers(writer)
    with store.write() as connection:
        callers.start()
        connection.execute(text(DAMAGE))
    callers.join()
    assert [type(error) for error in callers.heard] == [Unavailable] * CALLERS
    run(store, REPAIR)
    writer.write(Act("backup"))
    assert [line.action for line in told(store)] == ["backup"] * 2


def test_a_full_queue_is_busy_and_nothing_else_is_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(auditor, "AT_ONCE", 1)
    monkeypatch.setattr(auditor, "QUEUE", 2)
    writer = Auditor(store)
    callers = Callers(writer)
    with store.write():
        callers.start()
    callers.join()
    writer.close()
    refused = [error for error in callers.heard if error]
    assert {type(error) for error in refused} == {Busy}
    assert CALLERS - 3 <= len(refused) <= CALLERS - 2  # one at most is in the writer's hands
    written = {f"p{n}" for n, error in enumerate(callers.heard) if error is None}
    assert {person for line in told(store) for person in line.people} == written


def test_closing_writes_what_waits_and_takes_no_more(store: Store, writer: Auditor):
    callers, closing = Callers(writer), threading.Thread(target=writer.close)
    with store.write():
        callers.start()
        closing.start()
    closing.join()
    callers.join()
    assert callers.heard == [None] * CALLERS
    assert len(told(store)) == CALLERS
    with pytest.raises(Unavailable):
        writer.write(Act("backup"))
    assert len(told(store)) == CALLERS


def test_groups_of_several_processes_and_changes_make_one_chain(url: str):
    """As replicas on one database do."""
    stores = [Store(url) for _ in range(3)]
    writers = [Auditor(each) for each in stores]

    def write(writer: Auditor) -> Callable[[], None]:
        return lambda: [writer.write(Act("verify", "default", ["ada"])) for _ in range(10)]

    threads = [threading.Thread(target=write(writer)) for writer in writers for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [line.seq for line in told(stores[0])] == list(range(1, 121))
    for writer, each in zip(writers, stores, strict=True):
        writer.close()
        each.close()


def test_without_its_line_nobody_is_named(gallery: Gallery):
    gallery.enrol("default", "ada", [face(1)])
    run(gallery._store, DAMAGE)
    with pytest.raises(Unavailable):
        gallery.identify("default", vector(1)[None])
    with pytest.raises(Unavailable):
        gallery.verify("default", "ada", vector(1))
    run(gallery._store, REPAIR)
    assert gallery.verify("default", "ada", vector(1)).same
    assert [line.action for line in told(gallery._store)] == ["enrol", "verify"]


def test_each_of_many_who_ask_at_once_has_a_line(gallery: Gallery):
    for seed in range(4):
        gallery.enrol("default", f"p{seed}", [face(seed)])

    def ask(caller: int) -> None:
        ACTOR.set(f"key:{caller}")
        for step in range(5):
            (answer,) = gallery.identify("default", vector(step % 4)[None])
            assert answer.matches[0].person == f"p{step % 4}"
            gallery.verify("default", f"p{caller % 4}", np.array(vector(1)))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = told(gallery._store)[4:]
    for caller in range(8):
        own = [(line.action, line.people) for line in lines if line.actor == f"key:{caller}"]
        assert own == [
            told
            for step in range(5)
            for told in (
                ("identify", (f"p{step % 4}",)),
                ("verify", (f"p{caller % 4}",)),
            )
        ]
