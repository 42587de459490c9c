"""`face fsck` in a folder and at a running service."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.cli import main
from app.commands.background import running_service
from tests.tiny_model import write_tiny_model


def status(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def test_a_service_and_its_folder_are_whole_until_they_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    model, data = str(write_tiny_model(tmp_path / "tiny.onnx")), tmp_path / "data"
    monkeypatch.setenv("FACE_MODEL_FILE", model)
    with running_service(data, {**os.environ, "FACE_MODEL_FILE": model}) as url:
        people = f"{url}/collections/default/people"
        httpx.post(people, json={"id": "ada"})
        vectors = np.random.default_rng(0).standard_normal((2, 256)).tolist()
        httpx.post(f"{people}/ada/faces", json={"embeddings": vectors})
        assert status("fsck", "--url", url) == 0
        said = capsys.readouterr().out
        assert "1 people, 2 faces" in said
        assert "fail" not in said
        assert status("fsck", "--repair", "--url", url) == 0
    assert status("fsck", "--data", data) == 0
    with closing(sqlite3.connect(data / "face.db")) as database, database:
        database.execute("UPDATE faces SET embedding = zeroblob(1024) WHERE id = 1")
    capsys.readouterr()
    assert status("fsck", "--repair", "--data", data) == 1
    assert "damaged: the faces 1" in capsys.readouterr().out
    (data / "face.db").write_bytes(b"no database" * 1000)
    assert status("fsck", "--data", data) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
