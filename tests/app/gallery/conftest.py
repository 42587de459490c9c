from collections.abc import Iterator
from pathlib import Path

import pytest

from app.gallery import Gallery
from tests.app.gallery.made import open_gallery


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    opened = open_gallery(tmp_path)
    yield opened
    opened.close()
