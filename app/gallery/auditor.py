"""Writes lines into the audit log, those of callers who wait at the same time in one transaction.

A line is on disk when its caller goes on. What is a change of the store writes its line itself, in
its own transaction.
"""

from collections.abc import Sequence

from app.batching import MicroBatcher
from app.entities import Identification
from app.metrics import AUDIT_GROUP, stage
from app.store import audit_rows
from app.store.audit_rows import Act, SignedAct, signed
from app.store.store import Store

AT_ONCE = 64  # lines of one transaction
QUEUE = 1024  # lines that may wait; beyond that the answer is `busy`


class Auditor:
    """Thread-safe. While one commit runs, the lines that arrive become the next one together."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._batcher: MicroBatcher[SignedAct, None] = MicroBatcher(
            self._write_all,
            max_batch=AT_ONCE,
            max_queue=QUEUE,
            name="audit",
            observe=lambda size, _: AUDIT_GROUP.observe(size),
        )

    def write(self, act: Act) -> None:
        """Returns when it is on disk; for what is no change of the store by itself.

        Raises Busy when too many wait, else what the transaction of its group raised.
        """
        with stage("store"):
            # Signed here: the batcher's thread knows nothing of who is acting.
            self._batcher.submit(signed(act)).result()

    def identified(self, collection: str, answers: Sequence[Identification]) -> None:
        """Everyone whom the answers name: the recognised, and apart from them the ranked."""
        people = {
            answer.matches[0].person: None for answer in answers if answer.decision == "match"
        }
        ranked = {match.person: None for answer in answers for match in answer.matches}
        shown = [person for person in ranked if person not in people]
        self.write(Act("identify", collection, list(people), shown))

    def close(self) -> None:
        """Writes what waits. May be called twice."""
        self._batcher.close()

    def _write_all(self, acts: list[SignedAct]) -> list[None]:
        with self._store.write(timed=False) as connection:  # its callers time it, each its own
            audit_rows.append_all(connection, acts)
        return [None] * len(acts)
