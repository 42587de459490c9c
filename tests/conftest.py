"""What all tests may ask for: a PostgreSQL and a Milvus of their own, started once where asked."""

import os
from collections.abc import Iterator

import pytest

from tests.scale.milvus import Milvus, milvus
from tests.scale.postgresql import Cluster, Missing, cluster

# Milvus's client would meddle with each child process before it becomes another program: one start
# of psql in twenty failed.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")


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
