"""Galleries that share a store and an index, each as in a process of its own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import numpy as np
import pytest

from app.entities import Contract
from app.errors import NotFound
from app.gallery import Gallery, Mark, Reply
from app.gallery import shared as shared_module
from app.gallery.projection import index_name
from app.gallery.shared import Watch
from app.index.milvus import MilvusIndex
from app.store import face_rows, journal, person_rows
from app.store.face_rows import FaceToAdd
from app.store.store import Store
from tests.app.gallery.made import CONTRACT, DEFAULT_INDEX, DIM, THRESHOLD, face, vector
from tests.app.gallery.test_concurrency import at_once
from tests.scale.milvus import Milvus
from tests.scale.postgresql import Cluster

EVERY_ID = (0, 2**63 - 1)


@pytest.fixture
def replica(postgresql: Cluster, milvus_lite: Milvus) -> Iterator[Callable[..., Gallery]]:
    """Makes one more replica of one gallery."""
    url, uri = postgresql.new_database(), milvus_lite.new_database()
    with ExitStack() as opened:

        def make(contract: Contract = CONTRACT) -> Gallery:
            made = Gallery(Store(url), MilvusIndex(uri), contract, THRESHOLD)
            opened.callback(made.close)
            return made

        yield make


def best(gallery: Gallery, seed: int) -> str | None:
    (answer,) = gallery.identify("default", vector(seed)[None], threshold=0.99)
    return answer.matches[0].person if answer.decision == "match" else None


def indexed(gallery: Gallery) -> list[int]:
    return sorted(gallery._index.ids_between(DEFAULT_INDEX, *EVERY_ID).tolist())


def stored(gallery: Gallery) -> list[int]:
    with gallery._store.read() as connection:
        return face_rows.vectors_after(connection, 1, 0, 10_000).ids.tolist()


def store_alone(gallery: Gallery, person: str, seed: int) -> None:
    """As a replica leaves it that is killed between its commit and the index."""
    with gallery._store.write() as connection:
        key = person_rows.add(connection, 1, person, person, {})
        ids = face_rows.add(connection, 1, key, [FaceToAdd(vector(seed), None, None)])
        journal.note_faces(connection, 1, ids)


def test_what_one_acknowledged_another_finds_at_once(replica):
    first, second = replica(), replica()
    for seed in range(5):
        first.enrol("default", f"p{seed}", [face(seed)])
        assert best(second, seed) == f"p{seed}"
        second.delete_person("default", f"p{seed}")
        assert best(first, seed) is None
    assert (indexed(first), first.counts()) == ([], (0, 0))


def test_what_a_killed_replica_stored_the_next_change_takes_along(replica):
    first, second = replica(), replica()
    store_alone(first, "ann", 1)
    second.enrol("default", "bob", [face(2)])
    assert (best(first, 1), best(second, 2)) == ("ann", "bob")
    assert first._projection.waiting() == 0


def test_what_nobody_follows_is_found_by_those_who_watch(replica, monkeypatch):
    monkeypatch.setattr(shared_module, "WATCH_SECONDS", 0.05)
    gallery = replica()
    store_alone(gallery, "ann", 1)
    watch = Watch(gallery._changes, gallery._projection)
    for _ in range(600):
        if gallery._projection.waiting() == 0:
            break
        threading.Event().wait(0.05)
    watch.close()
    watch.close()
    assert best(gallery, 1) == "ann"


def test_an_entry_that_is_committed_late_is_not_skipped(replica):
    """Numbers are given when an entry is written, and seen when it is committed."""
    first, second = replica(), replica()
    first.enrol("default", "ann", [face(1)])
    ids = stored(first)
    first._index.remove(DEFAULT_INDEX, np.array(ids))  # so that only the late entry can mend it
    with first._store._engine.begin() as late:
        journal.note_faces(late, 1, ids)
        second.enrol("default", "bob", [face(2)])  # follows its own, of a higher number
        assert indexed(second) != stored(second)
    second.enrol("default", "cat", [face(3)])
    assert indexed(second) == stored(second)


def test_replicas_of_two_models_keep_each_other_s_entries(replica):
    first, other = replica(), replica(Contract("c2", "second", DIM))
    store_alone(first, "ann", 1)
    other.create_collection("theirs")
    other.enrol("theirs", "bob", [face(2)])  # follows ann's entry too
    other.reconcile()
    assert best(first, 1) == "ann"
    (answer,) = other.identify("theirs", vector(2)[None])
    assert answer.matches[0].person == "bob"


def test_what_differs_is_mended_in_place(replica, monkeypatch):
    monkeypatch.setattr(shared_module, "CHUNK", 4)
    gallery = replica()
    for seed in range(10):
        gallery.enrol("default", f"p{seed}", [face(seed)])
    index = gallery._index
    index.remove(DEFAULT_INDEX, np.array([2, 9]))
    index.add(DEFAULT_INDEX, np.array([77, 99]), np.stack([vector(77), vector(99)]))
    index.add(DEFAULT_INDEX, np.array([50]), vector(50)[None])
    index.add("elsewhere", np.array([1]), vector(1)[None])
    gallery.reconcile()
    assert indexed(gallery) == stored(gallery)
    assert [best(gallery, seed) for seed in range(10)] == [f"p{seed}" for seed in range(10)]
    assert index.count("elsewhere") == 1  # it may be another gallery's


def test_a_vector_that_was_exchanged_is_told_and_mended(replica):
    gallery = replica()
    gallery.enrol("default", "ann", [face(1), face(2)])
    gallery._index.add(DEFAULT_INDEX, np.array([2]), vector(9)[None])
    assert [finding.part for finding in gallery.inspect() if not finding.ok] == ["index"]
    assert all(finding.ok for finding in gallery.inspect(repair=True))
    assert all(finding.ok and not finding.mended for finding in gallery.inspect())


def test_an_index_that_was_lost_is_made_anew(replica):
    first = replica()
    first.enrol("default", "ann", [face(1)])
    first._index.drop(DEFAULT_INDEX)
    assert best(replica(), 1) == "ann"


def test_a_deleted_collection_leaves_the_index(replica):
    first, second = replica(), replica()
    first.create_collection("staff")
    first.enrol("staff", "ann", [face(1)])
    second.delete_collection("staff")
    assert index_name(2, CONTRACT.id) not in first._index.collections()


def test_a_change_that_is_sent_to_two_replicas_is_made_once(replica):
    galleries = [replica() for _ in range(3)]
    mark = Mark("key", "request", "default", "ann")
    replayed = []

    def send(gallery: Gallery) -> Callable[[], None]:
        def change() -> Reply:
            gallery.enrol("default", "ann", [face(1)])
            return Reply(201, b"enrolled")

        return lambda: replayed.append(gallery.once(mark, change)[1])

    assert at_once(*(send(gallery) for gallery in galleries)) == []
    assert sorted(replayed) == [False, True, True]
    assert galleries[0].counts() == (1, 1)


@pytest.mark.slow
def test_replicas_that_change_the_same_people_leave_index_and_store_equal(replica):
    galleries = [replica() for _ in range(3)]

    def change(gallery: Gallery, chance: np.random.Generator) -> None:
        for _ in range(40):
            seed = int(chance.integers(6))
            if chance.random() < 0.6:
                gallery.enrol("default", f"p{seed}", [face(seed)])
                continue
            try:
                gallery.delete_person("default", f"p{seed}")
            except NotFound:
                continue

    jobs = [
        (lambda gallery=gallery, number=number: change(gallery, np.random.default_rng(number)))
        for number, gallery in enumerate(galleries * 2)
    ]
    assert at_once(*jobs) == []
    assert indexed(galleries[0]) == stored(galleries[0])
    assert galleries[0]._projection.waiting() == 0
