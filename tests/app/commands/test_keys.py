"""`face keys` and `face audit`, in a folder and at a running service that listens to everybody."""

import json
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from app.cli import main
from app.commands.background import running_service
from app.errors import SettingsError
from app.settings import Settings
from app.wiring import check_binding
from tests.tiny_model import write_tiny_model

Face = Callable[..., tuple[int, str]]


@pytest.fixture
def face(capsys: pytest.CaptureFixture[str]) -> Face:
    """Runs `face ARGUMENTS` -> its exit status and what it printed."""

    def run(*arguments: str | Path) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return int(stopped.value.code or 0), (said.out or said.err).strip()

    return run


def test_keys_from_the_first_to_the_last(
    face: Face, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data, model = tmp_path / "data", str(write_tiny_model(tmp_path / "tiny.onnx"))
    exposed = Settings(data_dir=data, host="0.0.0.0")
    with pytest.raises(SettingsError, match="face keys create"):
        check_binding(exposed)
    assert not data.exists()

    status, admin = face("keys", "create", "me", "--role", "admin", "--data", data)
    assert status == 0
    assert re.fullmatch(r"face_[0-9a-f]{12}_[\w-]{43}", admin)
    check_binding(exposed)

    with running_service(data, {**os.environ, "FACE_MODEL_FILE": model}) as url:
        assert face("keys", "list", "--url", url) == (
            1,
            "a key is needed, as the header `Authorization: Bearer KEY`",
        )
        monkeypatch.setenv("FACE_KEY", admin)
        status, door = face("keys", "create", "door", "--rate", "9/minute", "--url", url)
        assert status == 0
        people = f"{url}/collections/default/people"
        headers = {"authorization": f"Bearer {door}"}
        assert httpx.get(people, headers=headers).status_code == 200
        assert httpx.post(people, headers=headers, json={"id": "ada"}).status_code == 403
        assert face("keys", "revoke", door.split("_")[1], "--url", url) == (0, "")
        assert httpx.get(people, headers=headers).status_code == 401
        httpx.post(
            people, headers={"authorization": f"Bearer {admin}"}, json={"id": "ada"}
        ).raise_for_status()
        listed = json.loads(face("keys", "list", "--json", "--url", url)[1])
        assert [(key["name"], key["role"], key["rate"]) for key in listed] == [
            ("me", "admin", None),
            ("door", "read", "9/minute"),
        ]
        _, at_service = face("audit", "list", "--url", url)
        status, head = face("audit", "verify", "--url", url)
        assert status == 0

    _, in_folder = face("audit", "list", "--data", data)
    assert in_folder == at_service
    actors = [json.loads(line)["actor"] for line in in_folder.splitlines()]
    assert actors == ["local", *[f"key:{admin.split('_')[1]}"] * 3]
    assert face("audit", "verify", "--noted", head, "--data", data) == (0, head)
    assert face("keys", "revoke", "nobody", "--data", data)[0] == 1
    assert face("keys", "revoke", admin.split("_")[1], "--data", data)[0] == 0
    assert "door" in face("keys", "list", "--data", data)[1]
    with pytest.raises(SettingsError, match="there is no key"):  # the last one was revoked
        check_binding(exposed)


def test_a_log_that_was_tampered_with_is_told(face: Face, tmp_path: Path):
    for name in ("one", "two"):
        face("keys", "create", name, "--data", tmp_path)
    with closing(sqlite3.connect(tmp_path / "face.db")) as database, database:
        database.execute("DROP TRIGGER audit_no_update")
        database.execute("UPDATE audit SET actor = 'key:other' WHERE seq = 1")
    status = face("audit", "verify", "--data", tmp_path)[0]
    assert status == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "create", "x", "--rate", "often"),
        ("keys", "create", "", "--role", "read"),
        ("keys", "create", "x", "--role", "king"),
        ("audit", "verify", "--noted", "nothing"),
    ],
)
def test_what_makes_no_sense_is_refused(face: Face, tmp_path: Path, arguments: tuple[str, ...]):
    face("keys", "create", "x", "--data", tmp_path)
    assert face(*arguments, "--data", tmp_path)[0] != 0
