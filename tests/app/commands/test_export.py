"""`face export` from a folder and from a running service, and `face import`."""

import os
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


def test_a_user_can_leave_and_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    model, data = str(write_tiny_model(tmp_path / "tiny.onnx")), tmp_path / "data"
    monkeypatch.setenv("FACE_MODEL_FILE", model)
    vectors = np.random.default_rng(0).standard_normal((2, 256)).tolist()
    with running_service(data, {**os.environ, "FACE_MODEL_FILE": model}) as url:
        people = f"{url}/collections/default/people"
        httpx.post(people, json={"id": "ada", "name": "Ada"})
        httpx.post(f"{people}/ada/faces", json={"embeddings": vectors})
        assert status("export", tmp_path / "served", "--url", url) == 0
    assert status("export", tmp_path / "local", "--data", data) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == ["1 collections, 1 people, 2 faces, 0 crops"] * 2
    for name in ("people.jsonl", "faces.jsonl", "vectors/1.npy"):
        served, local = ((tmp_path / place / name).read_bytes() for place in ("served", "local"))
        assert served == local
    assert sorted(entry.name for entry in (tmp_path / "served").iterdir()) == [
        *("collections.jsonl", "crops", "faces.jsonl", "manifest.json", "people.jsonl", "vectors")
    ]
    assert (tmp_path / "served").stat().st_mode & 0o077 == 0

    assert status("import", tmp_path / "served", "--data", tmp_path / "new") == 0
    assert status("people", "--data", tmp_path / "new") == 0
    assert "Ada" in capsys.readouterr().out
    assert status("import", tmp_path / "served", "--data", tmp_path / "new") == 1
    assert "exists already" in capsys.readouterr().err
    assert status("export", tmp_path / "local", "--data", data) == 1
    assert "is there already" in capsys.readouterr().err
    assert status("import", tmp_path / "absent", "--data", tmp_path / "other") == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not list(tmp_path.glob("*.part"))
