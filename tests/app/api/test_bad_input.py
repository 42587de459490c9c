"""Every bad input has its code, and leaves nothing behind."""

import base64
import json
import re
import socket
import time
from collections.abc import Callable

import httpx
import pytest

from tests.app.api import photos

Stored = Callable[[], list[str]]

BAD_PICTURES = {
    "not an image": (b"%!PS-Adobe hello", 415, "unsupported_image"),
    "zero bytes": (b"", 415, "unsupported_image"),
    "animated": (photos.animated(), 415, "unsupported_image"),
    "truncated JPEG": (photos.truncated(), 422, "corrupt_image"),
    "60,000 x 60,000": (photos.huge_header(), 413, "image_too_large"),
    "too many bytes": (photos.one_face().ljust(1024 * 1024 + 1, b"\0"), 413, "image_too_large"),
    "no face": (photos.no_face(), 422, "no_face"),
    "many faces": (photos.six_faces(), 422, "several_faces"),
}


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["title"]
    return problem


@pytest.mark.parametrize("kind", BAD_PICTURES)
@pytest.mark.parametrize("as_json", [False, True], ids=["form", "json"])
def test_a_bad_picture_is_not_enrolled(http, collection, stored, kind, as_json):
    data, _, code = BAD_PICTURES[kind]
    before = stored()
    options = {"person": "ada", "collection": collection}
    if as_json:
        body = options | {"image": base64.b64encode(data).decode()}
        answer = http.post("/enroll", json=body)
    else:
        answer = http.post("/enroll", data=options, files={"image": ("ada.png", data)})
    problem = refused(answer, 422, code)
    filename = None if as_json else "ada.png"
    (refusal,) = problem["refused"]
    assert (refusal["index"], refusal["filename"], refusal["code"]) == (0, filename, code)
    assert refusal["detail"]
    assert (problem["index"], problem.get("filename")) == (0, filename)
    assert stored() == before


@pytest.mark.parametrize("kind", [kind for kind in BAD_PICTURES if "face" not in kind])
@pytest.mark.parametrize("path", ["/detect", "/align", "/embed", "/identify"])
def test_a_bad_picture_alone_is_the_answer(http, kind, path):
    data, status, code = BAD_PICTURES[kind]
    problem = refused(http.post(path, files={"image": ("x.jpg", data)}), status, code)
    assert (problem["index"], problem["filename"]) == (0, "x.jpg")


@pytest.mark.parametrize("make", [photos.cmyk, photos.grey_16_bit])
def test_uncommon_pictures_are_read(http, make):
    answer = http.post("/detect", files={"image": make()}).json()
    assert len(answer["results"][0]["faces"]) == 1


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/enroll", {"person": "ada", "collection": "nowhere"}, 404, "not_found"),
        ("/identify", {"collection": "nowhere"}, 404, "not_found"),
        ("/verify", {"person": "ada", "collection": "nowhere"}, 404, "not_found"),
        ("/verify", {"person": "nobody"}, 404, "not_found"),
        ("/collections/nowhere/people", {"id": "ada"}, 404, "not_found"),
        ("/collections/default/people/nobody/faces", {}, 404, "not_found"),
        ("/enroll", {"person": "../ada"}, 400, "bad_request"),
        ("/enroll", {"person": ""}, 400, "bad_request"),
        ("/enroll", {}, 400, "bad_request"),
        ("/verify", {}, 400, "bad_request"),
    ],
)
def test_a_good_picture_for_a_wrong_place(http, stored, path, body, status, code):
    before = stored()
    refused(http.post(path, data=body, files={"image": photos.one_face()}), status, code)
    assert stored() == before


def test_a_person_that_exists_is_a_conflict(http, collection, stored):
    path = f"/collections/{collection}/people"
    assert http.post(path, json={"id": "ada", "name": "Ada"}).status_code == 201
    before = stored()
    form = {"data": {"id": "ada", "name": "Other"}, "files": {"image": photos.one_face()}}
    refused(http.post(path, **form), 409, "conflict")
    assert stored() == before


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"person": "ada", ', "JSON"),
        (b"\xff\xfe", "JSON"),
        (b'["ada"]', "object"),
        (b"[" * 100_000, "JSON"),
        (b'{"person": "ada"}', "image"),
        (b'{"person": "ada", "image": "###"}', "image"),
        (b'{"person": "ada", "image": 5}', "image"),
        (b'{"person": 5, "image": ""}', "person"),
        (b'{"person": "ada", "image": "", "threshold": 1}', "threshold"),
        (b'{"person": "ada", "image": "", "faces": "all"}', "faces"),
        (b'{"person": "ada", "image": "", "metadata": {"a": 1}}', "metadata"),
        (b'{"person": "ada", "images": ["", "", "", "", ""]}', "images"),
    ],
)
def test_a_malformed_body_names_its_field(http, stored, body, named):
    before = stored()
    answer = http.post("/enroll", content=body, headers={"content-type": "application/json"})
    assert named in refused(answer, 400, "bad_request")["detail"]
    assert stored() == before


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/enroll", {"person": "ada", "metadata": "[" * 100_000}),
        ("/enroll", {"person": "ada", "metadata": "null "}),
        ("/identify", {"embeddings": "[" * 100_000}),
        ("/identify", {"embeddings": "null"}),
        ("/identify", {"top_k": "9" * 5000}),
        ("/detect", {"min_score": "nan"}),
    ],
)
def test_a_form_field_that_is_made_to_hurt(http, path, options):
    """A null stands for nothing given, and then it is the picture that is at fault."""
    answer = http.post(path, data=options, files={"image": b"no picture"})
    assert answer.status_code in {400, 415, 422}
    assert {*options, "image", "face"} & set(re.split(r"\W+", answer.text))


