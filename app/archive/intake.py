"""Takes an export into a store, whole or not at all; see records.py.

Everything is checked before it is stored: hashes, counts, names, vectors, and that the vectors are
of the model that will search them. Faces get new ids, as ids are never used twice.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import ValidationError
from sqlalchemy import Connection

from app.archive import records
from app.archive.records import CollectionRecord, ExportManifest, FaceRecord, PersonRecord, Record
from app.entities import Contract, Floats
from app.errors import BadRequest, Conflict, ContractMismatch
from app.names import checked_description, checked_id, checked_metadata, checked_name
from app.store import audit_rows, collection_rows, face_rows, journal, person_rows
from app.store.audit_rows import Act
from app.store.collection_rows import CollectionRow
from app.store.face_rows import VECTOR, FaceToAdd
from app.store.store import Store

UNIT_TOLERANCE = 1e-3  # of the length 1
RecordT = TypeVar("RecordT", bound=Record)


def intake(store: Store, folder: Path, contract: Contract) -> ExportManifest:
    """`contract` is of the model that serves the store."""
    try:
        manifest = ExportManifest.model_validate_json((folder / records.MANIFEST).read_bytes())
        for name in (*records.LINES, *_matrices(folder)):
            with (folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != manifest.sha256[name]:
                raise ValueError(f"the sha256 of {name} is not its manifest's")
        with store.write() as connection:
            taking = _Intake(connection, folder, contract)
            taking.run()
            taking.log()
            if taking.counts != manifest.counts:
                raise BadRequest("it holds other numbers than its manifest says")
    except (OSError, ValidationError, ValueError, LookupError) as exc:
        raise BadRequest(f"{folder} is not a whole export: {_said(exc)}") from exc
    return manifest


class _Intake:
    """Inside one transaction."""

    def __init__(self, connection: Connection, folder: Path, contract: Contract) -> None:
        self.counts = {"collections": 0, "people": 0, "faces": 0, "crops": 0}
        self._connection = connection
        self._folder = folder
        self._contract = contract
        self._rows: dict[str, CollectionRow] = {}
        self._vectors: dict[str, Floats] = {}
        self._people: dict[tuple[str, str], int] = {}  # collection and id -> key

    def run(self) -> None:
        for number, record in enumerate(
            _lines(self._folder / records.COLLECTIONS, CollectionRecord), 1
        ):
            self._collection(number, record)
        for person in _lines(self._folder / records.PEOPLE, PersonRecord):
            self._person(person)
        for face in _lines(self._folder / records.FACES, FaceRecord):
            self._face(face)
        held = sum(len(vectors) for vectors in self._vectors.values())
        if held != self.counts["faces"]:
            raise ValueError("there are more vectors than faces")

    def log(self) -> None:
        for collection in self._rows:
            people = [person for owner, person in self._people if owner == collection]
            audit_rows.append(self._connection, Act("import", collection, people))

    def _collection(self, number: int, record: CollectionRecord) -> None:
        path = self._folder / records.vectors_file(number)
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        if vectors.dtype != VECTOR or vectors.shape[1:] != (record.dim,):
            raise ValueError(f"{path.name} is not a matrix of float32 with {record.dim} columns")
        if len(vectors) and record.contract != self._contract.id:
            raise ContractMismatch(
                f"the collection {record.name!r} has vectors of {record.model} (contract "
                f"{record.contract}), and this folder is served with {self._contract.model} "
                f"(contract {self._contract.id}): import it with the model that made it, by "
                "FACE_MODEL or FACE_MODEL_FILE"
            )
        self._vectors[record.name] = vectors
        self._rows[record.name] = self._row(record)
        self.counts["collections"] += 1

    def _row(self, record: CollectionRecord) -> CollectionRow:
        """The collection of that name; the settings of one in which somebody is stay."""
        name = checked_id(record.name, "a collection's name")
        row = collection_rows.find(self._connection, name)
        if row is None:
            collection_rows.add(
                self._connection, name, self._contract, created_at=record.created_at
            )
            row = collection_rows.find(self._connection, name)
            assert row is not None
        if collection_rows.has_faces(self._connection, row.key):
            if row.entity.contract != self._contract.id:
                raise ContractMismatch(f"the collection {name!r} here is of another model")
        else:
            collection_rows.adopt(self._connection, row.key, self._contract)
        if not collection_rows.counted(self._connection, row.key).people:
            settings = {
                "threshold": record.threshold,
                "keep_crops": record.keep_crops,
                "retention_days": record.retention_days,
                "description": checked_description(record.description),
            }
            collection_rows.change(self._connection, row.key, settings)
        return row

    def _person(self, record: PersonRecord) -> None:
        row = self._rows[record.collection]
        id = checked_id(record.id, "a person's id")
        if person_rows.find(self._connection, row.key, id) is not None:
            raise Conflict(f"the person {id!r} exists already in {record.collection!r}")
        self._people[record.collection, record.id] = person_rows.add(
            self._connection,
            row.key,
            id,
            checked_name(record.name),
            checked_metadata(record.metadata),
            times=(record.created_at, record.updated_at),
        )
        self.counts["people"] += 1

    def _face(self, record: FaceRecord) -> None:
        row = self._rows[record.collection]
        embedding = np.array(self._vectors[record.collection][record.row], np.float32)
        if not abs(float(np.linalg.norm(embedding)) - 1) <= UNIT_TOLERANCE:
            raise ValueError(f"the vector of the face {record.face} has not the length 1")
        png = None
        if record.crop_sha256 is not None:
            name = records.crop_file(record.face)
            png = (self._folder / name).read_bytes()
            if hashlib.sha256(png).hexdigest() != record.crop_sha256:
                raise ValueError(f"the sha256 of {name} is not its line's")
            self.counts["crops"] += 1
        new = FaceToAdd(embedding, record.quality, png, record.created_at)
        owner = self._people[record.collection, record.person]
        ids = face_rows.add(self._connection, row.key, owner, [new])
        journal.note_faces(self._connection, row.key, ids)
        self.counts["faces"] += 1


def _lines(file: Path, model: type[RecordT]) -> Iterator[RecordT]:
    with file.open("rb") as lines:
        for line in lines:
            yield model.model_validate_json(line)


def _matrices(folder: Path) -> list[str]:
    with (folder / records.COLLECTIONS).open("rb") as lines:
        return [records.vectors_file(number) for number, _ in enumerate(lines, 1)]


def _said(exc: Exception) -> str:
    match exc:
        case OSError():
            return f"{Path(str(exc.filename)).name}: {exc.strerror}"
        case ValidationError():
            return "a line is not of its form"
        case KeyError():
            return "a line names what is not in it"
    return str(exc)
