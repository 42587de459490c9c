from collections.abc import Iterator
from pathlib import Path

import pytest

from app.gallery import Gallery
from app.index.milvus import MilvusIndex
from app.store.store import Store
from tests.app.gallery.made import CONTRACT, THRESHOLD, open_gallery
from tests.app.store.conftest import store as store
from tests.app.store.conftest import url as url

BACK_ENDS = ("sqlite and faiss", pytest.param("postgresql and milvus", marks=pytest.mark.slow))


@pytest.fixture(params=BACK_ENDS)
def gallery(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gallery]:
    if request.param == "sqlite and faiss":
        opened = open_gallery(tmp_path)
    else:
        store = Store(request.getfixturevalue("postgresql").new_database())
        index = MilvusIndex(request.getfixturevalue("milvus_lite").new_database())
        opened = Gallery(store, index, CONTRACT, THRESHOLD)
    yield opened
    opened.close()
