"""Through the HTTP API of a real process: the deleted are gone from every byte, a full disk loses
nothing that was acknowledged."""

import resource
import secrets
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np
import pytest

from tests.app.api import photos
from tests.process import environment_in, served

PEOPLE = "/collections/default/people"


def client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, timeout=30)


def keyed() -> dict[str, str]:
    return {"idempotency-key": f"key-{uuid4()}"}


def bytes_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def enrolled(http: httpx.Client, keys: list[str]) -> tuple[str, list[bytes]]:
    """A new person's id, and the bytes that may not be found of it later."""
    person, name, note, file = (f"secret-{secrets.token_hex(6)}" for _ in range(4))
    vector = np.random.default_rng().standard_normal(256)
    unit = (vector / np.linalg.norm(vector)).astype("<f4").tobytes()
    form = {"person": person, "name": name, "metadata": f'{{"note": "{note}"}}'}
    files = {"image": (f"{file}.png", photos.one_face())}
    for path, content in (
        ("/enroll", {"data": form, "files": files}),
        (f"{PEOPLE}/{person}/faces", {"json": {"embeddings": [vector.tolist()]}}),
    ):
        headers = keyed()
        keys.append(headers["idempotency-key"])
        answer = http.post(path, headers=headers, **content)
        assert answer.status_code == 201, answer.text
    number = answer.json()["accepted"][0]["face"]["id"] - 1
    crop = http.get(f"{PEOPLE}/{person}/faces/{number}/image").raise_for_status().content
    texts = [text.encode() for text in (name, note, file)]
    # A page of the database may end anywhere in a long value, so pieces of it are looked for.
    return person, [*texts, unit[100:132], unit[-32:], crop[-3000:-2968], crop[-200:-168]]


def test_nothing_of_a_deleted_person_is_left_in_any_file(tmp_path: Path):
    data, keys = tmp_path / "data", []
    log = tmp_path / "log"
    with served(environment_in(tmp_path), log) as (url, _), client(url) as http:
        http.patch("/collections/default", json={"keep_crops": True}).raise_for_status()
        gone, traces = enrolled(http, keys)
        _, kept = enrolled(http, keys)
        kept = kept[:-2]  # of the same picture, so the same crop
        there = bytes_in(data)
        # The name of a picture is in the stored answer only; and no key is ever written as it is.
        assert all(trace in there for trace in [*traces, *kept])
        assert [key for key in keys if key.encode() in there] == []

        http.patch(f"{PEOPLE}/{gone}", json={"name": "Somebody"}).raise_for_status()
        assert traces[0] not in bytes_in(data)  # nor in the answer that was given before
        headers = keyed()
        assert http.delete(f"{PEOPLE}/{gone}", headers=headers).status_code == 204
        other = http.get(PEOPLE).json()["items"][0]["id"]
        left = bytes_in(data)
        assert [trace for trace in traces[:-2] if trace in left] == []
        assert all(trace in left for trace in kept)
        assert http.delete(f"{PEOPLE}/{gone}", headers=headers).status_code == 204  # replayed

        http.delete(f"{PEOPLE}/{other}").raise_for_status()
        left = bytes_in(data)
        assert [trace for trace in [*traces, *kept] if trace in left] == []
        assert gone.encode() in left  # the id alone, in the audit log
    assert b"secret" not in log.read_bytes()


@pytest.fixture
def vectors() -> Iterator[list[list[float]]]:
    chance = np.random.default_rng(0)
    return iter(lambda: chance.standard_normal((40, 256)).tolist(), None)


def test_a_full_disk_loses_nothing_and_is_over_when_there_is_room(
    tmp_path: Path, vectors: Iterator[list[list[float]]]
):
    """A limit of the process on the size of its files stands for the disk."""
    environment, data = environment_in(tmp_path), tmp_path / "data"
    acknowledged = 0
    with served(environment, tmp_path / "log") as (url, process), client(url) as http:
        http.post(PEOPLE, json={"id": "ada"}).raise_for_status()
        before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        largest = max(file.stat().st_size for file in data.iterdir())
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest + 200_000, before[1]))
        for _ in range(50):
            body, headers = {"embeddings": next(vectors)}, keyed()
            answer = http.post(f"{PEOPLE}/ada/faces", json=body, headers=headers)
            if answer.status_code != 201:
                break
            acknowledged += len(body["embeddings"])
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert acknowledged > 0
        assert str(data) not in answer.text
        # Reading goes on, of just what was acknowledged; nobody is recognised without a line in
        # the audit log.
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1, before[1]))
        assert http.get(f"{PEOPLE}/ada").json()["faces"] == acknowledged
        probe = {"embeddings": body["embeddings"][:1]}
        refused = http.post("/identify", json=probe)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert http.get("/health/live").status_code == 200

        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)
        (face,) = http.post("/identify", json=probe).json()["results"][0]["faces"]
        assert face["matches"][0]["score"] < 0.9
        again = http.post(f"{PEOPLE}/ada/faces", json=body, headers=headers)
        assert again.status_code == 201, again.text
        acknowledged += len(body["embeddings"])
        process.kill()
    with served(environment, tmp_path / "log") as (url, _), client(url) as http:
        assert http.get(f"{PEOPLE}/ada").json()["faces"] == acknowledged
        assert http.post("/fsck").json()["ok"]
        found = http.post("/identify", json={"embeddings": body["embeddings"]}).json()
        scores = [each["faces"][0]["matches"][0]["score"] for each in found["results"]]
        assert min(scores) > 0.999
