"""Moves a collection to another model, by the crops it kept, while it serves.

The new vectors are made beside the old ones, a batch to a transaction, so a run that was killed
goes on where it was. They get an index of their own. Then, alone, the last faces are added, a
sample is made once more and compared, and one transaction hands the collection over. Until then
everything is answered by the old model, from then on by the new one; the old vectors are kept, and
the way back is the same way.
"""

import threading
from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image as Pictures
from sqlalchemy import Connection

from app.entities import Contract, Floats, Image
from app.errors import Busy, Conflict, NotFound, Unavailable
from app.gallery.changes import Changes
from app.gallery.lookups import collection_of
from app.gallery.projection import CHUNK, index_name
from app.gallery.served import ServedModels
from app.index.base import Ids, Index
from app.store import audit_rows, collection_rows, face_rows, journal, other_vectors
from app.store.audit_rows import Act
from app.store.collection_rows import CollectionRow
from app.store.face_rows import Vectors
from app.store.other_vectors import OtherModel
from app.store.store import Store

BATCH = 16  # faces embedded and stored at once; a request waits for no more than one such batch
BUSY_SECONDS = 0.2  # to let requests through
SAMPLE = 64  # faces that are embedded a second time
SAME = 0.999  # cosine of a face's vector with itself, but for rounding
NAMED = 10  # faces named in a refusal

Embed = Callable[[list[Image], Contract], Floats]  # crops (112, 112, 3) -> (N, D), by that model


class Stopped(Exception):
    """Asked to stop. What is made is kept."""


