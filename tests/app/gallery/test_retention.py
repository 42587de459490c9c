"""What was kept long enough is deleted, from every byte and from the index; all else stays."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from app.gallery import Gallery, retention
from app.gallery.retention import Swept
from app.store import tables
from tests.app.gallery.made import face, in_folder, open_gallery, vector

DAYS = 30


def aged(gallery: Gallery, days: float, *people: str) -> None:
    """As if those, with their faces, had been stored so many days ago."""
    then = datetime.now(UTC) - timedelta(days=days)
    rows = tables.people.c.person.in_(people)
    with gallery._store.write() as connection:
        keys = connection.execute(tables.people.select().where(rows)).scalars().all()
        old = update(tables.faces).where(tables.faces.c.person_id.in_(keys))
        connection.execute(old.values(created_at=then))
        connection.execute(update(tables.people).where(rows).values(updated_at=then))


def bytes_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


@in_folder
def test_the_old_are_gone_from_store_index_and_bytes(gallery: Gallery, tmp_path: Path):
    # The log of who did what keeps the ids of those who were deleted; names and vectors it has not.
    gallery.enrol("default", "old", [face(1)], name="Wilhelmina")
    gallery.enrol("default", "new", [face(2)])
    gallery.create_person("default", "empty", "Nobody yet")
    gallery.create_person("default", "waiting", None)
    aged(gallery, DAYS + 1, "old", "empty")
    traces = [b"Wilhelmina", vector(1).tobytes()]
    assert all(trace in bytes_in(tmp_path) for trace in traces)
    assert gallery.retention.sweep(DAYS) == Swept(faces=1, people=2)
    assert [person.id for person in gallery.people("default").items] == ["new", "waiting"]
    left = bytes_in(tmp_path)
    assert [trace for trace in traces if trace in left] == []
    (answer,) = gallery.identify("default", vector(1)[None])
    assert [match.person for match in answer.matches] == ["new"]
    assert [finding.faults for finding in gallery.inspect()] == [0] * 5
    last = gallery.audit.lines(after=0, limit=100)[-2]
    assert (last.action, last.collection, set(last.people)) == (
        "expire",
        "default",
        {"old", "empty"},
    )
    assert gallery.retention.sweep(DAYS) == Swept()


def test_a_person_with_newer_faces_stays(gallery: Gallery):
    gallery.enrol("default", "ann", [face(1)])
    aged(gallery, DAYS + 1, "ann")
    (kept,) = gallery.add_faces("default", "ann", [face(2)])[1]
    assert gallery.retention.sweep(DAYS) == Swept(faces=1)
    assert gallery.faces("default", "ann") == (kept,)


def test_days_of_a_collection_go_before_the_settings(gallery: Gallery):
    for name, days in (("short", 1), ("ever", 0), ("plain", None)):
        made = gallery.create_collection(name, retention_days=days)
        assert made.retention_days == days
        gallery.enrol(name, f"{name} one", [face(1)])
        aged(gallery, 2, f"{name} one")
    assert gallery.retention.sweep(0) == Swept(1, 1)  # of `short`
    assert gallery.retention.sweep(3) == Swept()
    assert gallery.retention.sweep(1) == Swept(1, 1)  # of `plain`
    assert len(gallery.people("ever").items) == 1
    gallery.update_collection("ever", retention_days=None)
    assert gallery.retention.sweep(1) == Swept(1, 1)


def test_many_go_in_portions(gallery: Gallery, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    gallery.enrol("default", "ann", [face(seed) for seed in range(5)])
    aged(gallery, DAYS + 1, "ann")
    assert gallery.retention.sweep(DAYS) == Swept(5, 1)


@pytest.fixture
def again(tmp_path: Path) -> Iterator[Gallery]:
    gallery = open_gallery(tmp_path)
    gallery.enrol("default", "old", [face(1)])
    aged(gallery, DAYS + 1, "old")
    gallery.close()
    made = open_gallery(tmp_path)
    yield made
    made.close()


def test_a_start_sweeps_at_once_and_a_close_waits_for_it(again: Gallery):
    again.retention.start(DAYS)
    for _ in range(1000):
        if again.counts() == (0, 0):
            break
        threading.Event().wait(0.01)
    assert again.counts() == (0, 0)
