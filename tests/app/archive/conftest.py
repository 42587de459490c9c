from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.entities import NewFace
from app.gallery import Gallery
from tests.app.gallery.made import face, open_gallery, vector

CROP = np.random.default_rng(0).integers(0, 255, (112, 112, 3), np.uint8)


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    """Two collections, three people, four faces, one crop; and nothing of one who was deleted."""
    (tmp_path / "data").mkdir()
    opened = open_gallery(tmp_path / "data")
    opened.create_collection("staff", threshold=0.4, keep_crops=True, description="все")
    opened.enrol("default", "ann", [face(1), face(2)], name="Ann", metadata={"ключ": "значение"})
    opened.enrol("default", "gone", [face(9)], name="Wilhelmina")
    opened.enrol("staff", "ann", [NewFace(vector(3), 0.5, CROP)], name="Other Ann")
    opened.enrol("staff", "bob", [face(4)])
    opened.delete_person("default", "gone")
    yield opened
    opened.close()
