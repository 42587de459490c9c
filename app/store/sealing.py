"""Encryption at rest of vectors and crops: AES-256-GCM (NIST SP 800-38D), by `cryptography`.

A sealed value is a nonce of 12 random bytes, the ciphertext, and a tag of 16. What kind of value it
is, is authenticated with it, so that none passes for one of another kind. Whether a store is sealed
is said by its table `encryption`, whose one row proves a key to be the right one.
"""

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, delete, insert, select

from app.errors import SettingsError, Unavailable
from app.store.tables import encryption, faces

KEY_BYTES = 32
NONCE = 12  # bytes
OVERHEAD = NONCE + 16  # bytes that a sealed value has more
EMBEDDING, CROP, PROOF = b"embedding", b"crop", b"proof"  # kinds
OPTION = "face_cipher"  # execution option of the engine


class Cipher:
    """Thread-safe."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, value: bytes, kind: bytes) -> bytes:
        nonce = os.urandom(NONCE)
        return nonce + self._aead.encrypt(nonce, value, kind)

    def open(self, sealed: bytes, kind: bytes) -> bytes:
        """Raises Unavailable for what was not sealed so, by this key."""
        try:
            return self._aead.decrypt(sealed[:NONCE], sealed[NONCE:], kind)
        except (InvalidTag, ValueError) as error:  # ValueError: too short to be one
            raise Unavailable("a stored value cannot be decrypted: restore a backup") from error


def cipher_of(text: str, where: str) -> Cipher:
    """Of a key as it is written: 32 bytes in base64. `where` names its setting or file."""
    try:
        key = base64.b64decode(text.strip(), altchars=b"-_" if set("-_") & set(text) else None)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingsError(
            f"{where} must be {KEY_BYTES} bytes in base64, as `openssl rand -base64 32` makes them"
        )
    return Cipher(key)


def cipher(connection: Connection) -> Cipher | None:
    """Of the store that the connection belongs to; None where it is not sealed."""
    found = connection.get_execution_options().get(OPTION)
    assert found is None or isinstance(found, Cipher)
    return found


def sealed(connection: Connection, value: bytes, kind: bytes) -> bytes:
    """As it is to be written."""
    key = cipher(connection)
    return value if key is None else key.seal(value, kind)


def opened(connection: Connection, value: bytes, kind: bytes) -> bytes:
    """As it was given to `sealed`."""
    key = cipher(connection)
    return value if key is None else key.open(value, kind)


def require_key(connection: Connection) -> None:
    """On opening a store: its key, and no other, or none where it has none."""
    given = cipher(connection)
    proof = connection.execute(select(encryption.c.proof)).scalar()
    match (given is not None, proof is not None):
        case (False, True):
            raise SettingsError(
                "the stored data is encrypted: give its key as FACE_ENCRYPTION_KEY_FILE or "
                "FACE_ENCRYPTION_KEY"
            )
        case (True, False) if connection.execute(select(faces.c.id).limit(1)).first():
            raise SettingsError(
                "a key is given, and the stored data is not encrypted: leave FACE_ENCRYPTION_KEY "
                "out and run `face rotate-encryption-key --new-key-file FILE`, which encrypts it"
            )
        case (True, False):
            put_proof(connection, given)
    if given is None or proof is None:
        return
    try:
        given.open(proof, PROOF)
    except Unavailable as error:
        raise SettingsError(
            "FACE_ENCRYPTION_KEY is not the key that the stored data is encrypted with"
        ) from error


def put_proof(connection: Connection, key: Cipher | None) -> None:
    """From now on the store is sealed with this key, or not at all."""
    connection.execute(delete(encryption))
    if key is not None:
        connection.execute(insert(encryption).values(id=1, proof=key.seal(b"", PROOF)))