@pytest.mark.parametrize(
    ("path", "option"),
    [("/detect", "min_score"), ("/detect", "max_faces"), ("/identify", "top_k")],
)
def test_a_truth_value_is_no_number(http, path, option):
    answer = http.post(path, json={"image": "", option: True})
    assert option in refused(answer, 400, "bad_request")["detail"]


def test_a_refused_method_names_all_that_are_offered(http):
    assert http.options("/collections").headers["allow"] == "GET, POST"
    assert http.put("/collections/default/people/ada").headers["allow"] == "DELETE, GET, PATCH"


def test_too_many_pictures_in_a_form(http):
    files = [("image", photos.one_face())] * 5
    assert "4 pictures" in refused(http.post("/detect", files=files), 400, "bad_request")["detail"]


@pytest.mark.parametrize("announced", [True, False], ids=["content-length", "chunked"])
@pytest.mark.parametrize("path", ["/detect", "/collections"])
def test_a_request_beyond_the_limit_is_refused(http, stored, announced, path):
    before = stored()
    body = b" " * (3 * 1024 * 1024 + 1)
    headers = {"content-type": "application/json"}
    content = body if announced else iter([body[:1000], body[1000:]])
    refused(http.post(path, content=content, headers=headers), 413, "image_too_large")
    assert stored() == before


def test_a_form_beyond_the_limit_is_refused(http, stored):
    before = stored()
    files = [("image", photos.one_face().ljust(1024 * 1024, b"\0"))] * 3
    answer = http.post("/enroll", data={"person": "ada"}, files=files)
    assert "3 MiB" in refused(answer, 413, "image_too_large")["detail"]
    assert stored() == before


def test_a_caller_who_hangs_up_halfway_stores_nothing(http, url, stored):
    def hung_up() -> float:
        for line in http.get("/metrics").text.splitlines():
            if line.startswith("face_requests_total") and '"/enroll",status="499"' in line:
                return float(line.rpartition(" ")[2])
        return 0.0

    before, counted = stored(), hung_up()
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as caller:
        head = "POST /enroll HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n"
        caller.sendall(f"{head}content-type: application/json\r\n\r\n{{".encode())
    deadline = time.monotonic() + 10
    while hung_up() == counted and time.monotonic() < deadline:
        time.sleep(0.02)
    assert hung_up() == counted + 1
    assert stored() == before


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_wrong_content_type(http, kind):
    answer = http.post("/detect", content=b"image=x", headers={"content-type": kind})
    assert "content type" in refused(answer, 400, "bad_request")["detail"]


def test_an_option_given_twice(http):
    answer = http.post("/detect?min_score=0.5", json={"image": "", "min_score": 0.5})
    assert "min_score" in refused(answer, 400, "bad_request")["detail"]


@pytest.mark.parametrize(
    ("embedding", "named"),
    [
        ([1.0, 2.0], "embeddings.0"),
        ([0.0] * 256, "embeddings.0"),
        ("####", "embeddings.0"),
        ("AAAA", "embeddings.0"),
        ([float("nan")] * 256, "embeddings.0"),
        ([float("inf")] * 256, "embeddings.0"),
        (5, "embeddings"),
    ],
)
def test_a_bad_embedding_is_named(http, collection, stored, embedding, named):
    http.post(f"/collections/{collection}/people", json={"id": "ada"})
    before = stored()
    body = json.dumps({"embeddings": [embedding]})  # httpx refuses to write NaN
    headers = {"content-type": "application/json"}
    for path in ("/identify", f"/collections/{collection}/people/ada/faces"):
        answer = http.post(path, content=body, headers=headers)
        assert named in refused(answer, 400, "bad_request")["detail"]
    assert stored() == before
