"""A real service at its most talkative: nothing of a person is in its log, no picture is kept."""

import base64
import json
import secrets
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.cli import main
from app.store.store import Store, sqlite_url
from tests.app.api import photos
from tests.process import environment_in, served

PEOPLE = "/collections/default/people"


def bytes_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def everything_asked(http: httpx.Client, person: str, name: str, note: str, file: str) -> None:
    """Each kind of request about one person, and what goes wrong with such requests."""
    picture = {"image": (f"{file}.png", photos.one_face())}
    form = {"person": person, "name": name, "metadata": json.dumps({"note": note})}
    keyed = {"idempotency-key": f"key-{file}"}
    for _ in range(2):
        assert http.post("/enroll", data=form, files=picture, headers=keyed).status_code == 201
    vector = np.random.default_rng(7).standard_normal(256).tolist()
    path = f"{PEOPLE}/{person}"
    for method, where, said in (
        ("POST", "/identify", {"files": picture}),
        ("POST", "/identify", {"json": {"embeddings": [vector]}}),
        ("POST", "/verify", {"files": picture, "data": {"person": person}}),
        ("POST", "/embed", {"files": picture}),
        ("POST", f"{path}/faces", {"json": {"embeddings": [vector]}}),
        ("GET", path, {}),
        ("GET", PEOPLE, {"params": {"search": name}}),
        ("PATCH", path, {"json": {"name": f"{name} {note}"}}),
    ):
        assert http.request(method, where, **said).is_success
    for method, where, said in (
        ("GET", f"{path}-nobody", {}),
        ("GET", f"/{name}", {}),
        ("POST", f"/collections/{name}/people", {"json": {"id": person}}),
        ("POST", PEOPLE, {"json": {"id": person}}),
        ("POST", PEOPLE, {"json": {"id": f"{person}/{note}"}}),
        ("POST", PEOPLE, {"json": {name: note}}),
        ("POST", PEOPLE, {"content": f'{{"id": "{name}'.encode()}),
        ("POST", "/enroll", {"files": picture, "data": form, "headers": {"idempotency-key": name}}),
        ("POST", "/identify", {"files": {"image": (f"{file}.png", photos.truncated())}}),
        ("POST", "/identify", {"json": {"embeddings": [vector[:3]]}}),
        (
            "POST",
            "/identify",
            {"json": {"image": base64.b64encode(photos.no_face()[:99]).decode()}},
        ),
    ):
        http.request(method, where, **said)
    http.post("/fsck")
    http.get("/metrics")
    assert http.delete(path).status_code == 204


@pytest.mark.parametrize("level", ["debug", "info"])
def test_nothing_of_a_person_is_logged_or_left_lying_about(tmp_path: Path, level: str):
    person, name, note, file = (f"secret-{secrets.token_hex(6)}" for _ in range(4))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    # Also where ONNX Runtime would gather usage data before it sends them to its maker.
    elsewhere = dict.fromkeys(("TMPDIR", "HOME", "XDG_CACHE_HOME"), str(scratch))
    environment = environment_in(tmp_path) | elsewhere | {"FACE_LOG_LEVEL": level}
    with served(environment, tmp_path / "log") as (url, process):
        with httpx.Client(base_url=url, timeout=30) as http:
            everything_asked(http, person, name, note, file)
            metrics = http.get("/metrics").content
        process.terminate()
        process.wait()
    log = (tmp_path / "log").read_bytes()
    assert log.count(b"\n") > 20  # it does log
    texts = [text.encode() for text in (person, name, note, file)]
    picture, vector = photos.one_face(), np.random.default_rng(7).standard_normal(256)
    unit = (vector / np.linalg.norm(vector)).astype("<f4")
    numbers = [f"{value:.4f}"[:6].encode() for value in (*vector[:4], *unit[:4])]
    traces = [
        *texts,
        *numbers,
        picture[200:232],
        base64.b64encode(picture)[200:232],
        base64.b64encode(unit.tobytes())[8:40],
    ]
    assert [trace for trace in traces if trace in log] == []
    assert [text for text in texts if text in metrics] == []
    assert list(scratch.iterdir()) == []


def test_the_picture_itself_is_nowhere_and_a_crop_only_when_asked_for(tmp_path: Path):
    original = photos.same_face()  # a JPEG
    pieces = [original[at : at + 32] for at in range(700, len(original) - 32, 500)]
    with (
        served(environment_in(tmp_path), tmp_path / "log") as (url, _),
        httpx.Client(base_url=url, timeout=30) as http,
    ):
        for collection, kept in (("plain", False), ("with crops", True)):
            made = {"name": collection, "keep_crops": kept}
            http.post("/collections", json=made).raise_for_status()
            form = {"person": "ada", "collection": collection}
            answer = http.post("/enroll", data=form, files={"image": original}).raise_for_status()
            assert answer.json()["accepted"][0]["face"]["has_crop"] is kept
            http.post("/identify", files={"image": original}, data={"collection": collection})
            held = bytes_in(tmp_path / "data")
            assert [piece for piece in pieces if piece in held] == []
            assert (b"\x89PNG" in held) is kept


