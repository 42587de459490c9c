"""An export can be read by others, and taken in again; a broken one is refused as a whole."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pictures

from app.archive import export as exporting
from app.archive.export import export
from app.archive.intake import intake
from app.entities import Contract
from app.errors import BadRequest, Conflict, ContractMismatch
from app.gallery import Gallery
from app.store.store import Store, sqlite_url
from tests.app.archive.conftest import CROP
from tests.app.gallery.made import CONTRACT, DIM, face, open_gallery, vector


@pytest.fixture
def exported(gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(exporting, "STEP", 2)
    folder = tmp_path / "export"
    folder.mkdir()
    export(gallery._store, folder)
    return folder


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def taken(exported: Path, folder: Path, contract: Contract = CONTRACT) -> None:
    folder.mkdir(exist_ok=True)
    store = Store(sqlite_url(folder / "faces.db"))
    try:
        intake(store, exported, contract)
    finally:
        store.close()


def test_json_and_numpy_alone_can_read_it(exported: Path):
    default, staff = lines(exported / "collections.jsonl")
    assert (default["name"], staff["name"], staff["description"]) == ("default", "staff", "все")
    people = lines(exported / "people.jsonl")
    assert [(p["collection"], p["id"], p["name"]) for p in people] == [
        ("default", "ann", "Ann"),
        ("staff", "ann", "Other Ann"),
        ("staff", "bob", "bob"),
    ]
    assert people[0]["metadata"] == {"ключ": "значение"}
    faces = lines(exported / "faces.jsonl")
    assert [(f["collection"], f["person"], f["row"]) for f in faces] == [
        ("default", "ann", 0),
        ("default", "ann", 1),
        ("staff", "ann", 0),
        ("staff", "bob", 1),
    ]
    first, second = (np.load(exported / "vectors" / f"{number}.npy") for number in (1, 2))
    np.testing.assert_allclose(first, [vector(1), vector(2)], atol=1e-6)
    np.testing.assert_allclose(second, [vector(3), vector(4)], atol=1e-6)
    (crop,) = (exported / "crops").iterdir()
    assert crop.name == f"{faces[2]['face']}.png"
    np.testing.assert_array_equal(np.asarray(Pictures.open(crop)), CROP)
    manifest = json.loads((exported / "manifest.json").read_text())
    assert manifest["counts"] == {"collections": 2, "people": 3, "faces": 4, "crops": 1}
    written = b"".join(file.read_bytes() for file in exported.rglob("*") if file.is_file())
    assert b"Wilhelmina" not in written


def test_taken_in_again_it_is_the_same_but_for_the_faces_ids(
    gallery: Gallery, exported: Path, tmp_path: Path
):
    taken(exported, tmp_path / "new")
    new = open_gallery(tmp_path / "new")
    assert new.collections() == gallery.collections()
    for collection, person in (("default", "ann"), ("staff", "ann"), ("staff", "bob")):
        assert new.person(collection, person) == gallery.person(collection, person)
        for one, other in zip(
            new.faces(collection, person), gallery.faces(collection, person), strict=True
        ):
            assert (one.created_at, one.quality, one.has_crop) == (
                other.created_at,
                other.quality,
                other.has_crop,
            )
    (kept,), (was,) = new.faces("staff", "ann"), gallery.faces("staff", "ann")
    assert new.crop("staff", "ann", kept.id) == gallery.crop("staff", "ann", was.id)
    for seed, collection, person in ((2, "default", "ann"), (4, "staff", "bob")):
        (answer,) = new.identify(collection, vector(seed)[None])
        assert (answer.matches[0].person, answer.matches[0].score > 0.999) == (person, True)
    assert [finding.faults for finding in new.inspect()] == [0] * 5
    new.close()


def test_it_joins_those_who_are_there(exported: Path, tmp_path: Path):
    (tmp_path / "other").mkdir()
    other = open_gallery(tmp_path / "other")
    other.update_collection("default", threshold=0.9)
    other.enrol("default", "zoe", [face(7)])
    other.close()
    taken(exported, tmp_path / "other")
    again = open_gallery(tmp_path / "other")
    assert [person.id for person in again.people("default").items] == ["ann", "zoe"]
    assert again.collection("default").threshold == 0.9
    assert again.collection("staff").threshold == 0.4
    again.close()
    with pytest.raises(Conflict, match="'ann' exists already"):
        taken(exported, tmp_path / "other")


def test_vectors_of_another_model_are_refused(exported: Path, tmp_path: Path):
    with pytest.raises(ContractMismatch, match=r"first_model.*second.*FACE_MODEL"):
        taken(exported, tmp_path / "new", Contract("c2", "second", DIM))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


BREAKS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "No such file"),
    "no matrix": (lambda folder: (folder / "vectors" / "2.npy").unlink(), "No such file"),
    "cut lines": (lambda folder: cut(folder / "faces.jsonl"), "sha256"),
    "cut vectors": (lambda folder: cut(folder / "vectors" / "1.npy"), "sha256"),
    "cut crop": (lambda folder: cut(next((folder / "crops").iterdir())), "sha256"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_export_is_refused_as_a_whole(exported: Path, tmp_path: Path, name: str):
    damage, said = BREAKS[name]
    damage(exported)
    with pytest.raises(BadRequest, match=f"not a whole export: .*{said}"):
        taken(exported, tmp_path / "new")
    new = open_gallery(tmp_path / "new")
    assert new.counts() == (0, 0)
    assert [collection.name for collection in new.collections()] == ["default"]
    new.close()
