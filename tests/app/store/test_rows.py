"""The queries, against a real database."""

import numpy as np
import pytest

from app.entities import Contract
from app.store import collection_rows, face_rows, journal, person_rows
from app.store.face_rows import FaceToAdd
from app.store.store import Store

CONTRACT = Contract("c1", "model", 4)


def collection(connection, name="people") -> int:
    collection_rows.add(connection, name, CONTRACT)
    return collection_rows.find(connection, name).key


def face(*numbers: float, png: bytes | None = None) -> FaceToAdd:
    return FaceToAdd(np.array(numbers or (1, 0, 0, 0), np.float32), 0.5, png)


def test_times_come_back_aware_and_equal(store: Store):
    with store.write() as connection:
        key = collection(connection)
        person_rows.add(connection, key, "ann", "Ann", {})
        person = person_rows.find(connection, key, "ann")
    assert person.entity.created_at.utcoffset().total_seconds() == 0
    assert person.entity.created_at == person.entity.updated_at


def test_metadata_and_text_of_any_script_come_back(store: Store):
    notes = {"ключ": "значение", "quote": "'\"; DROP TABLE people"}
    with store.write() as connection:
        key = collection(connection)
        person_rows.add(connection, key, "あきら", "黒澤 明 🎬", notes)
        found = person_rows.find(connection, key, "あきら").entity
    assert (found.name, found.metadata) == ("黒澤 明 🎬", notes)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ANN", ["ann", "b", "joann"]),
        ("straße", ["s"]),
        ("STRASSE", ["s"]),
        ("ÖZ", ["o"]),
        ("öz", ["o"]),
        ("иван", ["r"]),
        ("100%", ["p"]),
        ("0_", []),
        ("\\", []),
        ("annann", []),
        ("", ["ann", "b", "joann", "o", "p", "r", "s"]),
    ],
)
def test_search_finds_parts_of_ids_and_names_in_any_case(store: Store, search, found):
    people = {
        "ann": "Ann",
        "b": "Hannah",
        "joann": "Jo",
        "o": "Özil",
        "p": "100% sure",
        "r": "ИВАН",
        "s": "Straße",
    }
    with store.write() as connection:
        key = collection(connection)
        for person, name in people.items():
            person_rows.add(connection, key, person, name, {})
        page = person_rows.page(connection, key, after=None, limit=50, search=search)
    assert [person.id for person in page] == found


def test_a_new_name_is_found_and_the_old_one_is_not(store: Store):
    with store.write() as connection:
        key = collection(connection)
        person_rows.add(connection, key, "p", "Old", {})
        person_rows.change(connection, person_rows.find(connection, key, "p"), "Neu", {"a": "b"})
        for search, count in (("old", 0), ("NEU", 1)):
            page = person_rows.page(connection, key, after=None, limit=5, search=search)
            assert len(page) == count


def test_vectors_come_back_to_the_bit_and_in_steps(store: Store):
    vectors = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    with store.write() as connection:
        key, other = collection(connection), collection(connection, "other")
        for owner in (other, key):
            person = person_rows.add(connection, owner, "p", "p", {})
            face_rows.add(connection, owner, person, [face(*row) for row in vectors])
        steps, last = [], 0
        while len((step := face_rows.vectors_after(connection, key, last, 3)).ids):
            steps.append(step)
            last = int(step.ids[-1])
    assert [len(step.ids) for step in steps] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([s.embeddings for s in steps]), vectors)
    assert np.concatenate([step.ids for step in steps]).tolist() == list(range(8, 15))


def test_no_vector_is_an_empty_array(store: Store):
    with store.read() as connection:
        found = face_rows.vectors(connection, [1, 2])
    assert (len(found.ids), len(found.embeddings)) == (0, 0)


def test_removing_a_person_takes_faces_and_crops_along(store: Store):
    with store.write() as connection:
        key = collection(connection)
        person = person_rows.add(connection, key, "p", "p", {})
        (kept,) = face_rows.add(connection, key, person, [face(png=b"png")])
        assert face_rows.crop(connection, person, kept) == b"png"
        assert face_rows.of_person(connection, person)[0].has_crop
        person_rows.remove(connection, person)
        for table in ("people", "faces", "crops"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() == 0


def test_an_id_is_not_used_again_after_its_face_is_gone(store: Store):
    with store.write() as connection:
        key = collection(connection)
        person = person_rows.add(connection, key, "p", "p", {})
        (first,) = face_rows.add(connection, key, person, [face()])
        assert face_rows.remove(connection, person, first)
        assert not face_rows.remove(connection, person, first)
        (second,) = face_rows.add(connection, key, person, [face()])
    assert second > first


def test_a_face_is_removed_only_through_its_own_person(store: Store):
    with store.write() as connection:
        key = collection(connection)
        ann, bob = (person_rows.add(connection, key, name, name, {}) for name in ("ann", "bob"))
        (of_ann,) = face_rows.add(connection, key, ann, [face(png=b"png")])
        assert not face_rows.remove(connection, bob, of_ann)
        assert face_rows.crop(connection, bob, of_ann) is None


def test_owners_of_more_faces_than_a_statement_takes(store: Store):
    with store.write() as connection:
        key = collection(connection)
        person = person_rows.add(connection, key, "p", "P", {})
        (known,) = face_rows.add(connection, key, person, [face()])
        found = person_rows.owners(connection, range(40_000))
    assert found == {known: person_rows.Owner("p", "P")}


def test_counts_are_of_each_collection(store: Store):
    with store.write() as connection:
        key = collection(connection)
        collection(connection, "empty")
        for name in ("ann", "bob"):
            person = person_rows.add(connection, key, name, name, {})
            face_rows.add(connection, key, person, [face(), face()])
        counts = {
            row.entity.name: (row.entity.people, row.entity.faces)
            for row in collection_rows.listed(connection)
        }
        assert counts == {"people": (2, 4), "empty": (0, 0)}
        assert (person_rows.count(connection), face_rows.count(connection)) == (2, 4)
        assert person_rows.find(connection, key, "ann").entity.faces == 2


def test_the_journal_is_read_in_order_and_forgotten_up_to_a_number(store: Store):
    with store.write() as connection:
        journal.note_faces(connection, 1, [10, 11])
        journal.note_faces(connection, 1, [])
        journal.note_collection(connection, 2)
        entries = journal.entries(connection, 0, 2)
        assert [(entry.collection_key, entry.face) for entry in entries] == [(1, 10), (1, 11)]
        rest = journal.entries(connection, entries[-1].number, 2)
        assert [(entry.collection_key, entry.face) for entry in rest] == [(2, None)]
        journal.forget(connection, entries[-1].number)
        assert journal.entries(connection, 0, 9) == rest
