"""A change and the memory of its answer are one transaction."""

from datetime import timedelta
from pathlib import Path

import pytest

from app.errors import Conflict, Unavailable
from app.gallery import Gallery, Mark, Reply
from app.index.flat import FlatIndex
from app.store.store import Store, sqlite_url
from tests.app.gallery.made import CONTRACT, THRESHOLD, face, open_gallery, vector

MARK = Mark("key", "request", "default", "ann")


def enrol(gallery: Gallery) -> Reply:
    person, faces, created = gallery.enrol("default", "ann", [face(1)])
    return Reply(201, f"{person.faces} {len(faces)} {created}".encode())


def test_the_second_time_nothing_changes(gallery: Gallery):
    first = gallery.once(MARK, lambda: enrol(gallery))
    again = gallery.once(MARK, lambda: enrol(gallery))
    assert first == (Reply(201, b"1 1 True"), False)
    assert again == (first[0], True)
    assert gallery.answered(MARK) == first[0]
    assert gallery.counts() == (1, 1)
    (answer,) = gallery.identify("default", vector(1)[None])
    assert answer.matches[0].person == "ann"


def test_what_follows_a_change_that_fails_undoes_it(gallery: Gallery):
    def change() -> Reply:
        enrol(gallery)
        raise Unavailable("the answer could not be made")

    with pytest.raises(Unavailable):
        gallery.once(MARK, change)
    assert gallery.counts() == (0, 0)
    assert gallery.answered(MARK) is None
    assert gallery.once(MARK, lambda: enrol(gallery))[1] is False  # and the next is a change again


def test_an_answer_outlives_the_process(tmp_path: Path):
    first = open_gallery(tmp_path)
    first.once(MARK, lambda: enrol(first))
    first.close()
    second = open_gallery(tmp_path)
    assert second.answered(MARK) == Reply(201, b"1 1 True")
    second.close()


def test_another_request_under_the_key_is_refused(gallery: Gallery):
    gallery.once(MARK, lambda: enrol(gallery))
    with pytest.raises(Conflict, match="another request"):
        gallery.answered(Mark("key", "other", "default", "ann"))


def test_answers_of_others_stay_when_a_person_is_deleted(gallery: Gallery):
    other = Mark("other", "request", "default", "bob")
    gallery.once(MARK, lambda: enrol(gallery))
    gallery.once(
        other, lambda: Reply(201, gallery.create_person("default", "bob", "Bob")[0].name.encode())
    )
    gallery.delete_person("default", "ann")
    with pytest.raises(Conflict, match="carried out"):
        gallery.answered(MARK)
    assert gallery.answered(other) == Reply(201, b"Bob")


def test_a_name_in_either_form_of_unicode_is_the_same_person(gallery: Gallery):
    mark = Mark("key", "request", "default", "Zoe\u0308")
    gallery.once(
        mark, lambda: Reply(201, gallery.create_person("default", "Zo\u00eb", None)[0].id.encode())
    )
    gallery.delete_person("default", "Zo\u00eb")
    with pytest.raises(Conflict, match="carried out"):
        gallery.answered(mark)


def test_an_old_answer_is_forgotten_and_pruned(tmp_path: Path):
    store = Store(sqlite_url(tmp_path / "faces.db"))
    gallery = Gallery(store, FlatIndex(), CONTRACT, THRESHOLD, keep_replies=timedelta(0))
    gallery.once(MARK, lambda: enrol(gallery))
    assert gallery.answered(MARK) is None
    gallery.once(MARK, lambda: enrol(gallery))
    with store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM replies").scalar_one() == 1
    gallery.close()
