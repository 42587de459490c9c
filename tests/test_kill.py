"""A few rounds of `python -m tests.kill`, and that it sees what it is there to see."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.kill import Trial


def test_nothing_acknowledged_is_lost_and_nothing_deleted_comes_back(tmp_path: Path):
    trial = Trial(tmp_path, seed=3)
    trial.run(rounds=3)
    assert trial.faults == []
    assert trial.counts["kills"] == 3
    assert trial.counts["POST acknowledged"] >= 3


@pytest.mark.parametrize(("table", "key"), [("people", "person_id"), ("faces", "id")])
def test_a_loss_is_seen(tmp_path: Path, table: str, key: str):
    trial = Trial(tmp_path, seed=4, least=20)
    trial.run(rounds=1)
    with closing(sqlite3.connect(tmp_path / "data" / "face.db")) as database, database:
        database.execute("PRAGMA foreign_keys = ON")
        database.execute(f"DELETE FROM {table} WHERE id = (SELECT max({key}) FROM faces)")
    trial.run(rounds=0)
    assert trial.counts["lost"] == 1


def test_a_change_without_its_line_in_the_log_is_seen(tmp_path: Path):
    trial = Trial(tmp_path, seed=5, least=20)
    trial.run(rounds=1)
    with closing(sqlite3.connect(tmp_path / "data" / "face.db")) as database, database:
        database.execute("DROP TRIGGER audit_no_delete")
        database.execute(
            "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit WHERE action != 'identify')"
        )
    trial.read_log_anew()
    trial.run(rounds=0)
    assert any("without its line" in fault for fault in trial.faults)
