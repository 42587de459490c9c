"""Kinds by size, and the file that the index keeps itself in."""

from pathlib import Path

import numpy as np
import pytest

from app.index import local
from app.index.files import FILE
from tests.app.index.backed import BackedIndex

DIM = 32


def unit(count: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "EXACT_UP_TO", 100)


def filled(folder: Path, vectors: np.ndarray, kind: local.Kind = "auto") -> BackedIndex:
    index = BackedIndex(folder=folder, kind=kind)
    for some in np.array_split(np.arange(len(vectors)), 5):
        index.add("a", some, vectors[some])
    return index


def saved(index: BackedIndex, mark: str = "7:1") -> None:
    index.write(mark)
    index.keep()


def reopened(index: BackedIndex, folder: Path, kind: local.Kind = "auto") -> BackedIndex:
    again = BackedIndex(folder=folder, kind=kind)
    again.originals.vectors = index.originals.vectors
    return again


def test_a_growing_collection_moves_from_float32_to_codes(tmp_path: Path):
    vectors = unit(300)
    index = BackedIndex(folder=tmp_path)
    index.add("a", np.arange(100), vectors[:100])
    assert index._compact.count("a") == 0
    index.search("a", vectors[:3], 2)
    assert index.originals.asked == 0  # it has them itself
    index.add("a", np.arange(100, 300), vectors[100:])
    assert (index._exact.count("a"), index._compact.count("a")) == (0, 300)
    assert index.collections() == ["a"]
    assert index.search("a", vectors, 1)[1][:, 0].tolist() == list(range(300))


def test_to_ask_for_all_is_to_compare_all_codes(tmp_path: Path):
    index = BackedIndex(folder=tmp_path, recall=1)
    index.add("a", np.arange(200), unit(200))
    assert list(index._compact.rows()["a"][1].columns) == ["codes"]


def test_what_was_saved_is_there_again(tmp_path: Path):
    vectors = unit(300)
    index = filled(tmp_path, vectors)
    index.remove("a", np.array([3]))
    saved(index)
    again = reopened(index, tmp_path)
    assert again.load() == "7:1"
    assert again.count("a") == 299
    again.add("a", np.array([300]), unit(1, seed=1))  # and goes on
    again.remove("a", np.array([4]))
    found = again.search("a", np.concatenate([vectors, unit(1, seed=1)]), 1)[1][:, 0]
    assert np.flatnonzero(found != np.arange(301)).tolist() == [3, 4]


def test_the_file_is_for_its_owner_alone(tmp_path: Path):
    saved(filled(tmp_path, unit(300)))
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_without_a_file_nothing_is_loaded(tmp_path: Path):
    index = filled(tmp_path, unit(300))
    saved(index)
    index.unsave()
    assert list(tmp_path.iterdir()) == []
    assert reopened(index, tmp_path).load() is None


@pytest.mark.parametrize("place", [0.05, 0.3, 0.5, 0.7, 0.99])
def test_a_damaged_file_is_not_loaded(tmp_path: Path, place: float):
    index = filled(tmp_path, unit(300))
    saved(index)
    held = bytearray((tmp_path / FILE).read_bytes())
    start = int(place * len(held))
    held[start : start + 64] = bytes(byte ^ 0xFF for byte in held[start : start + 64])
    (tmp_path / FILE).write_bytes(held)
    again = reopened(index, tmp_path)
    assert again.load() is None
    assert again.collections() == []


def test_a_cut_file_is_not_loaded(tmp_path: Path):
    index = filled(tmp_path, unit(300))
    saved(index)
    held = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(held[: len(held) // 2])
    assert reopened(index, tmp_path).load() is None


def test_a_file_of_another_kind_is_not_loaded(tmp_path: Path):
    index = filled(tmp_path, unit(300))
    saved(index)
    again = reopened(index, tmp_path, "int8")
    assert again.load() is None
    assert again.collections() == []
