"""The store's door: durability, one writer beside many readers, errors in our own words."""

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from app.entities import Contract
from app.errors import Conflict, FaceError, SettingsError, Unavailable
from app.store import collection_rows, sqlite
from app.store.store import Store, sqlite_url

CONTRACT = Contract("c1", "model", 4)


def test_sqlite_is_set_up_to_keep_what_it_acknowledged(sqlite_store: Store):
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
    for block in (sqlite_store.read, sqlite_store.write):
        with block() as connection:
            found = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in wanted
            }
        assert found == wanted


def test_the_files_are_their_owners_alone_in_whatever_folder(tmp_path: Path):
    tmp_path.chmod(0o755)
    store = Store(sqlite_url(tmp_path / "faces.db"))
    with store.write() as connection:
        collection_rows.add(connection, "first", CONTRACT)
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes["faces.db"] == modes["faces.db-wal"] == 0o600
    store.close()


def test_an_error_inside_undoes_the_whole_block(store: Store):
    def add_and_fail() -> None:
        with store.write() as connection:
            collection_rows.add(connection, "first", CONTRACT)
            raise Conflict("enough")

    with pytest.raises(Conflict, match="enough"):
        add_and_fail()
    with store.read() as connection:
        assert collection_rows.find(connection, "first") is None


def test_readers_go_on_while_one_writes(store: Store):
    seen = []

    def read() -> None:
        with store.read() as connection:
            seen.append(collection_rows.find(connection, "new"))

    with store.write() as connection:
        collection_rows.add(connection, "new", CONTRACT)
        reader = threading.Thread(target=read)
        reader.start()
        reader.join(5)
        assert seen == [None]  # answered, and does not see what is not committed


def test_writers_take_turns(store: Store):
    def write(number: int) -> None:
        with store.write() as connection:
            known = len(collection_rows.listed(connection))
            collection_rows.add(connection, f"{known} {number}", CONTRACT)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as connection:
        names = [row.entity.name for row in collection_rows.listed(connection)]
    assert [name.split()[0] for name in names] == [str(n) for n in range(8)]


def test_a_collision_is_a_conflict_without_the_database_s_words(store: Store):
    with store.write() as connection:
        collection_rows.add(connection, "same", CONTRACT)
    with pytest.raises(Conflict) as caught, store.write() as connection:
        collection_rows.add(connection, "same", CONTRACT)
    assert "unique" not in str(caught.value).lower()
    assert "same" not in str(caught.value)


def test_a_full_disk_is_unavailable_and_leaves_what_was_there(sqlite_store: Store):
    with sqlite_store.write() as connection:
        collection_rows.add(connection, "before", CONTRACT)

    def fill() -> None:
        with sqlite_store.write() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            for number in range(100):
                collection_rows.add(connection, f"c{number}", CONTRACT, description="x" * 2000)

    with pytest.raises(Unavailable) as caught:
        fill()
    assert "full" not in str(caught.value)
    assert "full" in str(caught.value.__cause__)
    with sqlite_store.read() as connection:
        assert [row.entity.name for row in collection_rows.listed(connection)] == ["before"]


def test_a_lock_that_someone_else_holds_is_unavailable_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sqlite, "BUSY_MS", 50)
    store = Store(sqlite_url(tmp_path / "faces.db"))
    other = sqlite3.connect(tmp_path / "faces.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable), store.write():
        pass
    with store.read() as connection:  # reading goes on
        assert collection_rows.listed(connection) == []
    other.execute("ROLLBACK")
    other.close()
    with store.write() as connection:
        collection_rows.add(connection, "after", CONTRACT)
    store.close()


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path):
    file = tmp_path / "faces.db"
    file.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(Unavailable) as caught:
        Store(sqlite_url(file))
    assert str(file) not in str(caught.value)


def test_a_missing_folder_is_unavailable(tmp_path: Path):
    with pytest.raises(Unavailable):
        Store(sqlite_url(tmp_path / "nowhere" / "faces.db"))


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://h/d", "faces.db"])
def test_a_url_that_cannot_serve_says_what_can(url: str):
    with pytest.raises(SettingsError, match="store"):
        Store(url)


def test_a_file_name_may_have_any_signs(tmp_path: Path):
    file = tmp_path / "a b%20?#é.db"
    Store(sqlite_url(file)).close()
    assert file.exists()


def test_closing_twice_is_fine_and_a_closed_store_says_so(store: Store):
    store.close()
    store.close()
    for block in (store.read, store.write):
        with pytest.raises(Unavailable, match="closed"), block():
            pass


def test_a_statement_that_fails_is_translated(store: Store):
    with pytest.raises(FaceError) as caught, store.read() as connection:
        connection.execute(text("SELECT secret FROM nowhere"))
    assert isinstance(caught.value, Unavailable)
    assert "nowhere" not in str(caught.value)


def test_the_log_is_gone_after_closing(tmp_path: Path):
    store = Store(sqlite_url(tmp_path / "faces.db"))
    with store.write() as connection:
        collection_rows.add(connection, "kept", CONTRACT)
    store.close()
    assert [file.name for file in tmp_path.iterdir()] == ["faces.db"]
    with sqlite3.connect(tmp_path / "faces.db") as plain:
        assert plain.execute("SELECT name FROM collections").fetchall() == [("kept",)]
    plain.close()
