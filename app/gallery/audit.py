"""The audit log as a whole: reading it, and proving that nobody changed it."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.entities import AuditLine
from app.errors import BadRequest
from app.store import audit_rows
from app.store.audit_rows import Head
from app.store.store import Store

CHUNK = 1000  # lines read at once


@dataclass(frozen=True)
class Verdict:
    """Noted elsewhere, the `head` of today proves a later cut or rewrite."""

    head: str  # NUMBER:HASH of the last line
    fault: str | None  # None: every line follows from the one before


class AuditLog:
    def __init__(self, store: Store) -> None:
        self._store = store

    def lines(self, after: int = 0, limit: int = CHUNK) -> list[AuditLine]:
        """Up to `limit` lines behind the number `after`."""
        with self._store.read() as connection:
            return [line for line, _ in audit_rows.after(connection, after, limit)]

    def verify(self, noted: str | None = None) -> Verdict:
        """Walks the whole chain; `noted` is a head that was told before and has to be in it."""
        known = None if noted is None else _head_of(noted)
        with self._store.read() as connection:
            head = audit_rows.head(connection)
        return Verdict(f"{head.seq}:{head.hash}", self._fault(head, known))

    def _fault(self, head: Head, noted: Head | None) -> str | None:
        last = Head(0, audit_rows.FIRST)
        for line, hash in self._walk(head.seq):
            if line.seq != last.seq + 1:
                return f"line {last.seq + 1} is missing"
            if audit_rows.chained(last.hash, line) != hash:
                return f"line {line.seq} was changed, or does not follow line {last.seq}"
            last = Head(line.seq, hash)
            if noted is not None and noted.seq == last.seq and noted != last:
                return f"line {last.seq} has not the hash that was noted"
        if noted is not None and noted.seq > last.seq:
            return f"it ends at line {last.seq}, and line {noted.seq} was noted"
        return None

    def _walk(self, up_to: int) -> Iterator[tuple[AuditLine, str]]:
        """Lines that are written meanwhile are not waited for."""
        seq = 0
        while seq < up_to:
            # A short transaction for each step: a long one would keep the log from being emptied.
            with self._store.read() as connection:
                step = audit_rows.after(connection, seq, min(CHUNK, up_to - seq))
            if not step:
                return
            yield from step
            seq = step[-1][0].seq


def _head_of(text: str) -> Head:
    seq, _, hash = text.partition(":")
    if not seq.isdecimal() or len(hash) != len(audit_rows.FIRST):
        raise BadRequest("a head of the audit log is of the form NUMBER:HASH")
    return Head(int(seq), hash)
