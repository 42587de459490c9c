"""The steps of a change to people and faces, inside its transaction."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from app.entities import Contract, NewFace, StoredFace
from app.gallery.lookups import person_of
from app.gallery.served import ServedModels
from app.gallery.unchanged import UNCHANGED, Unchanged
from app.gallery.vectors import stored_form
from app.names import checked_id, checked_metadata, checked_name
from app.store import collection_rows, face_rows, journal, person_rows
from app.store.collection_rows import CollectionRow
from app.store.person_rows import PersonRow


def new_person(
    connection: Connection,
    row: CollectionRow,
    id: str,
    name: str | None,
    metadata: Mapping[str, str] | None,
) -> PersonRow:
    id = checked_id(id, "a person's id")
    name = id if name is None else checked_name(name)
    person_rows.add(connection, row.key, id, name, checked_metadata(metadata or {}))
    return person_of(connection, row, id)


def change_person(
    connection: Connection,
    person: PersonRow,
    name: str | Unchanged,
    metadata: Mapping[str, str] | Unchanged,
) -> None:
    if name is UNCHANGED and metadata is UNCHANGED:
        return
    person_rows.change(
        connection,
        person,
        person.entity.name if name is UNCHANGED else checked_name(name),
        person.entity.metadata if metadata is UNCHANGED else checked_metadata(metadata),
    )


def add_faces(
    connection: Connection,
    row: CollectionRow,
    person: PersonRow,
    faces: Sequence[NewFace],
    models: ServedModels,
    made_by: Contract | None,
) -> tuple[StoredFace, ...]:
    if not faces:
        return ()
    contract = models.require(connection, row, made_by).contract
    if row.entity.contract != contract.id:
        collection_rows.adopt(connection, row.key, contract)
        journal.note_collection(connection, row.key)
    new = [stored_form(face, contract.dim, row.entity.keep_crops) for face in faces]
    ids = face_rows.add(connection, row.key, person.key, new)
    journal.note_faces(connection, row.key, ids)
    return tuple(face_rows.of_ids(connection, ids))
