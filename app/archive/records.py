"""What an export consists of: lines of JSON and matrices, for whoever reads them next.

manifest.json       counts, and the sha256 of every file but the crops
collections.jsonl   a line per collection; the n-th one's vectors are in vectors/n.npy, from 1
people.jsonl        a line per person
faces.jsonl         a line per face, with its row in its collection's matrix
vectors/1.npy ...   (faces, dim) little-endian float32, each row of unit length
crops/7.png ...     the 112x112 crop of the face 7, where it was kept
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

MANIFEST = "manifest.json"
COLLECTIONS, PEOPLE, FACES = "collections.jsonl", "people.jsonl", "faces.jsonl"
LINES = (COLLECTIONS, PEOPLE, FACES)


def vectors_file(number: int) -> str:
    return f"vectors/{number}.npy"


def crop_file(face: int) -> str:
    return f"crops/{face}.png"


class Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class CollectionRecord(Record):
    name: str
    contract: str  # vectors of one contract are comparable
    model: str
    dim: int
    threshold: float | None
    keep_crops: bool
    description: str
    created_at: datetime
    retention_days: int | None = None


class PersonRecord(Record):
    collection: str
    id: str
    name: str
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime


class FaceRecord(Record):
    collection: str
    person: str
    face: int
    row: int
    quality: float | None
    created_at: datetime
    crop_sha256: str | None = None  # None: no crop was kept


class ExportManifest(Record):
    format: Literal["face-export"] = "face-export"
    version: Literal[1] = 1
    created_at: datetime
    counts: dict[str, int]  # collections, people, faces, crops
    sha256: dict[str, str]  # by file
