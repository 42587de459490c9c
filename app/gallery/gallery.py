"""Who is known: enrol, forget, verify, identify. Store first, index second.

An answer that says stored or deleted is on disk, and the next `identify` sees it. Changes are made
one at a time, from the transaction to the index, so both see them in one order; others read on.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TypeVar

from app.archive.backup import Backup, backup_of
from app.entities import (
    DEFAULT_COLLECTION,
    Collection,
    Contract,
    Floats,
    Identification,
    NewFace,
    Person,
    StoredFace,
    Verification,
)
from app.errors import BadRequest, Conflict, NotFound
from app.gallery.audit import AuditLog
from app.gallery.auditor import Auditor
from app.gallery.changes import Changes
from app.gallery.collection_change import changed_columns
from app.gallery.enrolment import add_faces, change_person, new_person
from app.gallery.inspection import Finding, Inspection
from app.gallery.keyring import Keyring
from app.gallery.lookups import checked_face, collection_of, known_person, person_of
from app.gallery.once import KEEP_REPLIES, Mark, answered, remember
from app.gallery.pages import Page, checked_limit, checked_search, cursor_after, place_of
from app.gallery.recognition import Recognition
from app.gallery.reembed_job import ReembedJobs
from app.gallery.retention import Retention
from app.gallery.served import ServedModel, ServedModels, agreed
from app.gallery.shared import projection_of
from app.gallery.unchanged import UNCHANGED, Unchanged
from app.gallery.vectors import checked_threshold
from app.index.base import Index
from app.names import checked_description, checked_id
from app.store import collection_rows, face_rows, journal, person_rows
from app.store.audit_rows import Act
from app.store.replies import Reply
from app.store.store import Store

R = TypeVar("R")


class Gallery:
    """Made ready to answer: the index equals the store, and the collection `default` exists."""

    def __init__(
        self,
        store: Store,
        index: Index,
        contract: Contract,
        default_threshold: float,
        *,
        keep_replies: timedelta = KEEP_REPLIES,
        previous: ServedModel | None = None,
    ) -> None:
        self._store, self._index = store, index
        self._contract = contract
        self._models = ServedModels(ServedModel(contract, default_threshold), previous)
        self._projection = projection_of(store, index, self._models)
        self._changes = Changes(store, self._projection)
        self.reembed = ReembedJobs(store, index, self._models, self._changes)
        self.retention = Retention(store, self._changes)
        self._keep_replies = keep_replies
        self.audit, self.keys = AuditLog(store), Keyring(store)
        self.auditor = Auditor(store)
        self._recognition = Recognition(store, index, self._models, self._changes, self.auditor)
        with self._changes.begin() as connection:
            if collection_rows.find(connection, DEFAULT_COLLECTION) is None:
                collection_rows.add(connection, DEFAULT_COLLECTION, contract)
        self.reconcile()

    def reconcile(self) -> None:
        """Make the index equal to the store again. May run at any time."""
        with self._changes.none():
            self._projection.reconcile()

    def require_ready(self) -> None:
        """Raises Unavailable where nobody can be found now, and says how far the index is."""
        self._changes.catch_up()

    def close(self) -> None:
        """May be called twice."""
        self.retention.close()
        self.reembed.close()
        self._projection.close()
        self._recognition.close()
        self.auditor.close()  # after those who wait for a search, and then for their line
        with self._changes.none():
            # The store first: a search under way then fails, where an emptied index would have it
            # answer that nobody is known.
            self._store.close()
            self._index.close()

    def inspect(self, *, repair: bool = False) -> list[Finding]:
        """Whether store and index are whole and agree. Changes wait meanwhile, searches do not."""
        self._projection.require_ready()
        with self._changes.none():
            inspection = Inspection(self._store, self._index, self._models, self._projection)
            return inspection.run(repair=repair)

    def backup(self) -> Backup:
        """All that is stored now. Changes and searches go on meanwhile."""
        with self._store.snapshot() as file:
            return backup_of(file)

    # Changes that may be sent again

    def answered(self, mark: Mark) -> Reply | None:
        """What was answered to this very request, if it was carried out before."""
        with self._store.read() as connection:
            return answered(connection, mark, self._keep_replies)

    def once(self, mark: Mark, change: Callable[[], Reply]) -> tuple[Reply, bool]:
        """The answer, and whether it is the stored one of a request that came before.

        What `change` does to this gallery and the memory of its answer are one transaction.
        """
        with self._changes.begin() as connection:
            if before := answered(connection, mark, self._keep_replies):
                return before, True
            reply = change()
            remember(connection, mark, reply, self._keep_replies)
            return reply, False

    # Collections

    def collections(self) -> list[Collection]:
        with self._store.read() as connection:
            return [row.entity for row in collection_rows.listed(connection)]

    def collection(self, name: str) -> Collection:
        with self._store.read() as connection:
            return collection_rows.counted(connection, collection_of(connection, name).key)

    def contract_of(self, name: str) -> Contract:
        """Of the vectors that the collection takes. ContractMismatch where no such model runs."""
        with self._store.read() as connection:
            return self._models.of(connection, collection_of(connection, name)).contract

    def by_model(self, collection: str, work: Callable[[Contract], R]) -> R:
        """Does `work` with the collection's model; again, if it moves to another meanwhile."""
        return agreed(lambda: self.contract_of(collection), work)

    def threshold(self, collection: str, of_call: float | None = None) -> float:
        """What scores of the main model are held against; the collection's own is only for its."""
        with self._store.read() as connection:
            return self._models.main.limit(collection_of(connection, collection), of_call)

    def create_collection(
        self,
        name: str,
        *,
        threshold: float | None = None,
        keep_crops: bool = False,
        description: str = "",
        retention_days: int | None = None,
    ) -> Collection:
        name = checked_id(name, "a collection's name")
        with self._changes.begin(Act("create_collection", name)) as connection:
            if collection_rows.find(connection, name) is not None:
                raise Conflict(f"the collection {name!r} exists already")
            collection_rows.add(
                connection,
                name,
                self._contract,
                threshold=checked_threshold(threshold),
                keep_crops=keep_crops,
                description=checked_description(description),
                retention_days=retention_days,
            )
            return collection_rows.counted(connection, collection_of(connection, name).key)

    def update_collection(
        self,
        name: str,
        *,
        threshold: float | Unchanged | None = UNCHANGED,
        keep_crops: bool | Unchanged = UNCHANGED,
        description: str | Unchanged = UNCHANGED,
        retention_days: int | Unchanged | None = UNCHANGED,
    ) -> Collection:
        """None goes back to the model's threshold, the setting's days. Crops kept so far stay."""
        values = changed_columns(threshold, keep_crops, description, retention_days)
        with self._changes.begin(Act("update_collection", name)) as connection:
            key = collection_of(connection, name).key
            collection_rows.change(connection, key, values)
            return collection_rows.counted(connection, key)

    def delete_collection(self, name: str) -> None:
        with self._changes.begin(Act("delete_collection", name)) as connection:
            row = collection_of(connection, name)
            if row.entity.name == DEFAULT_COLLECTION:
                raise Conflict(
                    f"the collection {DEFAULT_COLLECTION!r} always exists; delete its people"
                )
            journal.note_collection(connection, row.key)
            collection_rows.remove(connection, row.key)

    # People

    def people(
        self,
        collection: str,
        *,
        cursor: str | None = None,
        limit: int = 50,
        search: str | None = None,
    ) -> Page:
        """In the order of their ids; `search` is a part of an id or a name, in any case."""
        after = None if cursor is None else place_of(cursor)
        with self._store.read() as connection:
            found = person_rows.page(
                connection,
                collection_of(connection, collection).key,
                after=after,
                limit=checked_limit(limit) + 1,  # one more tells whether a next page exists
                search=checked_search(search or ""),
            )
        items = tuple(found[:limit])
        return Page(items, cursor_after(items[-1].id) if len(found) > limit else None)

    def person(self, collection: str, id: str) -> Person:
        with self._store.read() as connection:
            return person_of(connection, collection_of(connection, collection), id).entity

    def create_person(
        self,
        collection: str,
        id: str,
        name: str | None,
        faces: Sequence[NewFace] = (),
        metadata: Mapping[str, str] | None = None,
        made_by: Contract | None = None,
    ) -> tuple[Person, tuple[StoredFace, ...]]:
        """Conflict when the person exists. Without a name the id is the name. `made_by`: the
        model of the embeddings, here and below; else the main one."""
        with self._changes.begin(Act("create_person", collection, [id])) as connection:
            row = collection_of(connection, collection)
            if known_person(connection, row, id) is not None:
                raise Conflict(f"the person {id!r} exists already in {row.entity.name!r}")
            person = new_person(connection, row, id, name, metadata)
            stored = add_faces(connection, row, person, faces, self._models, made_by)
            return person_of(connection, row, id).entity, stored

    def update_person(
        self,
        collection: str,
        id: str,
        *,
        name: str | Unchanged = UNCHANGED,
        metadata: Mapping[str, str] | Unchanged = UNCHANGED,
    ) -> Person:
        with self._changes.begin(Act("update_person", collection, [id])) as connection:
            row = collection_of(connection, collection)
            person = person_of(connection, row, id)
            change_person(connection, person, name, metadata)
            return person_of(connection, row, id).entity

    def delete_person(self, collection: str, id: str) -> None:
        with self._changes.begin(Act("delete_person", collection, [id])) as connection:
            person = person_of(connection, collection_of(connection, collection), id)
            journal.note_faces_of(connection, person.key)
            person_rows.remove(connection, person.key)

    def enrol(
        self,
        collection: str,
        id: str,
        faces: Sequence[NewFace],
        *,
        name: str | None = None,
        metadata: Mapping[str, str] | None = None,
        made_by: Contract | None = None,
    ) -> tuple[Person, tuple[StoredFace, ...], bool]:
        """Add faces, making the person when new (the last value); a given name or metadata
        replaces the one there."""
        if not faces:
            raise BadRequest("an enrolment needs at least one face")
        with self._changes.begin(Act("enrol", collection, [id])) as connection:
            row = collection_of(connection, collection)
            person = known_person(connection, row, id)
            created = person is None
            if person is None:
                person = new_person(connection, row, id, name, metadata)
            else:
                change_person(
                    connection,
                    person,
                    UNCHANGED if name is None else name,
                    UNCHANGED if metadata is None else metadata,
                )
            stored = add_faces(connection, row, person, faces, self._models, made_by)
            return person_of(connection, row, id).entity, stored, created

    # Faces

    def add_faces(
        self, collection: str, id: str, faces: Sequence[NewFace], made_by: Contract | None = None
    ) -> tuple[Person, tuple[StoredFace, ...]]:
        if not faces:
            raise BadRequest("an enrolment needs at least one face")
        with self._changes.begin(Act("add_faces", collection, [id])) as connection:
            row = collection_of(connection, collection)
            person = person_of(connection, row, id)
            stored = add_faces(connection, row, person, faces, self._models, made_by)
            return person_of(connection, row, id).entity, stored

    def faces(self, collection: str, id: str) -> tuple[StoredFace, ...]:
        with self._store.read() as connection:
            person = person_of(connection, collection_of(connection, collection), id)
            return tuple(face_rows.of_person(connection, person.key))

    def delete_face(self, collection: str, id: str, face_id: int) -> None:
        with self._changes.begin(Act("delete_face", collection, [id])) as connection:
            row = collection_of(connection, collection)
            person = person_of(connection, row, id)
            if not face_rows.remove(connection, person.key, checked_face(face_id, id)):
                raise NotFound(f"the person {id!r} has no face {face_id}")
            journal.note_faces(connection, row.key, [face_id])

    def crop(self, collection: str, id: str, face_id: int) -> bytes:
        """The aligned crop as PNG, where the collection kept crops when the face was enrolled."""
        with self._store.read() as connection:
            person = person_of(connection, collection_of(connection, collection), id)
            png = face_rows.crop(connection, person.key, checked_face(face_id, id))
        if png is None:
            raise NotFound(f"no picture is kept of a face {face_id} of the person {id!r}")
        return png

    # Recognition

    def identify(
        self,
        collection: str,
        embeddings: Floats,
        *,
        top_k: int = 5,
        threshold: float | None = None,
        made_by: Contract | None = None,
    ) -> list[Identification]:
        """embeddings (N, D) -> N answers. Ranked people are listed whatever the decision."""
        return self._recognition.identify(collection, embeddings, top_k, threshold, made_by)

    def verify(
        self,
        collection: str,
        person: str,
        embedding: Floats,
        *,
        threshold: float | None = None,
        made_by: Contract | None = None,
    ) -> Verification:
        """embedding (D,) against the best face of one person."""
        return self._recognition.verify(collection, person, embedding, threshold, made_by)

    def counts(self) -> tuple[int, int]:
        """People and faces of all collections."""
        with self._store.read() as connection:
            return person_rows.count(connection), face_rows.count(connection)
