"""A gallery whose index is kept in a file: what a start makes of it, and what is not left in it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from app.errors import Unavailable
from app.gallery import Gallery, projection, saved
from app.gallery.originals import originals_of
from app.index import local
from app.index.files import FILE
from app.store.store import Store, sqlite_url
from tests.app.gallery.made import CONTRACT, THRESHOLD, face, vector

PEOPLE = 8


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "EXACT_UP_TO", 4)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], Gallery]]:
    """Opens the gallery of one folder, any number of times; `killed` ones are never closed."""
    made: list[Gallery] = []

    def open_one() -> Gallery:
        store = Store(sqlite_url(tmp_path / "faces.db"))
        index = local.LocalIndex(originals_of(store), folder=tmp_path)
        made.append(Gallery(store, index, CONTRACT, THRESHOLD))
        return made[-1]

    yield open_one
    for gallery in made:
        killed(gallery)


def killed(gallery: Gallery) -> None:
    """Ends it without what a proper end does."""
    gallery._projection._save_if_due = lambda _: 0.0
    gallery.close()


def fill(gallery: Gallery) -> None:
    for seed in range(PEOPLE):
        gallery.enrol("default", f"p{seed}", [face(seed)])


def known(gallery: Gallery) -> set[str]:
    """Who is found by their own face, of those that tests enrol."""
    answers = gallery.identify("default", np.stack([vector(s) for s in range(20)]), threshold=0.99)
    return {answer.matches[0].person for answer in answers if answer.decision == "match"}


def everybody(but: set[str] = frozenset()) -> set[str]:
    return {f"p{seed}" for seed in range(PEOPLE)} - but


@pytest.fixture
def no_streaming(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        def stored_vectors(*_: object) -> None:
            raise AssertionError("made from the store")

        monkeypatch.setattr(saved, "stored_vectors", stored_vectors)
        monkeypatch.setattr(projection, "stored_vectors", stored_vectors)

    return forbid


def test_after_a_proper_end_the_file_is_loaded(opened, no_streaming):
    first = opened()
    fill(first)
    first.close()
    no_streaming()
    assert known(opened()) == everybody()


def test_after_a_kill_what_came_later_is_followed(opened, no_streaming):
    first = opened()
    fill(first)
    first.close()
    second = opened()
    second.enrol("default", "new", [face(15)])
    killed(second)
    no_streaming()
    assert known(opened()) == everybody() | {"new"}


def test_a_deletion_takes_the_file_with_it(opened, tmp_path: Path):
    first = opened()
    fill(first)
    first.close()
    assert (tmp_path / FILE).exists()
    second = opened()
    second.delete_person("default", "p3")
    assert not list(tmp_path.glob("index*"))
    killed(second)
    third = opened()
    assert known(third) == everybody({"p3"})
    third.close()
    assert (tmp_path / FILE).exists()  # without p3
    assert known(opened()) == everybody({"p3"})


def test_a_deletion_that_a_kill_cut_short_is_made_good(opened, tmp_path: Path):
    first = opened()
    fill(first)
    first.close()
    second = opened()
    second._projection.follow = lambda: None  # killed between the commit and the index
    second.delete_person("default", "p3")
    killed(second)
    assert (tmp_path / FILE).exists()
    assert known(opened()) == everybody({"p3"})
    assert not (tmp_path / FILE).exists()


def test_a_file_written_while_somebody_is_deleted_is_not_kept(opened, tmp_path: Path):
    gallery = opened()
    fill(gallery)
    write = gallery._index.write

    def slow(mark: str) -> None:
        write(mark)
        gallery.delete_person("default", "p5")

    gallery._index.write = slow
    gallery._projection._save()
    assert not list(tmp_path.glob("index*"))
    assert known(gallery) == everybody({"p5"})


def test_a_file_of_another_store_is_not_used(opened, tmp_path: Path):
    first = opened()
    fill(first)
    first.close()
    held = (tmp_path / FILE).read_bytes()
    for path in tmp_path.iterdir():
        path.unlink()
    other = opened()
    for seed in range(10, 10 + PEOPLE):
        other.enrol("default", f"p{seed}", [face(seed)])
    other.close()
    (tmp_path / FILE).write_bytes(held)
    assert known(opened()) == {f"p{seed}" for seed in range(10, 10 + PEOPLE)}


def test_an_older_file_of_this_store_is_not_used(opened, tmp_path: Path):
    first = opened()
    fill(first)
    first.close()
    held = (tmp_path / FILE).read_bytes()
    second = opened()
    second.delete_person("default", "p1")
    second.enrol("default", "new", [face(15)])
    second.close()
    (tmp_path / FILE).write_bytes(held)
    assert known(opened()) == everybody({"p1"}) | {"new"}


@pytest.mark.parametrize("harm", [b"", b"no archive"])
def test_a_damaged_file_is_made_anew(opened, tmp_path: Path, harm: bytes):
    first = opened()
    fill(first)
    first.close()
    (tmp_path / FILE).write_bytes(harm)
    second = opened()
    assert known(second) == everybody()
    second.close()
    assert (tmp_path / FILE).stat().st_size > len(harm)


def test_the_journal_keeps_what_the_file_lacks_and_no_more(opened):
    gallery = opened()
    fill(gallery)
    projected = gallery._projection
    projected._save_if_due(1)
    gallery.enrol("default", "new", [face(15), face(16)])
    gallery.create_collection("other")
    with gallery._store.read() as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM changes").scalar_one()
    assert kept == 1 + 2  # the mark and two faces
    projected._save_if_due(1)
    gallery.create_collection("another")
    with gallery._store.read() as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM changes").scalar_one()
    assert kept == 1


def test_until_the_index_is_made_changes_are_stored_and_nobody_is_unknown(
    opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first = opened()
    fill(first)
    killed(first)
    monkeypatch.setattr(saved, "PATIENCE", 0.01)
    go_on, steps = saved.threading.Event(), saved.stored_vectors

    def slowly(*given: object) -> Iterator[object]:
        for step in steps(*given):
            go_on.wait(30)
            yield step

    monkeypatch.setattr(saved, "stored_vectors", slowly)
    gallery = opened()
    for answer in (gallery.require_ready, lambda: known(gallery), gallery.inspect):
        with pytest.raises(Unavailable, match=f"0 of {PEOPLE} faces"):
            answer()
    gallery.delete_person("default", "p2")
    gallery.enrol("default", "new", [face(15)])
    go_on.set()
    gallery._projection._prepared.wait(30)
    assert known(gallery) == everybody({"p2"}) | {"new"}
    assert all(finding.ok for finding in gallery.inspect())
