"""Whether store, vectors, crops, journal and index are whole and agree, and mending what can be.

The store is the truth: the journal and the index are mended from it. What is broken in the store
itself is only told; a backup is what mends that.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
from PIL import Image as Pictures
from PIL import UnidentifiedImageError

from app.gallery.projection import CHUNK, Projection, index_name, stored_vectors
from app.gallery.served import ServedModels
from app.index.base import Index
from app.store import collection_rows, face_rows, other_vectors
from app.store.face_rows import Vectors
from app.store.store import Store

Part = Literal["store", "vectors", "crops", "journal", "index"]

UNIT_TOLERANCE = 1e-3  # of the length 1
SAME = 0.999  # cosine of a stored vector with itself in the index, but for rounding
SAMPLE = 2000  # vectors of a collection that are searched for; all, where it has no more
CROP_SIDE = 112  # pixels


@dataclass(frozen=True)
class Finding:
    part: Part
    faults: int
    said: str
    mended: bool = False

    @property
    def ok(self) -> bool:
        return self.faults == 0 or self.mended


class Inspection:
    """The caller sees to it that nothing is changed meanwhile."""

    def __init__(
        self, store: Store, index: Index, models: ServedModels, projection: Projection
    ) -> None:
        self._store = store
        self._index = index
        self._projection = projection
        with store.read() as connection:
            held = collection_rows.listed(connection)
            others = {row.key: other_vectors.find(connection, row.key) for row in held}
        self._rows = held
        self._names = {
            row.key: index_name(row.key, row.entity.contract)
            for row in held
            if row.entity.contract in models
        }
        # Vectors of a next model may be there, in parts.
        self._coming = {
            index_name(key, other.contract.id) for key, other in others.items() if other
        }

    def run(self, *, repair: bool) -> list[Finding]:
        return [
            self._check_store(),
            self._check_vectors(),
            self._check_crops(),
            self._check_journal(repair=repair),
            self._check_index(repair=repair),
        ]

    def _check_store(self) -> Finding:
        faults = self._store.faults()
        people = sum(row.entity.people for row in self._rows)
        faces = sum(row.entity.faces for row in self._rows)
        said = f"{len(self._rows)} collections, {people} people, {faces} faces"
        return Finding("store", len(faults), "; ".join([said, *faults]))

    def _check_vectors(self) -> Finding:
        broken: list[int] = []
        total = 0
        for row in self._rows:
            with self._store.read() as connection:
                misfits = face_rows.damaged(connection, row.key, row.entity.dim)
            if misfits:  # and then the others cannot be read in one matrix
                broken += misfits
                continue
            for step in stored_vectors(self._store, row.key):
                lengths = np.linalg.norm(step.embeddings, axis=1)
                wrong = ~(np.abs(lengths - 1) <= UNIT_TOLERANCE)  # so written, it holds for NaN too
                broken += step.ids[wrong].tolist()
                total += len(step.ids)
        return Finding("vectors", len(broken), _told(f"{total} of unit length", broken))

    def _check_crops(self) -> Finding:
        broken: list[int] = []
        total = last = 0
        while True:
            with self._store.read() as connection:
                step = face_rows.crops_after(connection, last, CHUNK // 32, damaged=True)
            if not step:
                return Finding("crops", len(broken), _told(f"{total} pictures", broken))
            broken += [face for face, png in step if not _is_crop(png)]
            total += len(step)
            last = step[-1][0]

    def _check_journal(self, *, repair: bool) -> Finding:
        waiting = self._projection.waiting()
        if waiting and repair:
            self._projection.follow()
        said = f"{waiting} changes that the index has not followed"
        return Finding("journal", waiting, said, mended=bool(waiting) and repair)

    def _check_index(self, *, repair: bool) -> Finding:
        known = {*self._names.values(), *self._coming}
        strays = sorted(set(self._index.collections()) - known)
        differing = [key for key in self._names if not self._agrees(key)]
        if repair:
            for name in strays:
                self._index.drop(name)
            for key in differing:
                self._projection.rebuild(key, self._names[key])
            differing_now = [key for key in differing if not self._agrees(key)]
        faults = len(strays) + len(differing)
        said = f"{len(self._names)} collections, {len(differing)} differ from the store"
        if strays:
            said += f", {len(strays)} are not in it"
        return Finding("index", faults, said, mended=bool(faults) and repair and not differing_now)

    def _agrees(self, key: int) -> bool:
        with self._store.read() as connection:
            stored = face_rows.count(connection, key)
        if self._index.count(self._names[key]) != stored:
            return False
        stride, place = max(1, stored // SAMPLE), 0
        for step in stored_vectors(self._store, key):
            chosen = np.arange(len(step.ids)) + place
            place += len(step.ids)
            probes = Vectors(step.ids[chosen % stride == 0], step.embeddings[chosen % stride == 0])
            if not self._finds(key, probes):
                return False
        return True

    def _finds(self, key: int, probes: Vectors) -> bool:
        """Each vector itself, or another face's that is the same to the bit."""
        scores, ids = self._index.search(self._names[key], probes.embeddings, 1)
        if (scores[:, 0] < SAME).any():
            return False
        others = set(ids[ids[:, 0] != probes.ids, 0].tolist())
        with self._store.read() as connection:
            return len(face_rows.vectors(connection, others).ids) == len(others)


def _is_crop(png: bytes) -> bool:
    try:
        with Pictures.open(BytesIO(png), formats=["PNG"]) as picture:
            picture.load()
            return picture.size == (CROP_SIDE, CROP_SIDE)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):  # as Pillow tells of damage
        return False


def _told(said: str, broken: list[int]) -> str:
    if not broken:
        return said
    some = ", ".join(str(face) for face in broken[:10])
    return f"{said}; damaged: the faces {some}{' and more' if len(broken) > 10 else ''}"
