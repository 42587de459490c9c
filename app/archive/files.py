"""Files that hold what is known of people: for their owner's eyes, and on disk when it is said."""

import os
from pathlib import Path
from typing import IO


def created(path: Path) -> IO[bytes]:
    """A new file to write, readable by its owner alone."""
    return open(path, "xb", opener=_private)


def synced(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """A new name is on disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
