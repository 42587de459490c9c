from pathlib import Path

import pytest

from app.errors import SettingsError
from app.settings import Settings, read_settings


def test_defaults_are_loopback_and_the_limits_of_the_contract():
    settings = read_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.max_image_bytes == 10 * 1024 * 1024
    assert settings.max_image_pixels == 40_000_000
    assert (settings.max_images, settings.max_request_bytes) == (32, 64 * 1024 * 1024)


def test_the_environment_is_read_and_what_is_given_wins(monkeypatch):
    monkeypatch.setenv("FACE_PORT", "9000")
    monkeypatch.setenv("FACE_DATA_DIR", "/srv/faces")
    monkeypatch.setenv("FACE_THRESHOLD", "")  # empty is unset
    settings = read_settings({"port": 9001, "host": None})
    assert (settings.port, settings.host) == (9001, "127.0.0.1")
    assert settings.database == Path("/srv/faces/face.db")
    assert settings.threshold is None


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("FACE_PORT", "eighty", "FACE_PORT: "),
        ("FACE_THRESHOLD", "1.5", "FACE_THRESHOLD: "),
        ("FACE_RUNTIME", "tensorflow", "FACE_RUNTIME: "),
        ("FACE_PROT", "80", "did you mean FACE_PORT"),
        ("FACE_DETECTOR", "yunet", "FACE_DETECTOR_FILE"),
        ("FACE_MAX_REQUEST_BYTES", "1000", "FACE_MAX_IMAGE_BYTES"),
    ],
)
def test_a_bad_setting_is_named(monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said):
        read_settings()


def test_the_client_variables_are_no_misspellings(monkeypatch):
    monkeypatch.setenv("FACE_URL", "http://localhost:8000")
    monkeypatch.setenv("FACE_KEY", "secret")
    assert "secret" not in repr(read_settings())


def test_settings_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1
