from pathlib import Path

import pytest

from app.commands.journal import Journal, Owner
from app.errors import BadRequest

ADA = Owner("local", "default", "Ada")
ALAN = Owner("local", "default", "Älan, the \n second")
PICTURE, OTHER = "a" * 64, "b" * 64


def test_steps_are_there_after_reopening(tmp_path: Path):
    with Journal(tmp_path / "deep" / "journal") as journal:
        assert journal.step(ADA, PICTURE) is None
        journal.note(ADA, PICTURE, "began")
        journal.note(ADA, PICTURE, "done")
        journal.note(ALAN, PICTURE, "began")
    with Journal(tmp_path / "deep" / "journal") as journal:
        assert journal.step(ADA, PICTURE) == "done"
        assert journal.step(ALAN, PICTURE) == "began"
        assert journal.step(ADA._replace(place="http://elsewhere"), PICTURE) is None


def test_a_step_is_on_disk_before_note_returns(tmp_path: Path):
    journal = Journal(tmp_path / "journal")
    journal.note(ADA, PICTURE, "began")
    with Journal(tmp_path / "journal") as other:  # the first is still open, as after a kill
        assert other.step(ADA, PICTURE) == "began"
    journal.close()


@pytest.mark.parametrize("kept", range(1, 30))
def test_a_torn_line_takes_nothing_else_with_it(tmp_path: Path, kept: int):
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.note(ADA, PICTURE, "began")
        whole = path.stat().st_size
        journal.note(ADA, PICTURE, "done")
    path.write_bytes(path.read_bytes()[: whole + kept])
    with Journal(path) as journal:
        assert journal.step(ADA, PICTURE) == "began"
        journal.note(ALAN, PICTURE, "done")
    with Journal(path) as journal:
        assert journal.step(ADA, PICTURE) == "began"
        assert journal.step(ALAN, PICTURE) == "done"


def test_a_person_is_forgotten_for_good(tmp_path: Path):
    with Journal(tmp_path / "journal") as journal:
        journal.note(ADA, PICTURE, "done")
        journal.note(ADA, OTHER, "began")
        journal.note(ALAN, PICTURE, "done")
        journal.forget(ADA)
        journal.note(ADA, OTHER, "done")
    with Journal(tmp_path / "journal") as journal:
        assert journal.step(ADA, PICTURE) == "forgotten"
        assert journal.step(ADA, OTHER) == "done"
        assert journal.step(ALAN, PICTURE) == "done"


def test_a_journal_that_cannot_be_written_is_said(tmp_path: Path):
    (tmp_path / "journal").mkdir()
    with pytest.raises(BadRequest, match="cannot be written"):
        Journal(tmp_path / "journal")


def test_nobody_can_be_read_in_it(tmp_path: Path):
    with Journal(tmp_path / "journal") as journal:
        journal.note(ADA, PICTURE, "done")
        journal.forget(ADA)
    assert b"Ada" not in (tmp_path / "journal").read_bytes()