class Reembedding:
    """One collection's move. `run` may be called again after whatever ended it."""

    def __init__(
        self,
        store: Store,
        index: Index,
        models: ServedModels,
        changes: Changes,
        embed: Embed,
        stop: threading.Event,
    ) -> None:
        self._store = store
        self._index = index
        self._models = models
        self._changes = changes
        self._embed = embed
        self._stop = stop
        self._indexed: Ids = np.empty(0, np.int64)  # faces that the new index holds, rising

    def begin(self, collection: str, *, back: bool, threshold: float | None) -> None:
        """Raises Conflict with a sentence where it cannot be done; nothing is changed then."""
        with self._changes.begin(Act("reembed", collection)) as connection:
            row = collection_of(connection, collection)
            other = other_vectors.find(connection, row.key)
            target = self._target(row, other, back=back)
            if row.entity.contract == target.id:
                raise Conflict(f"the collection {collection!r} goes by {target.model} already")
            if other is None:
                other_vectors.begin(connection, row.key, target)
            elif other.contract.id != target.id:
                raise Conflict(
                    f"the collection {collection!r} still has vectors of {other.contract.model} "
                    f"(contract {other.contract.id}); `face reembed --forget-old` deletes them"
                )
            if threshold is not None:
                other_vectors.set_threshold(connection, row.key, threshold)
            self._require_hope(connection, row)

    def run(self, collection: str) -> None:
        """From `begin` to the end. Raises Stopped, or what went wrong."""
        with self._store.read() as connection:
            row = collection_of(connection, collection)
            other = other_vectors.find(connection, row.key)
        if other is None:
            raise NotFound(f"the collection {collection!r} is not on its way to another model")
        name = index_name(row.key, other.contract.id)
        self._make_all(row.key, other.contract)
        try:
            self._fill_index(row.key, name)
            self._check_sample(row.key, name, other.contract)
            while not self._hand_over(row.key, name):
                self._make_all(row.key, other.contract)
                self._fill_index(row.key, name)
        except BaseException:
            self._drop_unless_served(row.key, name)
            raise

    def _target(self, row: CollectionRow, other: OtherModel | None, *, back: bool) -> Contract:
        if not back:
            return self._models.main.contract
        if other is None or not other.served:
            raise Conflict(f"the collection {row.entity.name!r} has no model to go back to")
        if other.contract.id not in self._models:
            raise Conflict(
                f"to go back, the service must run {other.contract.model} (contract "
                f"{other.contract.id}) too: start it with FACE_PREVIOUS_MODEL or "
                "FACE_PREVIOUS_MODEL_FILE, or as FACE_MODEL and without --back"
            )
        return other.contract

    def _require_hope(self, connection: Connection, row: CollectionRow) -> None:
        found = other_vectors.hopeless(connection, row.key, NAMED + 1)
        if not found:
            return
        some = ", ".join(f"{face} of {person!r}" for face, person in found[:NAMED])
        raise Conflict(
            f"no crop is kept of the faces {some}{' and more' if len(found) > NAMED else ''} in "
            f"the collection {row.entity.name!r}, so the other model cannot see them; nothing was "
            "changed: delete these faces, or enrol their pictures again with keep_crops on"
        )

    # The vectors

    def _make_all(self, key: int, contract: Contract) -> None:
        last = 0
        while True:
            self._require_going_on()
            with self._store.read() as connection:
                found = other_vectors.missing(connection, key, last, BATCH)
            if not found:
                return
            self._make(key, found, contract)
            last = found[-1][0]

    def _make(self, key: int, found: list[tuple[int, bytes]], contract: Contract) -> None:
        vectors = self._embedded([_picture(face, png) for face, png in found], contract)
        with self._changes.begin() as connection:
            other = other_vectors.find(connection, key)
            if other is None or other.contract.id != contract.id:
                raise Stopped  # forgotten meanwhile
            other_vectors.add(connection, [face for face, _ in found], vectors)

    def _embedded(self, crops: list[Image], contract: Contract) -> Floats:
        """Requests go first: where their queue is full, this waits."""
        while True:
            self._require_going_on()
            try:
                return self._embed(crops, contract)
            except Busy:
                self._stop.wait(BUSY_SECONDS)

    def _require_going_on(self) -> None:
        if self._stop.is_set():
            raise Stopped

    # The index

    def _fill_index(self, key: int, name: str) -> None:
        """With what it lacks; the first time, everything."""
        if len(self._indexed) == 0:
            self._index.drop(name)
        while True:
            self._require_going_on()
            last = int(self._indexed[-1]) if len(self._indexed) else 0
            with self._store.read() as connection:
                step = other_vectors.vectors_after(connection, key, last, CHUNK)
            if len(step.ids) == 0:
                return
            self._put(name, step)

    def _put(self, name: str, step: Vectors) -> None:
        self._index.add(name, step.ids, step.embeddings)
        self._indexed = np.concatenate([self._indexed, step.ids])

    def _check_sample(self, key: int, name: str, contract: Contract) -> None:
        """Some faces once more: the vector is the stored one, and the index finds it."""
        chosen = self._indexed[:: max(1, len(self._indexed) // SAMPLE)].tolist()
        for start in range(0, len(chosen), BATCH):
            with self._store.read() as connection:
                stored, pngs = other_vectors.sample(connection, chosen[start : start + BATCH])
            crops = [_picture(face, png) for face, png in zip(stored.ids, pngs, strict=True)]
            if not crops:
                continue
            again = self._embedded(crops, contract)
            scores, _ = self._index.search(name, again, 1)
            if ((again * stored.embeddings).sum(1) < SAME).any() or (scores[:, 0] < SAME).any():
                raise Unavailable(
                    "a second look at some faces gave other vectors than the first; nothing was "
                    "changed: `face reembed --forget-old` deletes the new vectors"
                )

    # The change

    def _hand_over(self, key: int, name: str) -> bool:
        """In one transaction, alone; False when there is too much to add to do it alone."""
        with self._changes.begin() as connection:
            row = collection_rows.by_key(connection, key)
            other = other_vectors.find(connection, key)
            if row is None or other is None or index_name(key, other.contract.id) != name:
                raise Stopped  # deleted or forgotten meanwhile
            self._require_hope(connection, row)
            found = other_vectors.missing(connection, key, 0, BATCH + 1)
            if len(found) > BATCH:
                return False
            if found:
                crops = [_picture(face, png) for face, png in found]
                vectors = self._embedded(crops, other.contract)
                ids = [face for face, _ in found]
                other_vectors.add(connection, ids, vectors)
                self._put(name, Vectors(np.array(ids, np.int64), vectors))
            there = face_rows.ids(connection, key)
            self._index.remove(name, np.setdiff1d(self._indexed, there))
            if self._index.count(name) != len(there):
                raise Unavailable("the new index is not whole; nothing was changed: try again")
            other_vectors.change_places(connection, row, other)
            audit_rows.append(connection, Act("reembedded", row.entity.name))
            journal.note_collection(connection, key)
        return True

    def _drop_unless_served(self, key: int, name: str) -> None:
        with self._store.read() as connection:
            held = collection_rows.contracts(connection, [key]).get(key)
        if held is None or index_name(key, held) != name:
            self._index.drop(name)


def _picture(face: int, png: bytes) -> Image:
    try:
        with Pictures.open(BytesIO(png), formats=["PNG"]) as picture:
            return np.asarray(picture.convert("RGB"), np.uint8)
    except (OSError, SyntaxError, ValueError) as error:  # as Pillow tells of damage
        raise Unavailable(f"the crop of the face {face} is damaged; delete the face") from error
