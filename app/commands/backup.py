"""`face backup`, `face restore` and `face verify-backup`."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from app.archive.backup import Manifest, backup_of, unpack
from app.archive.files import created, sync_folder, synced
from app.client import ClientError, FaceClient
from app.errors import BadRequest, Unavailable
from app.settings import Settings
from app.wiring import LOCK_FILE, FolderLock, open_store, require_folder


def from_service(file: Path, url: str, key: str | None) -> Manifest:
    def write(target: IO[bytes]) -> None:
        try:
            with FaceClient(url, key) as client:
                client.backup(target)
        except ClientError as exc:
            raise Unavailable(exc.detail) from exc

    return _written(file, write)


def from_folder(file: Path, settings: Settings) -> Manifest:
    def write(target: IO[bytes]) -> None:
        with open_store(settings) as store, store.snapshot() as snapshot:
            backup_of(snapshot).write(target)

    return _written(file, write)


def verify(file: Path) -> Manifest:
    """Raises BadRequest unless every byte of it is what was backed up."""
    with tempfile.TemporaryDirectory() as folder:
        return unpack(file, Path(folder) / "face.db")


def restore(file: Path, settings: Settings) -> Manifest:
    """Into a folder without data, whole or not at all."""
    require_folder(settings, "a backup")
    folder, database = settings.data_dir, settings.database
    existed = folder.exists()
    part = database.with_suffix(".part")
    lock = FolderLock(folder)
    try:
        part.unlink(missing_ok=True)  # of a restore that was killed
        if [entry.name for entry in folder.iterdir() if entry.name != LOCK_FILE]:
            raise BadRequest(f"{folder} is not empty; restore into another folder, or move it away")
        manifest = unpack(file, part)
        part.replace(database)
        sync_folder(folder)
    finally:
        lock.release()
        if not database.exists():
            (folder / LOCK_FILE).unlink(missing_ok=True)
            if not existed:
                folder.rmdir()
    return manifest


def sentence(manifest: Manifest) -> str:
    counts = ", ".join(f"{number} {noun}" for noun, number in manifest.counts.items())
    models = ", ".join(sorted({contract.model for contract in manifest.contracts})) or "no model"
    taken = f"{manifest.created_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{counts}; vectors of {models}; taken {taken}; sha256 {manifest.sha256}"


def _written(file: Path, write: Callable[[IO[bytes]], None]) -> Manifest:
    """An earlier backup of that name is replaced only by one that was proved whole."""
    part = file.with_name(f"{file.name}.part")
    try:
        part.unlink(missing_ok=True)
        with created(part) as target:
            write(target)
            synced(target)
        manifest = verify(part)
        part.replace(file)
        sync_folder(file.parent)
    except OSError as exc:
        raise BadRequest(f"{file} cannot be written: {exc.strerror}") from exc
    finally:
        part.unlink(missing_ok=True)
    return manifest
