"""What callers may call things: the one place that checks names, ids and notes."""

import unicodedata
from collections.abc import Mapping

from app.errors import BadRequest

ID_CHARACTERS = 128
NAME_CHARACTERS = 200
DESCRIPTION_CHARACTERS = 2000
METADATA_KEYS = 64
METADATA_KEY_CHARACTERS = 128
METADATA_VALUE_CHARACTERS = 4096

_ID_SIGNS = frozenset("._-@ ")


def checked_id(text: str, what: str) -> str:
    """The id of a person or the name of a collection, in Unicode's composed form (NFC).

    Composed, because some file systems hand out a folder's name decomposed: both spell one person.
    """
    text = unicodedata.normalize("NFC", text)
    if not 1 <= len(text) <= ID_CHARACTERS:
        raise BadRequest(f"{what} must have 1 to {ID_CHARACTERS} characters")
    # Letters, their combining marks, and numbers, of any script.
    if not all(sign in _ID_SIGNS or unicodedata.category(sign)[0] in "LMN" for sign in text):
        raise BadRequest(f"{what} may have letters, digits, spaces and the signs . _ - @ only")
    if text.startswith(".") or text != text.strip():
        raise BadRequest(f"{what} must not begin with a dot, nor begin or end with a space")
    return text


def checked_name(text: str) -> str:
    """A person's name as people read it: any signs, on one line."""
    text = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(text) <= NAME_CHARACTERS:
        raise BadRequest(f"a person's name must have 1 to {NAME_CHARACTERS} characters")
    return printable(text, "a person's name")


def checked_description(text: str) -> str:
    if len(text) > DESCRIPTION_CHARACTERS:
        raise BadRequest(f"a description may have {DESCRIPTION_CHARACTERS} characters at most")
    return _storable(text, "a description")


def checked_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    if len(metadata) > METADATA_KEYS:
        raise BadRequest(f"metadata may have {METADATA_KEYS} keys at most")
    for key, value in metadata.items():
        if not 1 <= len(key) <= METADATA_KEY_CHARACTERS:
            raise BadRequest(f"a metadata key must have 1 to {METADATA_KEY_CHARACTERS} characters")
        if len(value) > METADATA_VALUE_CHARACTERS:
            raise BadRequest(f"a metadata value may have {METADATA_VALUE_CHARACTERS} characters")
        _storable(key + value, "metadata")
    return dict(metadata)


def printable(text: str, what: str) -> str:
    """Text of one line."""
    # Control characters, and what breaks a line.
    if any(unicodedata.category(sign) in ("Cc", "Zl", "Zp") for sign in text):
        raise BadRequest(f"{what} must not have control characters")
    return _storable(text, what)


def _storable(text: str, what: str) -> str:
    # A null, and half of a surrogate pair, are taken by no database.
    if any(sign == "\0" or unicodedata.category(sign) == "Cs" for sign in text):
        raise BadRequest(f"{what} has characters that cannot be stored")
    return text
