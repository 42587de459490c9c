from collections.abc import Iterator
from pathlib import Path

import pytest

from app.store.store import Store, sqlite_url


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(sqlite_url(tmp_path / "faces.db"))
    yield opened
    opened.close()
