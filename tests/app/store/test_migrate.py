"""The schema at start: up to date, whole or untouched, and never of a newer version."""

import sqlite3
import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.errors import SettingsError, Unavailable
from app.store import collection_rows, migrate, sealing, sqlite, tables
from app.store.store import Store, sqlite_url

HEAD = max(migrate.known())
BROKEN_STEP = f'''
"""A step that fails half-way."""
import sqlalchemy as sa
from alembic import op
revision, down_revision = "9999", "{HEAD}"
def upgrade():
    op.create_table("half", sa.Column("id", sa.Integer()))
    raise RuntimeError("half-way")
'''


def names(file: Path) -> set[str]:
    connection = sqlite3.connect(file)
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.close()
    return {name for (name,) in found} - {"sqlite_sequence"}


def test_the_migrations_make_the_tables_that_the_code_speaks_of(store: Store):
    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


@pytest.mark.parametrize("table", ["collections", "people", "faces", "changes"])
def test_keys_are_never_used_twice(sqlite_store: Store, table: str):
    with sqlite_store.read() as connection:
        made = connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE name = ?", (table,)
        ).scalar_one()
    assert "AUTOINCREMENT" in made


def test_a_database_of_the_first_version_is_brought_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "faces.db"
    with monkeypatch.context() as patch:
        patch.setattr(ScriptDirectory, "get_current_head", lambda _: "0001")
        patch.setattr(command, "upgrade", partial(_upgrade_to, "0001", command.upgrade))
        patch.setattr(sealing, "require_key", lambda _: None)  # which that version did not do
        Store(sqlite_url(file)).close()
    assert "replies" not in names(file)
    with closing(sqlite3.connect(file)) as plain, plain:
        plain.execute(
            "INSERT INTO collections (name, contract, model, dim, keep_crops, description,"
            " created_at) VALUES ('old', 'c1', 'model', 4, 0, '', '2026-01-01 00:00:00')"
        )
    store = Store(sqlite_url(file))
    with store.read() as connection:
        assert [row.entity.name for row in collection_rows.listed(connection)] == ["old"]
    store.close()
    assert "replies" in names(file)


def _upgrade_to(revision: str, upgrade, config, _head: str) -> None:
    upgrade(config, revision)


def test_starting_again_changes_nothing(tmp_path: Path):
    file = tmp_path / "faces.db"
    Store(sqlite_url(file)).close()
    before = file.read_bytes()
    Store(sqlite_url(file)).close()
    assert file.read_bytes() == before


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path):
    file = tmp_path / "faces.db"
    Store(sqlite_url(file)).close()
    with sqlite3.connect(file) as plain:
        plain.execute("UPDATE alembic_version SET version_num = '7777'")
    plain.close()
    before = file.read_bytes()
    with pytest.raises(SettingsError, match=rf"newer version.*7777.*{HEAD}"):
        Store(sqlite_url(file))
    assert file.read_bytes() == before


def test_a_step_that_fails_leaves_the_schema_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    steps = sorted((migrate.FOLDER / "versions").glob("0*.py"))
    for source in (migrate.FOLDER / "env.py", *steps):
        (folder / source.relative_to(migrate.FOLDER)).write_text(source.read_text())
    (folder / "versions" / "9999_broken.py").write_text(BROKEN_STEP)
    monkeypatch.setattr(migrate, "FOLDER", folder)
    file = tmp_path / "faces.db"
    with pytest.raises(RuntimeError, match="half-way"):
        Store(sqlite_url(file))
    assert names(file) == set()  # not even the first step, nor the record of it

    monkeypatch.undo()
    Store(sqlite_url(file)).close()
    assert "people" in names(file)
    assert "half" not in names(file)


def test_a_start_waits_for_whoever_has_the_new_file(tmp_path: Path):
    file = tmp_path / "faces.db"
    with closing(sqlite3.connect(file, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.2, other.rollback)
        release.start()
        Store(sqlite_url(file)).close()
        release.join()
    assert "people" in names(file)


def test_a_start_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sqlite, "BUSY_MS", 50)
    file = tmp_path / "faces.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            Store(sqlite_url(file))


def test_starts_at_once_migrate_once(url: str):
    failures = []
    together = threading.Barrier(4)

    def start() -> None:
        together.wait()
        try:
            Store(url).close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    store = Store(url)
    with store.read() as connection:
        assert collection_rows.listed(connection) == []
    store.close()
