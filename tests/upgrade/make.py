"""Makes the data folder of a release, and beside it what that release says is in it.

Run with the code of the release that is to be kept, never with a newer one:

    git worktree add /tmp/release f556c7d
    cp tests/upgrade/make.py /tmp/release/tests/
    cd /tmp/release && python -m tests.make FOLDER

Vectors and crops are made of numbers; nobody's face is in them.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from app.entities import Contract, Floats, NewFace
from app.gallery import Gallery
from app.gallery.once import Mark
from app.index.flat import FlatIndex
from app.store.replies import Reply
from app.store.store import Store, sqlite_url

CONTRACT = Contract("83f32b2298d82e59", "scsc_faceresnet", 256)  # of the first release's model
PEOPLE = {"ada": "Ada Lovelace", "grete": "Grete Hermann", "sophie": "Софья Ковалевская"}


def main(folder: Path) -> None:
    folder.mkdir(parents=True)
    gallery = Gallery(Store(sqlite_url(folder / "face.db")), FlatIndex(), CONTRACT, 0.5)
    for number, (id, name) in enumerate(PEOPLE.items()):
        faces = [NewFace(vector(10 * number + face), 0.75) for face in range(2)]
        gallery.enrol("default", id, faces, name=name, metadata={"number": str(number)})
    gallery.create_collection("staff", threshold=0.55, keep_crops=True, description="Main building")
    gallery.once(
        Mark("k" * 64, "r" * 64, "staff", "emmy"),
        lambda: (gallery.enrol("staff", "emmy", [NewFace(vector(99), 0.5, crop())]), REPLY)[1],
    )
    gallery.delete_person("default", "grete")
    (folder / "said.json").write_text(
        json.dumps(said(gallery), indent=1, ensure_ascii=False) + "\n"
    )
    gallery.close()


REPLY = Reply(201, b'{"person": "emmy"}')


def vector(seed: int) -> Floats:
    """(256,) of unit length."""
    numbers = np.random.default_rng(seed).standard_normal(CONTRACT.dim).astype(np.float32)
    return numbers / np.linalg.norm(numbers)


def crop() -> Any:
    """(112, 112, 3): a ramp in each colour, which packs small."""
    ramp = np.arange(112, dtype=np.uint8)
    return np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], np.uint8(7)), axis=2).copy()


def said(gallery: Gallery) -> dict[str, Any]:
    """All that a gallery tells of itself, as JSON."""
    collections = gallery.collections()
    return {
        "collections": [plain(each) for each in collections],
        "people": {each.name: people(gallery, each.name) for each in collections},
        "answers": {each.name: answers(gallery, each.name) for each in collections},
    }


def people(gallery: Gallery, collection: str) -> list[dict[str, Any]]:
    found = gallery.people(collection).items
    return [
        {**plain(person), "stored": [plain(face) for face in gallery.faces(collection, person.id)]}
        for person in found
    ]


def answers(gallery: Gallery, collection: str) -> list[dict[str, Any]]:
    """To the vector of somebody there, of somebody elsewhere, and of nobody."""
    probes = np.stack([vector(0), vector(99), vector(1000)])
    return [plain(answer) for answer in gallery.identify(collection, probes)]


def plain(entity: Any) -> dict[str, Any]:
    """Its fields of the first release; newer ones are not compared."""
    return {name: shown(getattr(entity, name)) for name in FIELDS[type(entity).__name__]}


def shown(value: Any) -> Any:
    match value:
        case float():
            return round(value, 5)
        case tuple():
            return [plain(each) for each in value]
        case None | str() | int() | dict():
            return value
    return str(value)


FIELDS = {
    "Collection": [
        "name",
        "contract",
        "dim",
        "created_at",
        "threshold",
        "keep_crops",
    ],
    "Person": ["id", "collection", "name", "created_at", "updated_at", "metadata", "faces"],
    "StoredFace": ["id", "person", "collection", "created_at", "quality", "has_crop"],
    "Identification": ["decision", "threshold", "matches", "margin"],
    "Match": ["person", "name", "face", "score"],
}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
