"""A backup: one tar file of two members, `manifest.json` and then `face.db`.

The database is a consistent copy, taken while the service goes on, with people, vectors and crops.
The manifest says what has to be in it, so a backup can be proved whole without a service, and any
`tar` and `sqlite3` can open it.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from app.archive.files import created, synced
from app.errors import BadRequest
from app.store import migrate, snapshot

MANIFEST = "manifest.json"
DATABASE = "face.db"
MAX_MANIFEST = 1024 * 1024
CHUNK = 1024 * 1024
BLOCK = tarfile.BLOCKSIZE


class ContractOut(BaseModel):
    id: str
    model: str
    dim: int


class Manifest(BaseModel):
    model_config = ConfigDict(frozen=True)

    format: Literal["face-backup"] = "face-backup"
    version: Literal[1] = 1
    created_at: datetime
    schema_revision: str  # revision of the migrations
    counts: dict[str, int]  # rows of collections, people, faces, crops
    contracts: list[ContractOut]  # that the vectors are of
    bytes: int  # of the database
    sha256: str


@dataclass(frozen=True)
class Backup:
    """A backup on its way out. Its database has no name in any folder any more."""

    manifest: Manifest
    database: IO[bytes]

    @property
    def size(self) -> int:
        """Bytes of the tar file."""
        members = len(self._manifest_bytes()), self.manifest.bytes
        # Each with a header, and two blocks of zeros at the end.
        return sum(BLOCK + size + _padding(size) for size in members) + 2 * BLOCK

    @property
    def filename(self) -> str:
        return f"face-{self.manifest.created_at:%Y%m%dT%H%M%SZ}.tar"

    def stream(self) -> Iterator[bytes]:
        """The tar file in pieces; closes the database at its end."""
        head = self._manifest_bytes()
        with self.database:
            yield self._header(MANIFEST, len(head)) + head + bytes(_padding(len(head)))
            yield self._header(DATABASE, self.manifest.bytes)
            while piece := self.database.read(CHUNK):
                yield piece
            yield bytes(_padding(self.manifest.bytes) + 2 * BLOCK)

    def write(self, file: IO[bytes]) -> None:
        for piece in self.stream():
            file.write(piece)

    def _manifest_bytes(self) -> bytes:
        return self.manifest.model_dump_json(indent=2).encode()

    def _header(self, name: str, size: int) -> bytes:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        member.mtime = int(self.manifest.created_at.timestamp())
        return member.tobuf(tarfile.GNU_FORMAT)  # GNU: sizes beyond 8 GiB in one header block


def backup_of(database: Path) -> Backup:
    """Of a snapshot, whose file may be unlinked afterwards."""
    facts = snapshot.facts_of(database)
    opened = database.open("rb")
    try:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
        opened.seek(0)
        contracts = [ContractOut(id=c.id, model=c.model, dim=c.dim) for c in facts.contracts]
        manifest = Manifest(
            created_at=datetime.now(UTC),
            schema_revision=facts.schema,
            counts=facts.counts,
            contracts=contracts,
            bytes=os.fstat(opened.fileno()).st_size,
            sha256=sha256,
        )
    except BaseException:
        opened.close()
        raise
    return Backup(manifest, opened)


def unpack(backup: Path, database: Path) -> Manifest:
    """Write the database of a backup to a new file, on disk when this returns, and prove it whole.

    Raises BadRequest, and leaves no file, for one that is cut, changed, or of a newer version.
    """
    try:
        manifest = _unpack(backup, database)
        facts = snapshot.facts_of(database)
        snapshot.require_whole(database)
        if facts.counts != manifest.counts or facts.schema != manifest.schema_revision:
            raise BadRequest("its manifest speaks of another database")
        if facts.schema not in migrate.known():
            raise BadRequest("it was made by a newer version of this service")
    except OSError as exc:
        database.unlink(missing_ok=True)
        raise BadRequest(f"{backup.name} cannot be unpacked: {exc.strerror}") from exc
    except (BadRequest, tarfile.TarError, ValidationError) as exc:
        database.unlink(missing_ok=True)
        said = exc if isinstance(exc, BadRequest) else "it is cut, or of another form"
        raise BadRequest(f"{backup.name} is not a whole backup: {said}") from exc
    return manifest


def _unpack(backup: Path, database: Path) -> Manifest:
    with tarfile.open(backup, "r:") as tar:
        head, body = tar.next(), tar.next()
        if head is None or body is None or (head.name, body.name) != (MANIFEST, DATABASE):
            raise BadRequest("it lacks its manifest or its database")
        if head.size > MAX_MANIFEST:
            raise BadRequest("its manifest is too large to be one")
        manifest = Manifest.model_validate_json(_member(tar, head).read())
        with created(database) as file:
            sha256 = _copy(_member(tar, body), file)
            synced(file)
    if sha256 != manifest.sha256:
        raise BadRequest("its sha256 is not the one of its manifest")
    return manifest


def _member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    return tar.extractfile(member) or io.BytesIO()


def _copy(source: IO[bytes], target: IO[bytes]) -> str:
    """-> sha256 of what was copied."""
    digest = hashlib.sha256()
    while piece := source.read(CHUNK):
        digest.update(piece)
        target.write(piece)
    return digest.hexdigest()


def _padding(size: int) -> int:
    """Zeros that fill up a member to whole blocks."""
    return -size % BLOCK
