"""Photographs that ship inside installed packages; none is committed here."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from app.entities import Image
from app.pipeline.decode import ImageLimits, decode_image

SHARED_MODELS = Path(__file__).parents[2] / "shared" / "models"


def file_in(package: str, path: str) -> Path:
    """A file of an installed package, which is not imported."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / path


def astronaut() -> Image:
    """512 x 512, one face in the middle."""
    return _decoded(file_in("skimage", "data/astronaut.png"))


def group() -> Image:
    """1280 x 886, six faces in different poses."""
    return _decoded(file_in("insightface", "data/images/t1.jpg"))


def shared_model(name: str) -> Path:
    """A network of others for tests; skips where the shared folder is absent."""
    path = SHARED_MODELS / name
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    return path


def _decoded(path: Path) -> Image:
    return decode_image(path.read_bytes(), ImageLimits())
