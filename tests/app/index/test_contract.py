"""What every index must do, whatever is behind it: a new back-end is one more parameter here."""

from collections.abc import Iterator

import numpy as np
import pytest

from app.index.base import Index
from app.index.flat import FlatIndex
from app.index.milvus import MilvusIndex
from tests.app.index.backed import BackedIndex

BACK_ENDS = ("flat", "auto", "exact", "int8", "signs", "milvus")


def made(back_end: str, request: pytest.FixtureRequest) -> Index:
    match back_end:
        case "milvus":
            return MilvusIndex(request.getfixturevalue("milvus_lite").new_database())
        case "flat":
            return FlatIndex()
    return BackedIndex(kind=back_end, folder=request.getfixturevalue("tmp_path"))


@pytest.fixture(params=BACK_ENDS)
def index(request: pytest.FixtureRequest) -> Iterator[Index]:
    opened = made(request.param, request)
    yield opened
    opened.close()


def unit(count: int, dim: int = 16, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def ids(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_search_ranks_by_cosine(index: Index):
    vectors, queries = unit(300), unit(40, seed=1)
    index.add("a", np.arange(1000, 1300), vectors)
    scores, found = index.search("a", queries, 7)
    cosines = queries @ vectors.T
    wanted = np.argsort(-cosines, axis=1)[:, :7]
    assert scores.dtype == np.float32
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, wanted + 1000)
    np.testing.assert_allclose(scores, np.take_along_axis(cosines, wanted, 1), atol=1e-6)


def test_scores_never_leave_the_range_of_a_cosine(index: Index):
    vectors = unit(500, dim=256)
    index.add("a", np.arange(500), vectors)
    index.add("a", ids(1000), -vectors[:1])
    scores, _ = index.search("a", vectors[:50], 501)
    assert scores.max() <= 1
    assert scores.min() >= -1


def test_ids_may_be_as_large_as_int64(index: Index):
    large = 2**62 + 1
    index.add("a", ids(large), unit(1))
    assert index.search("a", unit(1), 1)[1].tolist() == [[large]]


def test_a_short_row_is_padded(index: Index):
    index.add("a", ids(5, 6), unit(2))
    scores, found = index.search("a", unit(3, seed=1), 4)
    assert scores.shape == found.shape == (3, 4)
    assert (found[:, 2:] == -1).all()
    assert set(found[0, :2].tolist()) == {5, 6}


def test_an_unknown_collection_gives_only_padding(index: Index):
    _, found = index.search("nowhere", unit(2), 3)
    assert (found == -1).all()
    assert index.count("nowhere") == 0
    index.remove("nowhere", ids(1))
    index.drop("nowhere")


def test_an_emptied_collection_gives_only_padding(index: Index):
    index.add("a", ids(1, 2), unit(2))
    index.remove("a", ids(2, 1))
    assert index.count("a") == 0
    assert (index.search("a", unit(1), 2)[1] == -1).all()


def test_no_query_gives_no_row(index: Index):
    index.add("a", ids(1), unit(1))
    scores, found = index.search("a", unit(1)[:0], 3)
    assert scores.shape == found.shape == (0, 3)


def test_adding_an_id_again_replaces_its_vector(index: Index):
    old, new = unit(2)
    index.add("a", ids(9), old[None])
    index.add("a", ids(9), new[None])
    assert index.count("a") == 1
    assert index.search("a", new[None], 1)[0][0, 0] == pytest.approx(1)


def test_the_last_of_an_id_given_twice_in_one_add_stays(index: Index):
    vectors = unit(3)
    index.add("a", ids(4, 5, 4), vectors)
    assert index.count("a") == 2
    scores, found = index.search("a", vectors[2:], 1)
    assert found.tolist() == [[4]]
    assert scores[0, 0] == pytest.approx(1)


def test_removing_an_absent_id_changes_nothing(index: Index):
    index.add("a", ids(1, 2), unit(2))
    index.remove("a", ids(3, 2, 2))
    index.remove("a", ids(2))
    assert index.search("a", unit(1), 2)[1].tolist() == [[1, -1]]


def test_adding_nothing_makes_no_collection(index: Index):
    index.add("a", ids(), unit(1)[:0])
    assert list(index.collections()) == []


def test_collections_are_apart_and_may_differ_in_dimension(index: Index):
    index.add("a", ids(1), unit(1, dim=16))
    index.add("b", ids(1, 2), unit(2, dim=32))
    assert sorted(index.collections()) == ["a", "b"]
    index.drop("a")
    assert list(index.collections()) == ["b"]
    assert (index.count("a"), index.count("b")) == (0, 2)
    index.add("a", ids(7), unit(1, dim=8))
    assert index.search("a", unit(1, dim=8), 1)[1].tolist() == [[7]]


def test_another_dimension_is_refused(index: Index):
    index.add("a", ids(1), unit(1, dim=16))
    with pytest.raises(ValueError, match="fit"):
        index.add("a", ids(2), unit(1, dim=8))
    assert index.count("a") == 1


def test_any_order_of_changes_ends_in_what_a_dict_would_hold(index: Index):
    random = np.random.default_rng(2)
    held: dict[int, np.ndarray] = {}
    for step in range(300):
        some = np.unique(random.integers(0, 120, size=random.integers(1, 9)))
        if random.random() < 0.6:
            vectors = unit(len(some), seed=step)
            index.add("a", some, vectors)
            held.update(zip(some.tolist(), vectors, strict=True))
        else:
            index.remove("a", some)
            for gone in some.tolist():
                held.pop(gone, None)
    assert index.count("a") == len(held) > 20
    vectors = np.array(list(held.values()))
    scores, found = index.search("a", vectors, 1)
    assert found[:, 0].tolist() == list(held)
    np.testing.assert_allclose(scores, 1, atol=1e-6)
