"""Finding, fetching and checking weight files. Standard library only.

A file is trusted by its SHA-256: what the card pins is verified each time the file is found, and a
download is put in place only after its hash was right, so that a broken transfer leaves nothing.
"""

import hashlib
import os
import tempfile
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO

from models.catalog import ModelCard

FOLDER = Path(__file__).parent / "weights"
_CHUNK = 1 << 20  # bytes
_TIMEOUT = 30.0  # seconds without a byte


class WeightsError(Exception):
    """A weight file is absent, altered, or cannot be fetched; the text says what to do."""


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find(card: ModelCard, folder: Path | None = None) -> Path:
    """The card's file in `folder` (default: models/weights), verified against the card."""
    return _verified(folder or FOLDER, card.file, card.sha256, card.name)


def find_checkpoint(card: ModelCard, folder: Path | None = None) -> Path:
    """The card's PyTorch checkpoint, verified likewise."""
    return _verified(folder or FOLDER, card.checkpoint, card.checkpoint_sha256, card.name)


def fetch(card: ModelCard, folder: Path) -> Path:
    """Like `find`, but an absent file is downloaded from the card's url into `folder` first."""
    if card.file and card.url and not (folder / card.file).is_file():
        download(card.url, folder / card.file, card.sha256)
    return find(card, folder)


def download(url: str, target: Path, sha256: str) -> Path:
    """Fetches `url` over http(s) to `target` and checks its hash before it appears there."""
    if not url.startswith(("https://", "http://")):
        raise WeightsError(f"weights are downloaded over http or https, not from {url!r}")
    if not sha256:
        raise WeightsError(f"{target.name} has no sha256 to check a download against")
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            got = _copy(url, file)
        if got != sha256:
            raise WeightsError(f"{url} gave a file with sha256 {got}, expected {sha256}")
        part.chmod(0o644)  # mkstemp makes it private; another account may run the service
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _copy(url: str, file: BinaryIO) -> str:
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
            while chunk := answer.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
    except (OSError, HTTPException, ValueError) as exc:
        raise WeightsError(f"{url} could not be downloaded: {exc}") from exc
    return digest.hexdigest()


def _verified(folder: Path, file: str, sha256: str, name: str) -> Path:
    if not file:
        raise WeightsError(f"{name} has no such file of its own")
    path = folder / file
    if not path.is_file():
        raise WeightsError(f"the weights of {name} are missing: put {file} into {folder}")
    if sha256 and (got := sha256_of(path)) != sha256:
        raise WeightsError(
            f"{path} is altered: its sha256 is {got}, the card of {name} says {sha256}"
        )
    return path
