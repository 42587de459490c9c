"""Search by a Milvus that every replica of the service asks. It holds vectors and ids, no names.

Each answer is of the moment it is asked for (consistency level Strong), so that what one replica
added another finds. Milvus keeps float32 vectors beside its graph (HNSW), so every score is the
exact cosine of its two vectors; whether the nearest one is found at all is up to the graph.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from app.entities import Floats
from app.errors import SettingsError, Unavailable
from app.index.base import Ids

PREFIX = "face_"  # of the names in Milvus; others may have collections there too
ID, VECTOR = "id", "vector"  # the fields
METRIC = "IP"  # the product of unit vectors is their cosine
GRAPH = {"M": 32, "efConstruction": 256}
LEAST_EF = 128  # candidates that a search keeps, if it returns no more
MOST = 16_384  # Milvus's own limit to what a search or a query returns
AT_ONCE = 4096  # vectors in one message, which may have 64 MiB
SECONDS = 10.0  # that a call may take
CONSISTENCY = "Strong"

FAILED = "the search index cannot be reached, or is not ready"
NOT_FOUND, NOT_LOADED = 100, 101  # Milvus's error codes, of a collection
# A client with a connection of its own. A shared one that others left idle may be closing: clients
# ping it every ten seconds, which Milvus Lite's server takes ill ("too many pings").
ALONE: dict[str, Any] = {
    "dedicated": True,
    "grpc_options": {"grpc.use_local_subchannel_pool": 1},
}
NO_ID = -1
NO_SCORE = -1.0

T = TypeVar("T")


class MilvusIndex:
    """A `SharedIndex`: it outlives the process, and others change it too."""

    def __init__(self, uri: str, token: str = "") -> None:
        """Raises SettingsError when no Milvus answers there."""
        try:
            import grpc
            import pymilvus
        except ModuleNotFoundError as error:
            raise SettingsError(
                "FACE_INDEX=milvus needs a client: pip install 'face-recognition-service[milvus]'"
            ) from error
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs whatever it raises
        self._faults: tuple[type[Exception], ...] = (pymilvus.MilvusException, grpc.RpcError)
        self._types = pymilvus.DataType
        try:
            self._milvus = pymilvus.MilvusClient(uri, token=token, timeout=SECONDS, **ALONE)
        except self._faults as error:
            raise SettingsError(f"FACE_MILVUS_URI={uri}: no Milvus answers there") from error

    def add(self, collection: str, ids: Ids, vectors: Floats) -> None:
        for start in range(0, len(ids), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            # By id: of an id that comes twice the last wins, where Milvus would keep either.
            rows = dict(zip(ids[some].tolist(), vectors[some], strict=True))
            self._put(PREFIX + collection, [{ID: i, VECTOR: v} for i, v in rows.items()])

    def remove(self, collection: str, ids: Ids) -> None:
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE].tolist()
            self._in(collection, partial(self._milvus.delete, ids=some, timeout=SECONDS))

    def search(self, collection: str, queries: Floats, k: int) -> tuple[Floats, Ids]:
        """Finds at most 16,384 a query; beyond that the row is padded."""
        scores = np.full((len(queries), k), NO_SCORE, np.float32)
        ids = np.full((len(queries), k), NO_ID, np.int64)
        wanted = min(k, MOST)
        if wanted < 1:
            return scores, ids
        step = MOST // wanted  # queries in one message, to bound the answer
        for start in range(0, len(queries), step):
            nearest = partial(
                self._milvus.search,
                data=list(queries[start : start + step]),
                limit=wanted,
                output_fields=[ID],
                search_params={"metric_type": METRIC, "params": {"ef": max(LEAST_EF, wanted)}},
                timeout=SECONDS,
            )
            for row, hits in enumerate(self._in(collection, nearest), start):
                scores[row, : len(hits)] = [hit["distance"] for hit in hits]
                ids[row, : len(hits)] = [hit[ID] for hit in hits]
        return np.clip(scores, -1, 1, out=scores), ids

    def count(self, collection: str) -> int:
        counting = partial(
            self._milvus.query, filter="", output_fields=["count(*)"], timeout=SECONDS
        )
        return sum(int(row["count(*)"]) for row in self._in(collection, counting))

    def ids_between(self, collection: str, above: int, up_to: int) -> Ids:
        listing = partial(
            self._milvus.query,
            filter=f"{ID} > {above} and {ID} <= {up_to}",
            output_fields=[ID],
            limit=MOST,
            timeout=SECONDS,
        )
        return np.array([row[ID] for row in self._in(collection, listing)], np.int64)

    def collections(self) -> Sequence[str]:
        names = self._asked(partial(self._milvus.list_collections, timeout=SECONDS))
        return sorted(name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX))

    def drop(self, collection: str) -> None:
        name = PREFIX + collection
        self._asked(partial(self._milvus.drop_collection, name, timeout=SECONDS))

    def close(self) -> None:
        self._milvus.close()

    def _put(self, name: str, rows: list[dict[str, Any]]) -> None:
        upsert, dim = (
            partial(self._milvus.upsert, name, rows, timeout=SECONDS),
            len(rows[0][VECTOR]),
        )
        try:
            if self._if_there(name, upsert) is None:
                self._create(name, dim)
                self._asked(upsert)
        except Unavailable as error:
            if self._dim(name) not in (None, dim):
                raise ValueError(f"vectors of {dim} numbers do not fit {name}") from error
            raise

    def _dim(self, name: str) -> int | None:
        describe = partial(self._milvus.describe_collection, name, timeout=SECONDS)
        if (described := self._if_there(name, describe)) is None:
            return None
        (dim,) = (
            field["params"]["dim"] for field in described["fields"] if field["name"] == VECTOR
        )
        return int(dim)

    def _create(self, name: str, dim: int) -> None:
        schema = self._milvus.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field(ID, self._types.INT64, is_primary=True)
        schema.add_field(VECTOR, self._types.FLOAT_VECTOR, dim=dim)
        graph = self._milvus.prepare_index_params()
        graph.add_index(VECTOR, index_type="HNSW", metric_type=METRIC, params=GRAPH)
        self._asked(
            partial(
                self._milvus.create_collection,
                name,
                schema=schema,
                index_params=graph,
                consistency_level=CONSISTENCY,
                timeout=SECONDS,
            )
        )

    def _in(self, collection: str, call: Callable[[str], Sequence[T]]) -> Sequence[T]:
        """What `call` gives for the collection's name in Milvus; nothing where there is none."""
        name = PREFIX + collection
        return self._if_there(name, partial(call, name)) or ()

    def _if_there(self, name: str, call: Callable[[], T]) -> T | None:
        """None where the collection `name`, which `call` is about, does not exist."""
        try:
            return call()
        except self._faults as error:
            code = getattr(error, "code", None)
            if code == NOT_FOUND:
                return None
            if code != NOT_LOADED:
                raise Unavailable(FAILED) from error
        # Another replica is just making it, or somebody released it.
        self._asked(partial(self._milvus.load_collection, name, timeout=SECONDS))
        return self._asked(call)

    def _asked(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except self._faults as error:
            raise Unavailable(FAILED) from error
