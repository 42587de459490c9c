"""What the gallery's tests are made of: real stores and indexes, vectors in place of pictures."""

from pathlib import Path

import numpy as np
import pytest

from app.entities import Contract, Floats, NewFace
from app.gallery import Gallery
from app.gallery.projection import index_name
from app.index.flat import FlatIndex
from app.store.store import Store, sqlite_url

DIM = 16
CONTRACT = Contract("c1", "first_model", DIM)
THRESHOLD = 0.5
DEFAULT_INDEX = index_name(1, CONTRACT.id)  # of the collection `default`
# Of a test that looks into the gallery's folder.
in_folder = pytest.mark.parametrize("gallery", ["sqlite and faiss"], indirect=True)


def open_gallery(folder: Path, contract: Contract = CONTRACT) -> Gallery:
    return Gallery(Store(sqlite_url(folder / "faces.db")), FlatIndex(), contract, THRESHOLD)


def vector(seed: int, dim: int = DIM) -> Floats:
    """(D,) of unit length; the same for the same seed."""
    numbers = np.random.default_rng(seed).normal(size=dim)
    return (numbers / np.linalg.norm(numbers)).astype(np.float32)


def at_angle(cosine: float, axis: int = 1) -> Floats:
    """(D,) of unit length whose cosine with the first axis is as given."""
    made = np.zeros(DIM, np.float32)
    made[0], made[axis] = cosine, np.sqrt(1 - cosine**2)
    return made


def face(seed: int) -> NewFace:
    return NewFace(vector(seed))
