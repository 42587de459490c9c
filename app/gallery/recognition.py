"""Who is it: an answer is given when its line in the audit log is on disk."""

import numpy as np

from app.entities import Contract, Floats, Identification, Verification
from app.errors import BadRequest, ContractMismatch, NotFound
from app.gallery.auditor import Auditor
from app.gallery.changes import Changes
from app.gallery.lookups import collection_of, person_of
from app.gallery.projection import index_name
from app.gallery.ranking import Ranking, decide
from app.gallery.served import ServedModels
from app.gallery.vectors import unit_rows
from app.index.base import Index
from app.store import collection_rows, face_rows
from app.store.audit_rows import Act
from app.store.collection_rows import CollectionRow
from app.store.store import Store

MAX_TOP_K = 100


class Recognition:
    """Thread-safe."""

    def __init__(
        self, store: Store, index: Index, models: ServedModels, changes: Changes, auditor: Auditor
    ) -> None:
        self._store = store
        self._models = models
        self._changes = changes
        self._auditor = auditor
        self._ranking = Ranking(store, index)

    def close(self) -> None:
        """May be called twice."""
        self._ranking.close()

    def identify(
        self,
        collection: str,
        embeddings: Floats,
        top_k: int,
        threshold: float | None,
        made_by: Contract | None,
    ) -> list[Identification]:
        """embeddings (N, D) -> N answers."""
        if not 1 <= top_k <= MAX_TOP_K:
            raise BadRequest(f"top_k must be 1 to {MAX_TOP_K}")
        probes = self._probes(embeddings, made_by)
        self._changes.catch_up()
        with self._store.read() as connection:
            row = collection_of(connection, collection)
            model = self._models.require(connection, row, made_by)
        limit = model.limit(row, threshold)
        # Two at least: the margin is measured against the second person.
        wanted, name = max(top_k, 2), index_name(row.key, model.contract.id)
        rankings = self._ranking.rank(name, probes, wanted)
        if self._models.several:
            self._require_unmoved(row)
        answers = [decide(ranking, top_k, limit) for ranking in rankings]
        self._auditor.identified(row.entity.name, answers)
        return answers

    def verify(
        self,
        collection: str,
        person: str,
        embedding: Floats,
        threshold: float | None,
        made_by: Contract | None,
    ) -> Verification:
        """embedding (D,)"""
        (probe,) = self._probes(np.asarray(embedding)[None], made_by)
        with self._store.read() as connection:
            row = collection_of(connection, collection)
            model = self._models.require(connection, row, made_by)
            known = face_rows.vectors_of_person(connection, person_of(connection, row, person).key)
        if len(known.ids) == 0:
            raise NotFound(f"the person {person!r} has no face to compare with")
        scores = np.clip(known.embeddings @ probe, -1, 1)
        best = int(scores.argmax())
        score, limit = float(scores[best]), model.limit(row, threshold)
        self._auditor.write(Act("verify", row.entity.name, [person]))
        return Verification(score, limit, score >= limit, int(known.ids[best]))

    def _probes(self, embeddings: Floats, made_by: Contract | None) -> Floats:
        """(N, D) -> the same, of unit length. BadRequest where that cannot be."""
        return unit_rows(embeddings, (made_by or self._models.main.contract).dim)

    def _require_unmoved(self, row: CollectionRow) -> None:
        """The index that was searched may have been dropped under the search."""
        with self._store.read() as connection:
            now = collection_rows.contracts(connection, [row.key]).get(row.key)
        if now != row.entity.contract:
            raise ContractMismatch(f"the collection {row.entity.name!r} went to another model")
