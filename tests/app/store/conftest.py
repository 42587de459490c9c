from collections.abc import Iterator
from pathlib import Path

import pytest

from app.store.store import Store, sqlite_url

BACK_ENDS = ("sqlite", "postgresql")


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(sqlite_url(tmp_path / "faces.db"))
    yield opened
    opened.close()


@pytest.fixture(params=BACK_ENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "faces.db")
    return str(request.getfixturevalue("postgresql").new_database())


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    yield opened
    opened.close()
