"""Which settings make replicas, and which mixes are refused with a sentence that names them."""

from pathlib import Path

import pytest

from app.errors import SettingsError
from app.settings import Settings
from app.wiring import build_analyzer, build_gallery, open_store, require_folder
from tests.scale.milvus import Milvus, free_port
from tests.scale.postgresql import Cluster
from tests.tiny_model import write_tiny_model

URL = "postgresql+psycopg://face:secret@/faces"
URI = "http://127.0.0.1:19530"
KEY = "c2VjcmV0IGtleSBvZiB0aGlydHktdHdvIGJ5dGVzISE="


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"database_url": URL}, "FACE_DATABASE_URL with FACE_INDEX=auto.*FACE_INDEX=milvus"),
        ({"index": "milvus"}, "FACE_INDEX=milvus without FACE_DATABASE_URL"),
        ({"index": "milvus", "milvus_uri": URI}, "FACE_INDEX=milvus without FACE_DATABASE_URL"),
        ({"milvus_uri": URI}, "FACE_MILVUS_URI.* with FACE_INDEX=auto: set FACE_INDEX=milvus"),
        ({"database_url": URL, "index": "milvus"}, "needs FACE_MILVUS_URI"),
        (
            {"database_url": URL, "index": "milvus", "milvus_uri": "./faces.db"},
            "FACE_MILVUS_URI=./faces.db: it begins with http://",
        ),
        (
            {"database_url": "sqlite:///faces.db", "index": "milvus", "milvus_uri": URI},
            "FACE_DATABASE_URL begins with postgresql",
        ),
        (
            {"database_url": URL, "index": "milvus", "milvus_uri": URI, "encryption_key": KEY},
            "FACE_ENCRYPTION_KEY with FACE_INDEX=milvus",
        ),
    ],
)
def test_other_mixes_are_refused(choice: dict[str, str], said: str):
    with pytest.raises(SettingsError, match=said) as caught, open_store(Settings(**choice)):
        pass
    assert "secret" not in str(caught.value)


def test_the_password_is_not_shown():
    shown = repr(Settings(database_url=URL, milvus_token="root:secret"))
    assert "secret" not in shown


def test_a_database_that_does_not_answer_is_named_without_its_password():
    pytest.importorskip("psycopg")
    url = f"postgresql+psycopg://face:secret@127.0.0.1:{free_port()}/faces"
    settings = Settings(database_url=url, index="milvus", milvus_uri=URI)
    with pytest.raises(SettingsError, match=r"FACE_DATABASE_URL.*'faces'.*127.0.0.1") as caught:
        open_store(settings).__enter__()
    assert "secret" not in str(caught.value)


def test_a_backup_is_not_restored_beside_a_shared_store():
    with pytest.raises(SettingsError, match="face import"):
        require_folder(Settings(database_url=URL), "a backup")


def test_two_replicas_open_one_gallery_and_close_it(
    tmp_path: Path, postgresql: Cluster, milvus_lite: Milvus
):
    settings = Settings(
        data_dir=tmp_path / "none",
        model_file=write_tiny_model(tmp_path / "tiny.onnx"),
        threads=1,
        database_url=postgresql.new_database(),
        index="milvus",
        milvus_uri=milvus_lite.new_database(),
    )
    analyzer = build_analyzer(settings)
    try:
        first, second = build_gallery(settings, analyzer), build_gallery(settings, analyzer)
        first.create_person("default", "ada", "Ada")
        assert second.person("default", "ada").name == "Ada"
        for gallery in (first, second, first):
            gallery.close()
    finally:
        analyzer.close()
    assert not settings.data_dir.exists()
