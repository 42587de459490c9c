"""The index follows the store, whatever fell over between the two."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.entities import Contract
from app.errors import Unavailable
from app.gallery import Gallery, projection
from app.index.flat import FlatIndex
from app.store.store import Store, sqlite_url
from tests.app.gallery.made import CONTRACT, DEFAULT_INDEX, DIM, THRESHOLD, face, vector


class FailingIndex(FlatIndex):
    """Fails while told to, before it has done anything."""

    failing = False

    def add(self, collection, ids, vectors):
        if self.failing and len(ids):
            raise MemoryError("no room at /secret/path")
        super().add(collection, ids, vectors)

    def remove(self, collection, ids):
        if self.failing and len(ids):
            raise MemoryError
        super().remove(collection, ids)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(sqlite_url(tmp_path / "faces.db"))
    yield opened
    opened.close()


def gallery_of(store: Store, index: FlatIndex, contract: Contract = CONTRACT) -> Gallery:
    return Gallery(store, index, contract, THRESHOLD)


def best(gallery: Gallery, seed: int) -> str | None:
    (answer,) = gallery.identify("default", vector(seed)[None], threshold=0.99)
    return answer.matches[0].person if answer.decision == "match" else None


def test_an_index_is_rebuilt_in_steps_from_the_store(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(projection, "CHUNK", 4)
    first = gallery_of(store, FlatIndex())
    first.create_collection("empty")
    for seed in range(10):
        first.enrol("default", f"p{seed}", [face(seed)])
    index = FlatIndex()
    again = gallery_of(store, index)
    assert index.count(DEFAULT_INDEX) == 10
    assert [best(again, seed) for seed in range(10)] == [f"p{seed}" for seed in range(10)]


def test_what_the_index_missed_is_made_good_before_the_next_answer(store: Store):
    index = FailingIndex()
    gallery = gallery_of(store, index)
    gallery.enrol("default", "ann", [face(1)])
    index.failing = True
    with pytest.raises(Unavailable, match="stored") as caught:
        gallery.enrol("default", "bob", [face(2)])
    assert "secret" not in str(caught.value)
    with pytest.raises(Unavailable):
        gallery.delete_person("default", "ann")
    with pytest.raises(Unavailable):
        best(gallery, 1)  # no answer is better than a wrong one
    index.failing = False
    assert (best(gallery, 1), best(gallery, 2)) == (None, "bob")
    assert index.count(DEFAULT_INDEX) == gallery.counts()[1] == 1


def test_reconcile_may_run_at_any_time_and_twice(store: Store):
    index = FlatIndex()
    gallery = gallery_of(store, index)
    gallery.enrol("default", "ann", [face(1)])
    index.remove(DEFAULT_INDEX, np.array([1]))  # behind the gallery's back
    index.add("c77", np.array([5]), vector(5)[None])
    gallery.reconcile()
    gallery.reconcile()
    assert best(gallery, 1) == "ann"
    assert list(index.collections()) == [DEFAULT_INDEX]


def test_an_index_that_outlived_the_process_is_followed_up_not_rebuilt(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    index = FailingIndex()
    gallery = gallery_of(store, index)
    gallery.enrol("default", "ann", [face(1), face(2)])
    gallery.enrol("default", "bob", [face(3)])
    index.failing = True
    with pytest.raises(Unavailable):
        gallery.delete_person("default", "ann")
    with pytest.raises(Unavailable):
        gallery.enrol("default", "cat", [face(4), face(5)])
    index.failing = False

    def rebuild(*_: object) -> None:
        raise AssertionError("rebuilt")

    monkeypatch.setattr(projection.Projection, "rebuild", rebuild)
    again = gallery_of(store, index)  # as a new process finds it
    assert [best(again, seed) for seed in range(1, 6)] == [None, None, "bob", "cat", "cat"]


def test_vectors_of_another_model_are_not_in_the_index(store: Store):
    index = FlatIndex()
    gallery_of(store, index).enrol("default", "ann", [face(1)])
    gallery_of(store, index, Contract("c2", "second", DIM))
    assert list(index.collections()) == []


def test_followed_entries_do_not_pile_up(store: Store):
    gallery = gallery_of(store, FlatIndex())
    for seed in range(5):
        gallery.enrol("default", "ann", [face(seed), face(seed + 10)])
    with store.read() as connection:
        left = connection.exec_driver_sql("SELECT count(*) FROM changes").scalar_one()
    assert left == 2  # those of the last change, forgotten with the next
