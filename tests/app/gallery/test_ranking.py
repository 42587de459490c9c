"""Ranking asks the index for no more faces than it needs."""

import numpy as np

from app.gallery.ranking import rank_people
from app.index.flat import FlatIndex
from app.store.person_rows import Owner

DIM = 8


class CountingIndex(FlatIndex):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, int]] = []  # probes, faces for each

    def search(self, collection, queries, k):
        self.asked.append((len(queries), k))
        return super().search(collection, queries, k)


def unit(count: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_one_narrow_search_is_enough_for_people_with_one_face():
    index = CountingIndex()
    index.add("a", np.arange(1, 1001), unit(1000))
    rank_people(index, "a", unit(3, seed=1), 5, lambda ids: {i: Owner(f"p{i}", "") for i in ids})
    assert index.asked == [(3, 20)]


def test_only_the_probe_that_needs_it_is_searched_wider():
    index = CountingIndex()
    crowd, others = np.tile(unit(1), (500, 1)), unit(100, seed=1)
    index.add("a", np.arange(1, 601), np.concatenate([crowd, others]))

    def owners_of(ids):
        return {i: Owner("crowd" if i <= 500 else f"p{i}", "") for i in ids}

    probes = np.stack([crowd[0], -crowd[0]])
    rankings = rank_people(index, "a", probes, 3, owners_of)
    assert [len(ranking) for ranking in rankings] == [3, 3]
    assert rankings[0][0].person == "crowd"
    best = 501 + np.argsort(-(others @ crowd[0]))[:2]
    assert [match.face for match in rankings[0][1:]] == best.tolist()
    assert index.asked[0] == (2, 12)
    assert {probes for probes, _ in index.asked[1:]} == {1}
    assert max(k for _, k in index.asked) <= 601


def test_it_ends_where_there_are_fewer_people_than_asked():
    index = CountingIndex()
    index.add("a", np.arange(1, 101), unit(100))
    (ranking,) = rank_people(index, "a", unit(1), 5, lambda ids: dict.fromkeys(ids, Owner("x", "")))
    assert [match.person for match in ranking] == ["x"]


def test_faces_that_the_store_no_longer_has_are_passed_over():
    index = CountingIndex()
    index.add("a", np.arange(1, 4), unit(3))
    (ranking,) = rank_people(index, "a", unit(1), 5, lambda ids: {2: Owner("two", "Two")})
    assert [match.face for match in ranking] == [2]
