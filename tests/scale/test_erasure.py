"""What is deleted from PostgreSQL leaves its files by the commands of docs/scale-out.md."""

import re
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from app.entities import NewFace
from app.gallery import Gallery
from app.index.milvus import MilvusIndex
from app.store.store import Store
from tests.app.gallery.made import CONTRACT, THRESHOLD, vector
from tests.scale.milvus import Milvus
from tests.scale.postgresql import Cluster

# Vectors that no other test has: the cluster holds the databases of all.
GONE, STAYS = 70_001, 70_002
PAGE = Path(__file__).parents[2] / "docs" / "scale-out.md"


def commands() -> list[str]:
    (block,) = re.findall(r"```sql\n(VACUUM.*?)```", PAGE.read_text(), re.DOTALL)
    return [line.rstrip(";") for line in block.splitlines()]


def left(folder: Path, traces: list[bytes]) -> set[bytes]:
    files = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
    return {trace for trace in traces if any(trace in file for file in files)}


@pytest.mark.slow
def test_nothing_of_a_deleted_person_stays_in_the_files(postgresql: Cluster, milvus_lite: Milvus):
    url = postgresql.new_database()
    gallery = Gallery(Store(url), MilvusIndex(milvus_lite.new_database()), CONTRACT, THRESHOLD)
    with closing(gallery):
        gallery.update_collection("default", keep_crops=True)
        for name, seed in (("Wilhelmina Quux", GONE), ("Somebody Else", STAYS)):
            crop = np.random.default_rng(seed).integers(0, 255, (112, 112, 3), dtype=np.uint8)
            face = NewFace(vector(seed), 0.5, crop)
            gallery.enrol("default", f"p{seed}", [face], name=name)
        png = gallery.crop("default", f"p{GONE}", 1)
        gone = [b"Wilhelmina Quux", vector(GONE).tobytes(), png[500:540], png[-540:-500]]
        stays = [b"Somebody Else", vector(STAYS).tobytes()]
        postgresql.sql("CHECKPOINT")  # out of memory, into the tables' files
        assert left(postgresql.data, gone + stays) == {*gone, *stays}
        gallery.delete_person("default", f"p{GONE}")
    database = url.rpartition("/faces")[2].partition("?")[0]
    postgresql.sql(*commands(), database=f"faces{database}")
    assert left(postgresql.data, gone + stays) == set(stays)
