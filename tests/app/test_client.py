import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.client import ClientError, FaceClient
from app.settings import Settings
from tests.app.api import photos
from tests.app.api.service import running
from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaceClient]:
    folder = tmp_path_factory.mktemp("client")
    model = write_tiny_model(folder / "tiny.onnx")
    settings = Settings(data_dir=folder / "data", model_file=model, threads=1)
    with running(settings) as url, FaceClient(f"{url}/", key="of-no-use-yet") as client:
        yield client


def test_health_and_models(client):
    assert client.health().status == "ok"
    assert client.models().detector == "centerface"


def test_pictures_as_bytes_and_as_files(client, tmp_path: Path):
    file = tmp_path / "ada.png"
    file.write_bytes(photos.one_face())
    answer = client.detect([file, str(file), photos.one_face()], max_faces=1)
    assert [result.filename for result in answer.results] == ["ada.png", "ada.png", "image"]
    boxes = [result.faces[0].box for result in answer.results]
    assert boxes[0] == boxes[1] == boxes[2]
    assert client.align([file]).results[0].faces[0].crop


def test_enrol_identify_verify_and_forget(client):
    client.create_collection("staff", threshold=0.9, keep_crops=True)
    enrolled = client.enroll(
        "ada", [photos.one_face(), photos.no_face()], name="Ada", collection="staff"
    )
    assert (enrolled.person.name, enrolled.refused[0].code) == ("Ada", "no_face")
    (face,) = client.identify([photos.one_face()], collection="staff", top_k=1).results[0].faces
    assert (face.decision, face.matches[0].person) == ("match", "ada")
    embedding = client.embed([photos.one_face()], faces="largest").results[0].faces[0].embedding
    (face,) = client.identify_embeddings([embedding], collection="staff").results[0].faces
    assert (face.box, face.decision) == (None, "match")
    assert client.verify(photos.one_face(), photos.one_face()).same
    assert client.verify_person(photos.one_face(), "ada", collection="staff").same
    (stored,) = client.faces("ada", "staff")
    assert client.crop("ada", stored.id, "staff").startswith(b"\x89PNG")
    assert client.rename_person("ada", "Ada L.", "staff").name == "Ada L."
    client.delete_face("ada", stored.id, "staff")
    assert client.person("ada", "staff").faces == 0
    client.delete_person("ada", "staff")
    assert list(client.people("staff")) == []
    client.delete_collection("staff")
    assert [each.name for each in client.collections()] == ["default"]


def test_base64_embeddings_are_the_same_numbers(client):
    plain = client.embed([photos.one_face()]).results[0].faces[0].embedding
    packed = client.embed([photos.one_face()], encoding="base64").results[0].faces[0].embedding
    np.testing.assert_array_equal(
        np.frombuffer(base64.b64decode(packed), "<f4"), np.array(plain, np.float32)
    )


def test_a_collection_is_changed_in_part(client):
    client.create_collection("parts", threshold=0.5, description="first")
    assert client.update_collection("parts", description="second").threshold == 0.5
    changed = client.update_collection("parts", threshold=None)
    assert (changed.threshold, changed.description) == (None, "second")


def test_people_are_read_page_by_page(client, monkeypatch):
    client.create_collection("many")
    for number in range(5):
        client.create_person(f"p {number}", collection="many")
    monkeypatch.setattr("app.client.PAGE", 2)
    assert [person.id for person in client.people("many")] == [f"p {n}" for n in range(5)]
    assert [person.id for person in client.people("many", search="3")] == ["p 3"]


def test_a_problem_is_an_error_with_its_code(client):
    with pytest.raises(ClientError, match="nobody") as caught:
        client.person("nobody")
    assert (caught.value.code, caught.value.status) == ("not_found", 404)


def test_an_enrolment_of_nothing_tells_of_each_picture(client):
    with pytest.raises(ClientError) as caught:
        client.enroll("eve", [photos.no_face(), b"no picture"])
    assert [refusal.code for refusal in caught.value.refused] == ["no_face", "unsupported_image"]


def test_nobody_there():
    with FaceClient("http://127.0.0.1:9") as client, pytest.raises(ClientError) as caught:
        client.health()
    assert (caught.value.code, caught.value.status) == ("unreachable", 0)


def test_another_service_there(client):
    with FaceClient(f"{client.url}/docs") as other, pytest.raises(ClientError) as caught:
        other.health()
    assert caught.value.status == 404
