"""What is particular to codes and signs: whom they find, what they forget, what they let be."""

import threading

import numpy as np
import pytest

from app.index.compact import ALL, LEAST_CANDIDATES, LEAST_PART, CompactIndex
from tests.app.index.backed import Originals

DIM = 64
MANY = 2 * LEAST_PART  # in which signs choose, in two threads
KINDS = ("int8", "signs")


def unit(count: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def near(vectors: np.ndarray, seed: int = 9) -> np.ndarray:
    """At a cosine of about 0.7."""
    rows = vectors + unit(len(vectors), seed)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def filled(kind: str, vectors: np.ndarray) -> tuple[CompactIndex, Originals]:
    originals = Originals()
    originals.vectors["a"] = dict(enumerate(vectors))
    index = CompactIndex(originals, kind=kind, threads=2)
    index.add("a", np.arange(len(vectors)), vectors)
    return index, originals


@pytest.mark.parametrize("kind", KINDS)
def test_it_finds_who_is_near_and_says_the_exact_cosine(kind: str):
    vectors = unit(MANY)
    index, originals = filled(kind, vectors)
    chosen = np.arange(0, MANY, MANY // 100)
    probes = near(vectors[chosen])
    scores, found = index.search("a", probes, 3)
    assert found[:, 0].tolist() == chosen.tolist()
    cosines = np.take_along_axis(probes @ vectors.T, found, axis=1)
    np.testing.assert_allclose(scores, cosines, atol=1e-6)
    assert originals.asked < 100 * 40  # of MANY


def test_signs_look_at_few_codes():
    assert MANY > ALL * LEAST_CANDIDATES
    index, _ = filled("signs", unit(MANY))
    held = index._collections["a"]
    looked_at = []
    by_signs = held.by_signs

    def spy(rows, part, turned, signs, candidates, wanted):
        looked_at.append(candidates)
        return by_signs(rows, part, turned, signs, candidates, wanted)

    held.by_signs = spy
    index.search("a", unit(1, seed=3), 2)
    assert sum(looked_at) == LEAST_CANDIDATES
    assert len(looked_at) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_removed_face_leaves_no_code_and_is_not_found(kind: str):
    vectors = unit(MANY)
    index, _ = filled(kind, vectors)
    rows = index.rows()["a"][1]
    index.remove("a", np.array([7]))
    for column in rows.columns.values():
        assert len(np.unique(column[7])) == 1
    assert index.search("a", vectors[7:8], 1)[1][0, 0] != 7
    assert index.count("a") == MANY - 1


@pytest.mark.parametrize("kind", KINDS)
def test_gaps_are_closed_and_everybody_else_is_still_found(kind: str):
    vectors = unit(MANY)
    index, _ = filled(kind, vectors)
    gone = np.arange(0, MANY, 3)
    index.remove("a", gone)
    rows = index.rows()["a"][1]
    assert (len(rows), rows.gaps) == (MANY - len(gone), 0)
    chosen = np.setdiff1d(np.arange(0, MANY, 200), gone)
    found = index.search("a", near(vectors[chosen]), 1)[1]
    assert found[:, 0].tolist() == chosen.tolist()


def test_ids_may_come_in_any_order():
    vectors = unit(3000)
    order = np.random.default_rng(1).permutation(3000)
    index, _ = filled("signs", vectors[:0])
    index._originals.vectors["a"] = dict(enumerate(vectors))
    for some in np.array_split(order, 7):
        index.add("a", some, vectors[some])
    assert index.rows()["a"][1].ids.tolist() == list(range(3000))
    assert index.search("a", vectors[::100], 1)[1][:, 0].tolist() == list(range(0, 3000, 100))


def test_who_was_deleted_from_the_store_alone_is_not_told():
    vectors = unit(2000)
    index, originals = filled("signs", vectors)
    del originals.vectors["a"][5]
    assert index.search("a", vectors[5:6], 1)[1][0, 0] != 5


def test_searches_go_on_while_faces_come_and_go():
    vectors = unit(MANY + 4000)
    index, originals = filled("signs", vectors[:MANY])
    originals.vectors["a"] = dict(enumerate(vectors))
    steady, passing = vectors[11:12], np.arange(MANY, MANY + 4000)
    stop, wrong, searches = threading.Event(), [], []

    def search() -> None:
        while not stop.is_set():
            scores, found = index.search("a", steady, 2)
            searches.append(1)
            if found[0, 0] != 11 or abs(scores[0, 0] - 1) > 1e-5:
                wrong.append((found, scores))

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for some in np.array_split(passing, 20):
        index.add("a", some, vectors[some])
    index.remove("a", passing)
    stop.set()
    for thread in threads:
        thread.join()
    assert searches
    assert wrong == []
    assert index.count("a") == MANY
