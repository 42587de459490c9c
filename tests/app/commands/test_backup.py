"""The commands about backups, as a shell runs them, in a folder and against a running service."""

import os
from pathlib import Path

import httpx
import pytest

from app.cli import main
from app.commands.background import running_service
from app.wiring import FolderLock
from tests.tiny_model import write_tiny_model


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    model = str(write_tiny_model(tmp_path / "tiny.onnx"))
    monkeypatch.setenv("FACE_MODEL_FILE", model)
    return {**os.environ, "FACE_MODEL_FILE": model}


def status(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def people(capsys: pytest.CaptureFixture[str], *place: str | Path) -> str:
    capsys.readouterr()
    assert status("people", "--json", *place) == 0
    return capsys.readouterr().out


def test_a_service_comes_back_from_its_backup(
    environment: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file, back = tmp_path / "b.tar", tmp_path / "back"
    with running_service(tmp_path / "data", environment) as url:
        httpx.post(f"{url}/collections/default/people", json={"id": "ada", "name": "Ada"})
        assert status("backup", file, "--url", url) == 0
        assert "1 people, 0 faces" in capsys.readouterr().out
        there = people(capsys, "--url", url)
    assert file.stat().st_mode & 0o077 == 0
    assert status("verify-backup", file) == 0
    assert status("restore", file, "--data", back) == 0
    assert sorted(entry.name for entry in back.iterdir()) == ["face.db", "face.lock"]
    assert people(capsys, "--data", back) == there
    again = tmp_path / "again.tar"
    assert status("backup", again, "--data", back) == 0
    assert "1 people, 0 faces" in capsys.readouterr().out
    assert "Ada" in there


def test_what_cannot_be_done_is_one_sentence_and_changes_nothing(
    environment: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data, file = tmp_path / "data", tmp_path / "b.tar"
    assert status("backup", file, "--data", data) == 1
    assert "nothing is stored" in capsys.readouterr().err
    assert not data.exists()
    people(capsys, "--data", data)
    assert status("backup", file, "--data", data) == 0
    whole = file.read_bytes()

    assert status("restore", file, "--data", data) == 1
    assert "not empty" in capsys.readouterr().err
    broken = tmp_path / "broken.tar"
    broken.write_bytes(whole[: len(whole) // 2])
    assert status("verify-backup", broken) == 1
    assert status("restore", broken, "--data", tmp_path / "new") == 1
    assert "not a whole backup" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()

    lock = FolderLock(data)
    assert status("backup", file, "--data", data) == 1
    lock.release()
    assert status("backup", file, "--url", "http://127.0.0.1:9") == 1
    assert file.read_bytes() == whole  # the earlier one stays
    assert status("backup", tmp_path / "absent" / "b.tar", "--data", data) == 1
    assert len(capsys.readouterr().err.splitlines()) == 3
    assert sorted(entry.name for entry in tmp_path.iterdir() if "tar" in entry.name) == [
        "b.tar",
        "broken.tar",
    ]
