"""What is in PostgreSQL gets out of it: as a backup, by an export, and into a data folder."""

from contextlib import closing
from pathlib import Path

import pytest

from app.archive.backup import unpack
from app.archive.export import export
from app.archive.intake import intake
from app.gallery import Gallery
from app.index.flat import FlatIndex
from app.index.milvus import MilvusIndex
from app.store.store import Store, sqlite_url
from tests.app.gallery.made import CONTRACT, THRESHOLD, face, open_gallery, vector
from tests.scale.milvus import Milvus
from tests.scale.postgresql import Cluster


def shared(database: str, index: str) -> Gallery:
    return Gallery(Store(database), MilvusIndex(index), CONTRACT, THRESHOLD)


def best(gallery: Gallery, seed: int) -> str | None:
    (answer,) = gallery.identify("default", vector(seed)[None], threshold=0.99)
    return answer.matches[0].person if answer.decision == "match" else None


def test_a_backup_of_postgresql_opens_as_a_data_folder(
    tmp_path: Path, postgresql: Cluster, milvus_lite: Milvus
):
    with closing(shared(postgresql.new_database(), milvus_lite.new_database())) as gallery:
        gallery.enrol("default", "ann", [face(1), face(2)], name="Änn", metadata={"a": "b"})
        gallery.enrol("default", "bob", [face(3)])
        gallery.delete_person("default", "bob")
        before = gallery.person("default", "ann")
        with (tmp_path / "backup.tar").open("wb") as file:
            gallery.backup().write(file)
    (tmp_path / "back").mkdir()
    manifest = unpack(tmp_path / "backup.tar", tmp_path / "back" / "faces.db")
    assert (manifest.counts["people"], manifest.counts["faces"]) == (1, 2)
    with closing(open_gallery(tmp_path / "back")) as back:
        assert back.person("default", "ann") == before
        assert (best(back, 1), best(back, 3)) == ("ann", None)
        _, (new,), _ = back.enrol("default", "cat", [face(4)])
    assert new.id == 4  # not 3, which was bob's


def test_a_gallery_moves_from_a_folder_to_postgresql(
    tmp_path: Path, postgresql: Cluster, milvus_lite: Milvus
):
    with closing(open_gallery(tmp_path)) as gallery:
        for seed in range(20):
            gallery.enrol("default", f"p{seed}", [face(seed)])
    (tmp_path / "out").mkdir()
    with closing(Store(sqlite_url(tmp_path / "faces.db"))) as store:
        export(store, tmp_path / "out")
    database, index = postgresql.new_database(), milvus_lite.new_database()
    with closing(Store(database)) as store:
        intake(store, tmp_path / "out", CONTRACT)
    with closing(shared(database, index)) as moved:
        assert [best(moved, seed) for seed in range(20)] == [f"p{seed}" for seed in range(20)]


def test_people_are_in_the_order_of_code_points_in_whatever_language(
    tmp_path: Path, postgresql: Cluster
):
    """Else a cursor of one store would lead elsewhere in the other."""
    ids = ["b", "B", "a", "_", "ä", "Z", "10", "9"]
    language = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'"
    try:
        database = postgresql.new_database(language)
    except RuntimeError as error:
        pytest.skip(f"this PostgreSQL makes no database of another language: {error}")
    for url in (database, sqlite_url(tmp_path / "faces.db")):
        with closing(Gallery(Store(url), FlatIndex(), CONTRACT, THRESHOLD)) as gallery:
            for id in ids:
                gallery.create_person("default", id, None)
            assert [person.id for person in gallery.people("default").items] == sorted(ids)
