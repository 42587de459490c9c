"""The Idempotency-Key header, over a real socket."""

import threading
from uuid import uuid4

import numpy as np
import pytest

from tests.app.api import photos


def keyed(key: str | None = None) -> dict[str, str]:
    return {"idempotency-key": key or str(uuid4())}


def embeddings(seed: int) -> dict[str, list[list[float]]]:
    return {"embeddings": [np.random.default_rng(seed).standard_normal(256).tolist()]}


def heard(answer):
    return answer.status_code, answer.content, answer.headers.get("content-type")


def test_an_enrolment_that_is_sent_again_is_answered_again(http, collection):
    form = {"data": {"person": "ada", "collection": collection}, "headers": keyed()}
    files = {"image": ("ada.png", photos.one_face())}
    first = http.post("/enroll", files=files, **form)
    again = http.post("/enroll", files=files, **form)  # in another boundary
    assert heard(first) == heard(again)
    assert first.status_code == 201
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert http.get(f"/collections/{collection}/people/ada").json()["faces"] == 1


def test_every_change_can_be_sent_again(http, collection):
    people = f"/collections/{collection}/people"
    for method, path, body in (
        ("POST", "/collections", {"name": f"{collection}-other"}),
        ("PATCH", f"/collections/{collection}-other", {"threshold": 0.5}),
        ("POST", people, {"id": "ada", "metadata": {"a": "b"}}),
        ("PATCH", f"{people}/ada", {"name": "Ada"}),
        ("POST", f"{people}/ada/faces", embeddings(1)),
        ("DELETE", "face", None),
        ("DELETE", f"{people}/ada", None),
        ("DELETE", f"/collections/{collection}-other", None),
    ):
        if path == "face":
            (face,) = http.get(f"{people}/ada/faces").json()["items"]
            path = f"{people}/ada/faces/{face['id']}"
        headers = keyed()
        first = http.request(method, path, json=body, headers=headers)
        again = http.request(method, path, json=body, headers=headers)
        assert first.is_success, first.text
        assert heard(first) == heard(again)
        assert again.headers["idempotency-replayed"] == "true"


def test_without_a_key_every_request_is_a_new_one(http, collection):
    path = f"/collections/{collection}/people"
    assert http.post(path, json={"id": "ada"}).status_code == 201
    assert http.post(path, json={"id": "ada"}).status_code == 409


def test_a_key_that_was_used_for_another_request_is_a_conflict(http, collection):
    path, headers = f"/collections/{collection}/people", keyed()
    assert http.post(path, json={"id": "ada"}, headers=headers).status_code == 201
    for method, where, body in (
        ("POST", path, {"id": "bob"}),
        ("POST", "/collections", {"name": "bob"}),
        ("DELETE", f"{path}/ada", None),
    ):
        answer = http.request(method, where, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert "Idempotency-Key" in answer.json()["detail"]
    assert [each["id"] for each in http.get(path).json()["items"]] == ["ada"]


def test_what_failed_may_be_tried_again_under_its_key(http, collection):
    path, headers = f"/collections/{collection}/people/ada/faces", keyed()
    assert http.post(path, json=embeddings(2), headers=headers).status_code == 404
    http.post(f"/collections/{collection}/people", json={"id": "ada"})
    answer = http.post(path, json=embeddings(2), headers=headers)
    assert answer.status_code == 201
    assert "idempotency-replayed" not in answer.headers


@pytest.mark.parametrize("change", ["delete", "rename", "delete the collection"])
def test_an_answer_is_not_kept_longer_than_what_it_tells(http, collection, change):
    path, headers = f"/collections/{collection}/people", keyed()
    body = {"id": "ada", "name": "Ada of Old"}
    assert http.post(path, json=body, headers=headers).status_code == 201
    match change:
        case "delete":
            http.delete(f"{path}/ada")
        case "rename":
            http.patch(f"{path}/ada", json={"name": "Ada of New"})
        case _:
            http.delete(f"/collections/{collection}")
    answer = http.post(path, json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "carried out" in answer.json()["detail"]
    if change == "delete":  # and a late repetition does not bring her back
        assert http.get(f"{path}/ada").status_code == 404


@pytest.mark.parametrize("key", ["", "two words", "x" * 256])
def test_a_key_of_another_form_is_refused(http, collection, key):
    headers = {"idempotency-key": key}
    answer = http.post(f"/collections/{collection}/people", json={"id": "ada"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert "idempotency-key" in answer.json()["detail"].lower()


def test_one_key_from_many_at_once_is_one_change(http, collection):
    path, headers, heard_by = f"/collections/{collection}/people", keyed(), []
    http.post(path, json={"id": "ada"})

    def send() -> None:
        heard_by.append(heard(http.post(f"{path}/ada/faces", json=embeddings(3), headers=headers)))

    _at_once(send)
    assert len(set(heard_by)) == 1
    assert heard_by[0][0] == 201
    assert http.get(f"{path}/ada").json()["faces"] == 1


def test_one_person_enrolled_by_many_at_once_is_one_person(http, collection):
    answers = []

    def enrol() -> None:
        form = {"data": {"person": "ada", "collection": collection}, "headers": keyed()}
        answers.append(http.post("/enroll", files={"image": photos.one_face()}, **form))

    _at_once(enrol)
    assert {answer.status_code for answer in answers} == {201}
    assert [answer.json()["created"] for answer in answers].count(True) == 1
    (ada,) = http.get(f"/collections/{collection}/people").json()["items"]
    assert ada["faces"] == len(answers)


def _at_once(work) -> None:
    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
