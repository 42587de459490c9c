"""`face rotate-encryption-key`: in a data folder that no service uses."""

from pathlib import Path

from app.errors import BadRequest
from app.settings import Settings
from app.wiring import forget_saved_index, open_store, read_key

NEW_KEY = "--new-key-file"


def rotate(settings: Settings, new_key_file: Path | None, *, decrypt: bool) -> str:
    """-> a sentence. All of it in one transaction: killed, it is as before."""
    if decrypt == (new_key_file is not None):
        raise BadRequest(f"give {NEW_KEY} FILE, or --decrypt")
    new = None if new_key_file is None else read_key(new_key_file, NEW_KEY)
    with open_store(settings) as store:
        count = store.rotate(new)
        forget_saved_index(settings)  # it holds codes of faces, unencrypted
    if new is None:
        return f"{count} vectors and crops are not encrypted any more; leave the key out now"
    return f"{count} vectors and crops are encrypted with the new key; start with that one now"
