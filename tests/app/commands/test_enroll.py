import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.commands.enroll import BulkEnrolment, Tally, pictures_by_person, run
from app.commands.journal import Journal
from app.commands.local import LocalTarget
from app.commands.refusals import RefusalReport
from app.commands.target import Faces, Picture
from app.errors import BadRequest, Busy, FaceError, Unavailable
from app.settings import read_settings
from tests.app.commands.people_folder import write_people
from tests.tiny_model import write_tiny_model


class Faulty(LocalTarget):
    """The real thing, which breaks where a test says so."""

    before: FaceError | None = None  # raised once, before a picture is stored
    after: BaseException | None = None  # raised once, after a picture is stored

    def enroll(self, person: str, picture: Picture, *, collection: str, faces: Faces) -> None:
        if self.before:
            error, self.before = self.before, None
            raise error
        super().enroll(person, picture, collection=collection, faces=faces)
        if self.after:
            error, self.after = self.after, None
            raise error


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Faulty]:
    model = write_tiny_model(tmp_path / "tiny.onnx")
    target = Faulty(read_settings({"data_dir": tmp_path / "data", "model_file": model}))
    yield target
    target.close()


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return write_people(tmp_path / "people")


def enrol(target: LocalTarget, people: Path, report: Path) -> Tally:
    return run(target, people, report, collection="default", faces="largest")


def face_counts(target: LocalTarget) -> dict[str, int]:
    return {person.id: person.faces for person in target.people(collection="default", search=None)}


def test_a_folder_per_person_is_enrolled_and_refusals_are_reported(
    target: Faulty, people: Path, tmp_path: Path
):
    tally = enrol(target, people, tmp_path / "refused.csv")
    assert (tally.enrolled, tally.before, tally.refused) == (3, 0, 2)
    assert face_counts(target) == {"Eileen": 2, "Tom Hånks": 1}
    with (tmp_path / "refused.csv").open(newline="", encoding="utf-8") as file:
        rows = {Path(row["path"]).name: row for row in csv.DictReader(file)}
    assert {name: row["code"] for name, row in rows.items()} == {
        "notes.txt": "unsupported_image",
        "wall.jpg": "no_face",
    }
    assert "not a picture" in rows["notes.txt"]["detail"]


def test_a_second_run_adds_only_what_is_new(target: Faulty, people: Path, tmp_path: Path):
    enrol(target, people, tmp_path / "refused.csv")
    (people / "Eileen" / "1.jpg").rename(people / "Eileen" / "renamed.jpg")
    (people / "Nobody" / "found.jpg").write_bytes((people / "Tom Hånks/1.jpg").read_bytes())
    tally = enrol(target, people, tmp_path / "refused.csv")
    assert (tally.enrolled, tally.before, tally.refused) == (1, 3, 2)
    assert face_counts(target) == {"Eileen": 2, "Nobody": 1, "Tom Hånks": 1}


def test_a_kill_after_storing_and_before_noting_it_stores_nothing_twice(
    target: Faulty, people: Path, tmp_path: Path
):
    target.after = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        enrol(target, people, tmp_path / "refused.csv")
    assert sum(face_counts(target).values()) >= 1
    tally = enrol(target, people, tmp_path / "refused.csv")
    assert tally.enrolled + tally.before == 3
    assert tally.before >= 1
    assert face_counts(target) == {"Eileen": 2, "Tom Hånks": 1}


def test_a_kill_before_storing_loses_no_picture(target: Faulty, people: Path, tmp_path: Path):
    target.before = Unavailable("the disk is gone")
    with pytest.raises(Unavailable, match="the disk is gone"):
        enrol(target, people, tmp_path / "refused.csv")
    enrol(target, people, tmp_path / "refused.csv")
    assert face_counts(target) == {"Eileen": 2, "Tom Hånks": 1}


def test_a_full_queue_is_waited_for(
    target: Faulty, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("app.commands.enroll.PAUSES", (0.01,))
    target.before = Busy("try again")
    assert enrol(target, people, tmp_path / "refused.csv").enrolled == 3


def test_a_person_deleted_since_is_enrolled_anew(target: Faulty, people: Path, tmp_path: Path):
    enrol(target, people, tmp_path / "refused.csv")
    target._gallery.delete_person("default", "Eileen")
    tally = enrol(target, people, tmp_path / "refused.csv")
    assert (tally.enrolled, tally.before) == (2, 1)
    assert face_counts(target) == {"Eileen": 2, "Tom Hånks": 1}


def test_the_same_picture_twice_is_one_face(target: Faulty, people: Path, tmp_path: Path):
    (people / "Eileen" / "copy.jpg").write_bytes((people / "Eileen" / "1.jpg").read_bytes())
    tally = enrol(target, people, tmp_path / "refused.csv")
    assert (tally.enrolled, tally.before) == (3, 1)


def test_a_name_that_cannot_be_an_id_is_reported_with_its_pictures(
    target: Faulty, people: Path, tmp_path: Path
):
    (people / "Tom Hånks").rename(people / "Tom? Or not")
    tally = enrol(target, people, tmp_path / "refused.csv")
    assert (tally.enrolled, tally.refused) == (2, 3)
    assert "bad_request" in (tmp_path / "refused.csv").read_text()


def test_every_picture_is_counted_once(target: Faulty, people: Path, tmp_path: Path):
    seen: list[None] = []
    with (
        Journal(tmp_path / "journal") as journal,
        RefusalReport(tmp_path / "refused.csv") as report,
    ):
        work = BulkEnrolment(target, journal, report, "default", "largest")
        work.run(pictures_by_person(people), lambda: seen.append(None))
    assert len(seen) == 5


def test_a_folder_without_people_is_said(tmp_path: Path):
    (tmp_path / "1.jpg").write_bytes(b"")
    with pytest.raises(BadRequest, match="no folder with pictures"):
        pictures_by_person(tmp_path)
    with pytest.raises(BadRequest, match="is not a folder"):
        pictures_by_person(tmp_path / "absent")
