"""The keys of callers. A key is `face_ID_SECRET`; the secret is told once, and stored as a hash."""

import hashlib
import hmac
import secrets
import threading
import time
from datetime import UTC, datetime

from limits import parse
from sqlalchemy import Connection

from app.entities import ApiKey, Role
from app.errors import BadRequest, NotFound
from app.names import checked_name
from app.store import audit_rows, key_rows
from app.store.audit_rows import Act
from app.store.key_rows import KeyRow
from app.store.store import Store

PREFIX = "face"
ID_BYTES = 6
SECRET_BYTES = 32
FRESH_SECONDS = 2.0  # as long another process's change of a key may go unnoticed


class Keyring:
    """Holds all keys in memory, so that a check costs a hash. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._one = threading.Lock()
        self._rows: dict[str, KeyRow] = {}
        self._read_at = float("-inf")
        self.refresh()

    @property
    def in_use(self) -> bool:
        """Whether a key is asked for: one was made. Revoking the last does not open the door."""
        return bool(self._rows)

    @property
    def stale(self) -> bool:
        return time.monotonic() - self._read_at > FRESH_SECONDS

    def refresh(self) -> None:
        """Reads them anew if need be."""
        with self._one:
            if self.stale:
                self._read()

    def find(self, token: str) -> ApiKey | None:
        """Whose key that is; None for one that is unknown or revoked."""
        prefix, _, rest = token.partition("_")
        id, _, secret = rest.partition("_")
        row = self._rows.get(id)
        if prefix != PREFIX or row is None or row.entity.revoked_at is not None:
            return None
        return row.entity if hmac.compare_digest(_hash(secret), row.sha256) else None

    def listed(self) -> list[ApiKey]:
        """The revoked too, oldest first."""
        with self._store.read() as connection:
            return [row.entity for row in key_rows.listed(connection)]

    def create_first(self, name: str) -> str | None:
        """An admin's key where none was ever made; of processes that ask at once, one gets it."""
        key, secret = _new_key(name, "admin", None)
        with self._one:
            with self._store.write() as connection:
                if key_rows.listed(connection):
                    return None
                _add(connection, key, secret)
            self._read()
        return _text(key, secret)

    def create(self, name: str, role: Role, rate: str | None = None) -> tuple[ApiKey, str]:
        """The key and its text, which is not kept and cannot be told again.

        `rate` is of the form 100/minute; each process counts for itself.
        """
        key, secret = _new_key(name, role, rate)
        with self._one:
            with self._store.write() as connection:
                _add(connection, key, secret)
            self._read()
        return key, _text(key, secret)

    def revoke(self, id: str) -> None:
        """Holds at once here, and within FRESH_SECONDS in other processes on the same store."""
        with self._one:
            with self._store.write() as connection:
                if not key_rows.revoke(connection, id):
                    raise NotFound(f"there is no key {id!r} in use")
                audit_rows.append(connection, Act(f"revoke key {id}"))
            self._read()

    def _read(self) -> None:
        with self._store.read() as connection:
            rows = key_rows.listed(connection)
        self._rows = {row.entity.id: row for row in rows}
        self._read_at = time.monotonic()


def _new_key(name: str, role: Role, rate: str | None) -> tuple[ApiKey, str]:
    """And its secret."""
    id, secret = secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES)
    return ApiKey(id, checked_name(name), role, datetime.now(UTC), _checked(rate)), secret


def _add(connection: Connection, key: ApiKey, secret: str) -> None:
    key_rows.add(connection, KeyRow(key, _hash(secret)))
    audit_rows.append(connection, Act(f"create key {key.id} {key.role}"))


def _text(key: ApiKey, secret: str) -> str:
    return f"{PREFIX}_{key.id}_{secret}"


def _checked(rate: str | None) -> str | None:
    try:
        if rate is not None:
            parse(rate)
    except ValueError as exc:
        raise BadRequest(f"rate: {rate!r} is not of the form 100/minute") from exc
    return rate


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
