"""The chain of the audit log, on every back-end."""

import threading

import pytest
from sqlalchemy import delete, update

from app.actor import ACTOR
from app.errors import FaceError
from app.store import audit_rows
from app.store.audit_rows import Act
from app.store.store import Store
from app.store.tables import audit


def chain(store: Store) -> list[int]:
    """The numbers of the lines that follow from the ones before them, from the first on."""
    followed, last = [], audit_rows.FIRST
    with store.read() as connection:
        for line, hash in audit_rows.after(connection, 0, 10_000):
            if audit_rows.chained(last, line) != hash:
                break
            followed.append(line.seq)
            last = hash
    return followed


def test_a_line_says_who_did_what_to_whom(store: Store):
    token = ACTOR.set("key:k1")
    with store.write() as connection:
        audit_rows.append(connection, Act("identify", "staff", ["ada"], ["Zoe\u0308", "bob"]))
    ACTOR.reset(token)
    with store.read() as connection:
        ((line, _),) = audit_rows.after(connection, 0, 10)
    assert (line.seq, line.actor, line.action, line.collection) == (
        1,
        "key:k1",
        "identify",
        "staff",
    )
    assert (line.people, line.shown) == (("ada",), ("Zoë", "bob"))  # composed, as ids are stored
    assert chain(store) == [1]


def test_what_is_undone_leaves_no_line_and_no_gap(store: Store):
    def fail() -> None:
        with store.write() as connection:
            audit_rows.append(connection, Act("enrol", "staff", ["ada"]))
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    with store.write() as connection:
        audit_rows.append(connection, Act("backup"))
    assert chain(store) == [1]


@pytest.mark.parametrize("change", [update(audit).values(actor="nobody"), delete(audit)])
def test_a_line_cannot_be_changed_or_deleted(store: Store, change):
    with store.write() as connection:
        audit_rows.append(connection, Act("backup"))
    with pytest.raises(FaceError), store.write() as connection:
        connection.execute(change)
    assert chain(store) == [1]


def test_several_writers_make_one_chain(url: str):
    """As replicas on one database do."""
    stores = [Store(url) for _ in range(3)]

    def write(store: Store) -> None:
        for _ in range(20):
            with store.write() as connection:
                audit_rows.append(connection, Act("backup"))

    writers = [threading.Thread(target=write, args=(store,)) for store in stores]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert chain(stores[0]) == list(range(1, 61))
    for store in stores:
        store.close()
