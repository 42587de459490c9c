"""What all tests may ask for: a PostgreSQL and a Milvus of their own, started once where asked."""

from collections.abc import Iterator

import pytest

from tests.scale.milvus import Milvus, milvus
from tests.scale.postgresql import Cluster, Missing, cluster


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    try:
        with cluster() as started:
            yield started
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def milvus_lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Milvus]:
    try:
        with milvus(tmp_path_factory.mktemp("milvus")) as started:
            yield started
    except Missing as missing:
        pytest.skip(str(missing))
