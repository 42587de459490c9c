"""A backup is one moment of the store, provable, and refused when a byte of it is not."""

import hashlib
import json
import sqlite3
import tarfile
import threading
from contextlib import closing
from pathlib import Path

import pytest

from app.archive.backup import Backup, unpack
from app.errors import BadRequest
from app.gallery import Gallery
from app.store import migrate
from tests.app.gallery.made import face, open_gallery, vector


def written(backup: Backup, file: Path) -> Path:
    with file.open("wb") as target:
        backup.write(target)
    return file


def test_what_comes_back_is_what_was_there(gallery: Gallery, tmp_path: Path):
    backup = gallery.backup()
    file = written(backup, tmp_path / "b.tar")
    assert file.stat().st_size == backup.size
    (tmp_path / "back").mkdir()
    manifest = unpack(file, tmp_path / "back" / "faces.db")
    assert manifest == backup.manifest
    assert manifest.counts == {"collections": 2, "people": 3, "faces": 4, "crops": 1}
    assert [contract.model for contract in manifest.contracts] == ["first_model"]
    again = open_gallery(tmp_path / "back")
    assert again.collections() == gallery.collections()
    for collection, person in (("default", "ann"), ("staff", "ann"), ("staff", "bob")):
        assert again.person(collection, person) == gallery.person(collection, person)
        assert again.faces(collection, person) == gallery.faces(collection, person)
    (kept,) = again.faces("staff", "ann")
    assert again.crop("staff", "ann", kept.id) == gallery.crop("staff", "ann", kept.id)
    (answer,) = again.identify("default", vector(2)[None])
    assert (answer.matches[0].person, answer.decision) == ("ann", "match")
    again.close()


def test_tar_and_sqlite_alone_can_read_it(gallery: Gallery, tmp_path: Path):
    with tarfile.open(written(gallery.backup(), tmp_path / "b.tar")) as tar:
        assert tar.getnames() == ["manifest.json", "face.db"]
        tar.extractall(tmp_path / "out", filter="data")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    database = (tmp_path / "out" / "face.db").read_bytes()
    assert hashlib.sha256(database).hexdigest() == manifest["sha256"]
    assert b"Wilhelmina" not in database
    with closing(sqlite3.connect(tmp_path / "out" / "face.db")) as plain:
        assert plain.execute("SELECT count(*) FROM faces").fetchone() == (4,)


def test_the_copy_leaves_the_folder_at_once(gallery: Gallery, tmp_path: Path):
    before = {file.name for file in (tmp_path / "data").iterdir()}
    backup = gallery.backup()
    assert {file.name for file in (tmp_path / "data").iterdir()} == before
    backup.database.close()


def test_the_copy_of_a_process_that_was_killed_is_removed_at_the_next_start(tmp_path: Path):
    open_gallery(tmp_path).close()
    (tmp_path / "faces.db.snapshot").write_bytes(b"Wilhelmina")
    open_gallery(tmp_path).close()
    assert [file.name for file in tmp_path.iterdir()] == ["faces.db"]


def test_it_is_of_one_moment_while_changes_go_on(gallery: Gallery, tmp_path: Path):
    """Each person comes with two faces, so any other number is a torn one."""
    stop = threading.Event()

    def enrol() -> None:
        number = 100
        while not stop.is_set():
            gallery.enrol("default", f"p{number}", [face(number), face(number + 50_000)])
            number += 1

    writer = threading.Thread(target=enrol)
    writer.start()
    try:
        for take in range(5):
            manifest = unpack(
                written(gallery.backup(), tmp_path / f"{take}.tar"), tmp_path / f"{take}.db"
            )
            counts = manifest.counts
            assert counts["faces"] - 4 == 2 * (counts["people"] - 3)
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_cut_backup_is_refused_and_leaves_nothing(gallery: Gallery, tmp_path: Path, share: float):
    file = written(gallery.backup(), tmp_path / "b.tar")
    whole = file.read_bytes()
    database_end = len(whole) - 1024  # blocks of zeros that tar puts behind
    file.write_bytes(whole[: int(database_end * share)])
    with pytest.raises(BadRequest, match=r"b\.tar is not a whole backup"):
        unpack(file, tmp_path / "out.db")
    assert not (tmp_path / "out.db").exists()


def test_any_changed_byte_is_noticed(gallery: Gallery, tmp_path: Path):
    file = written(gallery.backup(), tmp_path / "b.tar")
    whole = bytearray(file.read_bytes())
    for place in range(3000, len(whole) - 2048, len(whole) // 7):
        changed = whole.copy()
        changed[place] ^= 1
        file.write_bytes(changed)
        with pytest.raises(BadRequest, match="sha256"):
            unpack(file, tmp_path / "out.db")
        assert not (tmp_path / "out.db").exists()


def test_a_backup_of_a_newer_version_is_refused(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = written(gallery.backup(), tmp_path / "b.tar")
    monkeypatch.setattr(migrate, "known", lambda: {"0001"})
    with pytest.raises(BadRequest, match="newer version"):
        unpack(file, tmp_path / "out.db")


@pytest.mark.parametrize("content", [b"", b"text", bytes(10_240)])
def test_what_is_no_backup_is_said(tmp_path: Path, content: bytes):
    (tmp_path / "b.tar").write_bytes(content)
    with pytest.raises(BadRequest, match="not a whole backup"):
        unpack(tmp_path / "b.tar", tmp_path / "out.db")
    with pytest.raises(BadRequest, match="No such file"):
        unpack(tmp_path / "absent.tar", tmp_path / "out.db")
