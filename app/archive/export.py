"""Writes an export; see records.py. The store must not change meanwhile."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Self

import numpy as np

from app.archive import records
from app.archive.files import created, synced
from app.archive.records import CollectionRecord, ExportManifest, FaceRecord, PersonRecord, Record
from app.entities import StoredFace
from app.store import collection_rows, face_rows, person_rows
from app.store.collection_rows import CollectionRow
from app.store.face_rows import VECTOR, Vectors
from app.store.store import Store

STEP = 1000  # rows read at once


def export(store: Store, folder: Path) -> ExportManifest:
    """Into an empty folder."""
    (folder / "vectors").mkdir()
    (folder / "crops").mkdir()
    with store.read() as connection:
        collections = collection_rows.listed(connection)
    writing = _Export(store, folder)
    with (
        _Hashed(folder / records.COLLECTIONS) as lines,
        _Hashed(folder / records.PEOPLE) as people,
        _Hashed(folder / records.FACES) as faces,
    ):
        for number, row in enumerate(collections, 1):
            lines.line(_collection(row))
            writing.people(row, people)
            with _Hashed(folder / records.vectors_file(number)) as matrix:
                writing.faces(row, faces, matrix)
            writing.sha256[records.vectors_file(number)] = matrix.sha256
    for file, name in zip((lines, people, faces), records.LINES, strict=True):
        writing.sha256[name] = file.sha256
    counts = {name: writing.counts[name] for name in ("people", "faces", "crops")}
    manifest = ExportManifest(
        created_at=datetime.now(UTC),
        counts={"collections": len(collections), **counts},
        sha256=writing.sha256,
    )
    with _Hashed(folder / records.MANIFEST) as last:
        last.write(manifest.model_dump_json(indent=2).encode())
    return manifest


class _Hashed:
    """A new file whose sha256 is known when it is closed."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = created(path)
        self._digest = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._file:
            synced(self._file)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return self._file.write(data)

    def line(self, record: Record) -> None:
        self.write(record.model_dump_json().encode() + b"\n")


class _Export:
    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self.counts: Counter[str] = Counter()
        self.sha256: dict[str, str] = {}

    def people(self, row: CollectionRow, file: _Hashed) -> None:
        after: str | None = None
        while True:
            with self._store.read() as connection:
                page = person_rows.page(connection, row.key, after=after, limit=STEP, search="")
            if not page:
                return
            for person in page:
                file.line(
                    PersonRecord(
                        collection=row.entity.name,
                        id=person.id,
                        name=person.name,
                        metadata=dict(person.metadata),
                        created_at=person.created_at,
                        updated_at=person.updated_at,
                    )
                )
            after = page[-1].id
            self.counts["people"] += len(page)

    def faces(self, row: CollectionRow, file: _Hashed, matrix: _Hashed) -> None:
        with self._store.read() as connection:
            shape = (face_rows.count(connection, row.key), row.entity.dim)
        head = {"descr": VECTOR.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(matrix, head)
        place = 0
        for vectors, faces in self._steps(row.key):
            matrix.write(vectors.embeddings.astype(VECTOR).tobytes())
            for face in faces:
                file.line(self._face(face, place))
                place += 1
        self.counts["faces"] += place

    def _steps(self, key: int) -> Iterator[tuple[Vectors, list[StoredFace]]]:
        last = 0
        while True:
            with self._store.read() as connection:
                vectors = face_rows.vectors_after(connection, key, last, STEP)
                faces = face_rows.of_ids(connection, vectors.ids.tolist())
            if not faces:
                return
            yield vectors, faces
            last = faces[-1].id

    def _face(self, face: StoredFace, row: int) -> FaceRecord:
        return FaceRecord(
            collection=face.collection,
            person=face.person,
            face=face.id,
            row=row,
            quality=face.quality,
            created_at=face.created_at,
            crop_sha256=self._crop(face) if face.has_crop else None,
        )

    def _crop(self, face: StoredFace) -> str:
        with self._store.read() as connection:
            ((_, png),) = face_rows.crops_after(connection, face.id - 1, 1)
        with created(self._folder / records.crop_file(face.id)) as file:
            file.write(png)
        self.counts["crops"] += 1
        return hashlib.sha256(png).hexdigest()


def _collection(row: CollectionRow) -> CollectionRecord:
    return CollectionRecord(
        name=row.entity.name,
        contract=row.entity.contract,
        model=row.model,
        dim=row.entity.dim,
        threshold=row.entity.threshold,
        keep_crops=row.entity.keep_crops,
        description=row.entity.description,
        created_at=row.entity.created_at,
        retention_days=row.entity.retention_days,
    )
