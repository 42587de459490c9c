"""Vectors and crops encrypted at rest: in no file as they are, and only their key opens them."""

import base64
import secrets
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection, update

from app.entities import Contract
from app.errors import SettingsError, Unavailable
from app.store import collection_rows, face_rows, other_vectors, person_rows, tables
from app.store.face_rows import FaceToAdd
from app.store.sealing import CROP, EMBEDDING, OVERHEAD, Cipher, cipher_of
from app.store.store import Store, sqlite_url

DIM = 64
VECTOR = np.frombuffer(secrets.token_bytes(DIM), np.int8).astype(np.float32)
PNG = secrets.token_bytes(20_000)
TRACES = [VECTOR.tobytes()[:40], VECTOR.tobytes()[-40:], PNG[100:140], PNG[-40:]]


def key() -> Cipher:
    return Cipher(secrets.token_bytes(32))


def opened(folder: Path, cipher: Cipher | None) -> Store:
    return Store(sqlite_url(folder / "faces.db"), cipher)


def fill(store: Store) -> None:
    with store.write() as connection:
        collection_rows.add(connection, "people", Contract("c1", "model", DIM))
        person = person_rows.add(connection, 1, "ann", "Ann", {})
        ids = face_rows.add(connection, 1, person, [FaceToAdd(VECTOR, None, PNG)])
        other_vectors.begin(connection, 1, Contract("c2", "next", DIM))
        other_vectors.add(connection, ids, VECTOR[None] + 1)


def content(connection: Connection) -> tuple[list[float], list[float], bytes]:
    vectors = face_rows.vectors_after(connection, 1, 0, 10).embeddings
    others, pngs = other_vectors.sample(connection, [1])
    assert pngs == [face_rows.crop(connection, 1, 1)]
    return vectors[0].tolist(), others.embeddings[0].tolist(), pngs[0]


def whole(folder: Path, cipher: Cipher | None) -> bool:
    store = opened(folder, cipher)
    with store.read() as connection:
        found = content(connection)
    store.close()
    return found == (VECTOR.tolist(), (VECTOR + 1).tolist(), PNG)


def traces_in(folder: Path) -> list[bytes]:
    held = b"".join(file.read_bytes() for file in folder.iterdir())
    return [trace for trace in TRACES if trace in held]


def test_what_is_stored_is_in_no_file_as_it_is(tmp_path: Path):
    cipher = key()
    store = opened(tmp_path, cipher)
    fill(store)
    assert traces_in(tmp_path) == []
    store.close()
    assert traces_in(tmp_path) == []
    assert whole(tmp_path, cipher)


def test_a_store_without_a_key_holds_them_as_they_are(tmp_path: Path):
    store = opened(tmp_path, None)
    fill(store)
    assert traces_in(tmp_path) == TRACES
    store.close()


def test_another_key_and_none_are_refused(tmp_path: Path):
    cipher = key()
    opened(tmp_path, cipher).close()
    with pytest.raises(SettingsError, match="is encrypted: give its key"):
        opened(tmp_path, None)
    with pytest.raises(SettingsError, match="not the key"):
        opened(tmp_path, key())
    opened(tmp_path, cipher).close()


def test_a_key_for_what_is_not_encrypted_is_refused(tmp_path: Path):
    store = opened(tmp_path, None)
    fill(store)
    store.close()
    with pytest.raises(SettingsError, match="rotate-encryption-key"):
        opened(tmp_path, key())
    assert whole(tmp_path, None)


def test_keys_change_and_leave_nothing_behind(tmp_path: Path):
    first, second = key(), key()
    store = opened(tmp_path, None)
    fill(store)
    before: Cipher | None = None
    for after in (first, second, None):
        assert store.rotate(after) == 3
        store.close()
        assert (traces_in(tmp_path) == []) == (after is not None)
        assert whole(tmp_path, after)
        with pytest.raises(SettingsError):
            opened(tmp_path, before)
        store, before = opened(tmp_path, after), after
    store.close()


def test_a_change_of_key_that_fails_is_none(tmp_path: Path):
    cipher = key()
    store = opened(tmp_path, cipher)
    fill(store)
    with store.write() as connection:
        connection.execute(update(tables.crops).values(png=b"damaged"))
    with pytest.raises(Unavailable):  # at the crops, after the vectors
        store.rotate(key())
    store.close()
    again = opened(tmp_path, cipher)
    with again.read() as connection:
        vectors = face_rows.vectors_after(connection, 1, 0, 10).embeddings
    assert vectors.tolist() == [VECTOR.tolist()]
    again.close()


def test_what_was_changed_in_the_file_is_told_and_not_used(tmp_path: Path):
    store = opened(tmp_path, key())
    fill(store)
    with store.write() as connection:
        wrong = {"embedding": secrets.token_bytes(4 * DIM + OVERHEAD)}
        connection.execute(update(tables.faces).values(**wrong))
        connection.execute(update(tables.crops).values(png=secrets.token_bytes(20)))
    with store.read() as connection:
        assert face_rows.damaged(connection, 1, DIM) == [1]
        assert face_rows.crops_after(connection, 0, 5, damaged=True) == [(1, b"")]
        with pytest.raises(Unavailable, match="cannot be decrypted"):
            face_rows.vectors_after(connection, 1, 0, 10)
        with pytest.raises(Unavailable, match="cannot be decrypted"):
            face_rows.crop(connection, 1, 1)
    store.close()


def test_a_value_does_not_pass_for_one_of_another_kind():
    cipher = key()
    with pytest.raises(Unavailable):
        cipher.open(cipher.seal(b"value", CROP), EMBEDDING)
    assert cipher.open(cipher.seal(b"value", CROP), CROP) == b"value"
    assert cipher.seal(b"value", CROP) != cipher.seal(b"value", CROP)


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_key_is_written_in_base64(encode):
    raw = b"\xfb\xff" + secrets.token_bytes(30)
    sealed = Cipher(raw).seal(b"value", CROP)
    assert cipher_of(f"{encode(raw).decode()}\n", "KEY").open(sealed, CROP) == b"value"


@pytest.mark.parametrize("text", ["", "secret", "ü" * 44, base64.b64encode(b"x" * 16).decode()])
def test_what_is_no_key_is_refused_without_being_repeated(text: str):
    with pytest.raises(SettingsError, match="KEY must be 32 bytes in base64") as said:
        cipher_of(text, "KEY")
    assert not text or text not in str(said.value)
