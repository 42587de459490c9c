"""The key that a container makes at its first start."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.gallery.keyring import Keyring
from app.settings import Settings
from app.store.store import Store, sqlite_url
from app.wiring import check_binding, make_first_key, open_store

AT_ONCE = 4


def test_it_is_made_once_and_opens_the_service(tmp_path: Path):
    settings = Settings(data_dir=tmp_path / "data", host="0.0.0.0")
    text = make_first_key(settings)
    assert text is not None
    assert make_first_key(settings) is None
    check_binding(settings)  # raises without a key
    with open_store(settings) as store:
        key = Keyring(store).find(text)
    assert key is not None
    assert key.role == "admin"


def test_none_is_made_where_none_is_asked_for(tmp_path: Path):
    assert make_first_key(Settings(data_dir=tmp_path / "data", auth="off")) is None
    assert not (tmp_path / "data").exists()


def test_a_revoked_key_is_not_replaced(tmp_path: Path):
    """Else whoever restarts the service would be let in again."""
    settings = Settings(data_dir=tmp_path / "data")
    with open_store(settings, create=True) as store:
        keyring = Keyring(store)
        keyring.revoke(keyring.create("operator", "admin")[0].id)
    assert make_first_key(settings) is None


def test_of_replicas_that_start_at_once_one_makes_it(tmp_path: Path):
    store = Store(sqlite_url(tmp_path / "faces.db"))
    rings = [Keyring(store) for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        made = list(pool.map(lambda ring: ring.create_first("first"), rings))
    store.close()
    assert sum(text is not None for text in made) == 1