def test_vectors_and_crops_are_encrypted_with_the_key_and_all_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    first, second = tmp_path / "first.key", tmp_path / "second.key"
    for key in (first, second):
        key.write_text(base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
    data, export = tmp_path / "data", tmp_path / "export"
    environment = environment_in(tmp_path) | {"FACE_ENCRYPTION_KEY_FILE": str(first)}
    vector = np.random.default_rng(1).standard_normal(256)
    unit = (vector / np.linalg.norm(vector)).astype("<f4").tobytes()
    with (
        served(environment, tmp_path / "log") as (url, _),
        httpx.Client(base_url=url, timeout=30) as http,
    ):
        http.patch("/collections/default", json={"keep_crops": True}).raise_for_status()
        http.post("/enroll", data={"person": "ada"}, files={"image": photos.one_face()})
        http.post(f"{PEOPLE}/ada/faces", json={"embeddings": [vector.tolist()]}).raise_for_status()
        crop = http.get(f"{PEOPLE}/ada/faces/1/image").raise_for_status().content
        assert http.post("/fsck").json()["ok"]
        backup = http.post("/backup").content
    traces = [unit[:40], unit[-40:], crop[200:240], crop[-60:-20], b"\x89PNG"]
    assert [trace for trace in traces if trace in bytes_in(data) + backup] == []

    monkeypatch.setenv("FACE_DATA_DIR", str(data))
    monkeypatch.setenv("FACE_MODEL_FILE", environment["FACE_MODEL_FILE"])
    assert status("people") == 1
    assert "is encrypted: give its key" in capsys.readouterr().err
    monkeypatch.setenv("FACE_ENCRYPTION_KEY_FILE", str(second))
    assert status("people") == 1
    assert "not the key" in capsys.readouterr().err
    monkeypatch.setenv("FACE_ENCRYPTION_KEY_FILE", str(first))
    assert status("rotate-encryption-key") == 1
    assert "--new-key-file" in capsys.readouterr().err
    (data / "index.npz").write_bytes(b"codes of faces")  # of a start without a key
    assert status("rotate-encryption-key", "--new-key-file", str(second)) == 0
    assert not (data / "index.npz").exists()
    assert "3 vectors and crops are encrypted" in capsys.readouterr().out

    environment["FACE_ENCRYPTION_KEY_FILE"] = str(second)
    with (
        served(environment, tmp_path / "log") as (url, _),
        httpx.Client(base_url=url, timeout=30) as http,
    ):
        found = http.post("/identify", json={"embeddings": [vector.tolist()]}).json()
        assert found["results"][0]["faces"][0]["matches"][0]["score"] > 0.999
        assert http.get(f"{PEOPLE}/ada/faces/1/image").content == crop
    assert [trace for trace in traces if trace in bytes_in(data)] == []

    monkeypatch.delenv("FACE_ENCRYPTION_KEY_FILE")
    monkeypatch.setenv("FACE_ENCRYPTION_KEY", second.read_text())
    assert status("export", str(export)) == 0  # for other programs, so not encrypted
    assert (export / "crops" / "1.png").read_bytes() == crop
    assert status("rotate-encryption-key", "--decrypt") == 0
    monkeypatch.delenv("FACE_ENCRYPTION_KEY")
    assert status("fsck") == 0
    assert unit[:40] in bytes_in(data)


def test_a_service_deletes_what_was_kept_long_enough(tmp_path: Path):
    environment = environment_in(tmp_path) | {"FACE_RETENTION_DAYS": "30"}
    with (
        served(environment, tmp_path / "log") as (url, process),
        httpx.Client(base_url=url, timeout=30) as http,
    ):
        for person in ("old", "new"):
            http.post("/enroll", data={"person": person}, files={"image": photos.one_face()})
        process.terminate()
        process.wait()
    store = Store(sqlite_url(tmp_path / "data" / "face.db"))
    with store.write() as connection:
        then = "'2020-01-01 00:00:00.000000'"
        connection.exec_driver_sql(f"UPDATE faces SET created_at = {then} WHERE id = 1")
        connection.exec_driver_sql(f"UPDATE people SET updated_at = {then} WHERE id = 1")
    store.close()
    with (
        served(environment, tmp_path / "log") as (url, _),
        httpx.Client(base_url=url, timeout=30) as http,
    ):
        for _ in range(200):
            people = http.get(PEOPLE).json()["items"]
            if len(people) == 1:
                break
        assert [person["id"] for person in people] == ["new"]
        found = http.post("/identify", files={"image": photos.one_face()}).json()
        matches = found["results"][0]["faces"][0]["matches"]
        assert [match["person"] for match in matches] == ["new"]


def status(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    return int(stopped.value.code or 0)
