"""What is particular to the index in memory: its threads and its own matrix."""

import threading

import faiss
import numpy as np

from app.index.flat import FIRST_CAPACITY, FlatIndex

DIM = 32


def unit(count: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_searches_during_changes_see_whole_vectors():
    """A steady vector stays findable with its own score while others come, go, and move it."""
    index = FlatIndex()
    steady, passing = unit(1)[0], unit(4 * FIRST_CAPACITY, seed=1)
    ids = np.arange(10, 10 + len(passing))
    index.add("a", ids[:5], passing[:5])  # removing these moves the steady row about
    index.add("a", np.array([1]), steady[None])
    stop, wrong = threading.Event(), []

    def search() -> None:
        while not stop.is_set():
            scores, found = index.search("a", steady[None], 3)
            if found[0, 0] != 1 or abs(scores[0, 0] - 1) > 1e-5:
                wrong.append((found, scores))

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        index.add("a", ids, passing)
        index.remove("a", ids)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert index.count("a") == 1


def test_a_removed_vector_is_gone_from_memory():
    index = FlatIndex()
    index.add("a", np.array([1, 2, 3]), unit(3))
    index.remove("a", np.array([1]))
    matrix = index._matrices["a"]._vectors
    assert np.count_nonzero(matrix.any(axis=1)) == 2
    np.testing.assert_array_equal(matrix[0], unit(3)[2])  # the last row took its place


def test_the_number_of_threads_holds_in_whatever_thread_searches():
    """OpenMP keeps the number for each thread: what the main thread set says nothing in others."""
    index, seen = FlatIndex(threads=3), []
    index.add("a", np.array([1]), unit(1))

    def search() -> None:
        index.search("a", unit(1), 1)
        seen.append(faiss.omp_get_max_threads())

    for _ in range(2):
        thread = threading.Thread(target=search)
        thread.start()
        thread.join()
    assert seen == [3, 3]
