"""What is broken is seen, each in its part; what can be mended is, from the store."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from app.entities import NewFace
from app.errors import Unavailable
from app.gallery import Finding, Gallery, inspection
from app.index.flat import FlatIndex
from app.store.store import Store, sqlite_url
from tests.app.gallery.made import CONTRACT, DEFAULT_INDEX, DIM, THRESHOLD, face, vector
from tests.app.gallery.test_projection import FailingIndex

CROP = np.zeros((112, 112, 3), np.uint8)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(sqlite_url(tmp_path / "faces.db"))
    yield opened
    opened.close()


def filled(store: Store, index: FlatIndex) -> Gallery:
    gallery = Gallery(store, index, CONTRACT, THRESHOLD)
    gallery.update_collection("default", keep_crops=True)
    for seed in range(1, 6):
        gallery.enrol("default", f"p{seed}", [NewFace(vector(seed), 0.5, CROP)])
    gallery.enrol("default", "twin", [face(1)])  # the same vector as p1's
    return gallery


def wrong(findings: list[Finding]) -> list[str]:
    return [finding.part for finding in findings if not finding.ok]


def test_a_whole_gallery_has_no_fault(store: Store):
    gallery = filled(store, FlatIndex())
    findings = gallery.inspect()
    assert wrong(findings) == []
    assert [finding.faults for finding in findings] == [0] * 5
    assert findings[0].said == "1 collections, 6 people, 6 faces"


BREAKS: dict[str, Callable[[FlatIndex], None]] = {
    "a vector is missing": lambda index: index.remove(DEFAULT_INDEX, np.array([2])),
    "one too many": lambda index: index.add(DEFAULT_INDEX, np.array([99]), vector(9)[None]),
    "another vector": lambda index: index.add(DEFAULT_INDEX, np.array([2]), vector(9)[None]),
    "under another id": lambda index: (
        index.remove(DEFAULT_INDEX, np.array([2])),
        index.add(DEFAULT_INDEX, np.array([99]), vector(2)[None]),
    ),
    "a collection of nobody": lambda index: index.add("c77", np.array([1]), vector(1)[None]),
}


@pytest.mark.parametrize("name", BREAKS)
def test_an_index_that_differs_is_seen_and_mended(store: Store, name: str):
    index = FlatIndex()
    gallery = filled(store, index)
    BREAKS[name](index)
    assert wrong(gallery.inspect()) == ["index"]
    (mended,) = (finding for finding in gallery.inspect(repair=True) if finding.faults)
    assert (mended.part, mended.mended) == ("index", True)
    assert [finding.faults for finding in gallery.inspect()] == [0] * 5
    (answer,) = gallery.identify("default", vector(2)[None])
    assert answer.matches[0].person == "p2"


def test_a_large_collection_is_sampled(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inspection, "SAMPLE", 3)
    monkeypatch.setattr(inspection, "CHUNK", 4)
    index = FlatIndex()
    gallery = filled(store, index)
    assert wrong(gallery.inspect()) == []
    index.add(DEFAULT_INDEX, np.array([3]), vector(9)[None])  # face 3 is the third of six
    assert wrong(gallery.inspect()) == ["index"]


def test_a_journal_that_waits_is_seen_and_followed(store: Store):
    index = FailingIndex()
    gallery = filled(store, index)
    index.failing = True
    with pytest.raises(Unavailable):
        gallery.delete_person("default", "p2")
    index.failing = False
    assert wrong(gallery.inspect()) == ["journal", "index"]
    assert wrong(gallery.inspect(repair=True)) == []
    assert [finding.faults for finding in gallery.inspect()] == [0] * 5


@pytest.mark.parametrize(
    ("part", "statement"),
    [
        ("vectors", f"UPDATE faces SET embedding = zeroblob({DIM * 4}) WHERE id = 2"),
        ("crops", "UPDATE crops SET png = substr(png, 1, 60) WHERE face_id = 2"),
        ("store", "INSERT INTO crops SELECT 77, png FROM crops LIMIT 1"),
    ],
)
def test_damage_of_the_store_is_told_and_not_hidden(store: Store, part: str, statement: str):
    gallery = filled(store, FlatIndex())
    with store.read() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql(statement)
    found = wrong(gallery.inspect(repair=True))
    assert part in found
    assert part in wrong(gallery.inspect())
