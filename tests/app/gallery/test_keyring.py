"""Keys: made, found by their text alone, revoked, and nowhere stored as they are."""

from pathlib import Path

import pytest

from app.errors import BadRequest, NotFound
from app.gallery import keyring
from app.gallery.audit import AuditLog
from app.gallery.keyring import Keyring
from app.store.store import Store, sqlite_url


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(sqlite_url(tmp_path / "faces.db"))
    yield opened
    opened.close()


def test_a_key_is_found_by_its_text_and_by_nothing_else(store: Store):
    keys = Keyring(store)
    assert not keys.in_use
    key, text = keys.create("door", "read")
    other, _ = keys.create("hall", "write")
    assert keys.in_use
    assert keys.find(text) == key
    secret = text.split("_", 2)[2]
    for wrong in ("", text[:-1], text + "x", secret, f"face_{other.id}_{secret}", text.upper()):
        assert keys.find(wrong) is None


def test_a_secret_is_long_and_not_in_any_file(store: Store, tmp_path: Path):
    keys = Keyring(store)
    texts = {keys.create("door", "read")[1] for _ in range(20)}
    assert len(texts) == 20
    held = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for text in texts:
        secret = text.split("_", 2)[2]
        assert len(secret) == 43  # 256 bits in base64
        assert secret.encode() not in held


def test_a_revoked_key_opens_nothing_and_keeps_its_place(store: Store):
    keys = Keyring(store)
    key, text = keys.create("door", "admin")
    keys.revoke(key.id)
    assert keys.find(text) is None
    assert keys.in_use  # else revoking the last key would open the door to anybody
    (listed,) = keys.listed()
    assert (listed.id, listed.name) == (key.id, "door")
    assert listed.revoked_at is not None
    for gone in (key.id, "nobody"):
        with pytest.raises(NotFound):
            keys.revoke(gone)


def test_another_process_sees_a_change_when_it_looks_again(store: Store, monkeypatch):
    here, there = Keyring(store), Keyring(store)
    key, text = here.create("door", "read")
    there.refresh()  # read a moment ago: it is not asked again
    assert there.find(text) is None
    monkeypatch.setattr(keyring, "FRESH_SECONDS", 0.0)
    there.refresh()
    assert there.find(text) == key


def test_making_and_revoking_is_logged_without_the_secret(store: Store):
    keys = Keyring(store)
    key, _ = keys.create("door", "write")
    keys.revoke(key.id)
    lines = AuditLog(store).lines()
    assert [line.action for line in lines] == [f"create key {key.id} write", f"revoke key {key.id}"]


def test_a_rate_is_checked_when_it_is_given(store: Store):
    keys = Keyring(store)
    assert keys.create("door", "read", "100/minute")[0].rate == "100/minute"
    with pytest.raises(BadRequest, match="rate"):
        keys.create("door", "read", "often")
