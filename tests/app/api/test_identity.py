import base64
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.app.api import photos


def enroll(http, collection, person, *pictures, **options):
    files = [("image", (f"{i}.png", picture)) for i, picture in enumerate(pictures)]
    return http.post(
        "/enroll", files=files, data={"person": person, "collection": collection, **options}
    )


def identify(http, collection, *pictures, **options):
    files = [("image", picture) for picture in pictures]
    answer = http.post("/identify", files=files, data={"collection": collection, **options})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def embedding(http, picture):
    answer = http.post("/embed", files={"image": picture}, data={"faces": "largest"}).json()
    return answer["results"][0]["faces"][0]["embedding"]


def test_who_is_enrolled_is_found_and_a_stranger_is_unknown(http, collection):
    answer = enroll(http, collection, "ada", photos.one_face(), name="Ada L.")
    assert answer.status_code == 201
    body = answer.json()
    assert (body["person"]["name"], body["person"]["faces"], body["created"]) == ("Ada L.", 1, True)
    ((result,), (stranger, *_)) = (
        identify(http, collection, photos.one_face(), threshold="0.9")[0]["faces"],
        identify(http, collection, photos.six_faces(), threshold="0.9")[0]["faces"],
    )
    assert (result["decision"], result["threshold"]) == ("match", 0.9)
    best = result["matches"][0]
    assert (best["person"], best["name"]) == ("ada", "Ada L.")
    assert best["face"] == body["accepted"][0]["face"]["id"]
    assert best["score"] == pytest.approx(1, abs=1e-5)
    assert result["margin"] is None  # nobody is second
    assert stranger["decision"] == "unknown"
    assert stranger["matches"][0]["score"] < 0.9


def test_people_are_ranked_once_each_with_their_best_face(http, collection):
    both = enroll(http, collection, "ada", photos.one_face(), photos.same_face())
    assert both.json()["person"]["faces"] == 2
    group = enroll(http, collection, "group", photos.six_faces(), faces="largest")
    assert group.status_code == 201
    (face,) = identify(http, collection, photos.same_face())[0]["faces"]
    assert [match["person"] for match in face["matches"]] == ["ada", "group"]
    first, second = (match["score"] for match in face["matches"])
    assert face["margin"] == pytest.approx(first - second)
    (face,) = identify(http, collection, photos.same_face(), top_k="1")[0]["faces"]
    assert len(face["matches"]) == 1
    assert face["margin"] == pytest.approx(first - second)


def test_every_face_of_every_picture_is_asked(http, collection):
    enroll(http, collection, "ada", photos.one_face())
    pictures = (photos.six_faces(), photos.no_face(), photos.one_face())
    results = identify(http, collection, *pictures, threshold="0.99")
    assert [len(result["faces"]) for result in results] == [6, 0, 1]
    decisions = [face["decision"] for result in results for face in result["faces"]]
    assert decisions == ["unknown"] * 6 + ["match"]


def test_a_missing_collection_is_told_before_the_pictures_are_looked_at(http):
    answer = http.post("/identify", files={"image": b"no picture"}, data={"collection": "nobody"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_identify_in_an_empty_collection(http, collection):
    (face,) = identify(http, collection, photos.one_face())[0]["faces"]
    assert (face["decision"], face["matches"], face["margin"]) == ("unknown", [], None)


def test_identify_by_embeddings_of_both_encodings(http, collection):
    enroll(http, collection, "ada", photos.one_face())
    probe = embedding(http, photos.one_face())
    packed = base64.b64encode(np.array(probe, "<f4").tobytes()).decode()
    far = [5.0 * number for number in probe]  # its length does not matter
    body = {"collection": collection, "embeddings": [probe, packed, far]}
    results = http.post("/identify", json=body).json()["results"]
    assert [result["index"] for result in results] == [0, 1, 2]
    for result in results:
        (face,) = result["faces"]
        assert "box" not in face
        assert face["decision"] == "match"
        assert face["matches"][0]["score"] == pytest.approx(1, abs=1e-5)


def test_pictures_and_embeddings_are_not_mixed(http):
    body = {"image": base64.b64encode(photos.one_face()).decode(), "embeddings": [[1.0] * 256]}
    answer = http.post("/identify", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_verify_two_pictures(http):
    files = [("image", photos.one_face()), ("image", photos.one_face())]
    answer = http.post("/verify", files=files).json()
    assert (answer["same"], answer["decision"]) == (True, "same")
    assert answer["score"] == pytest.approx(1, abs=1e-5)
    files = [("image", photos.one_face()), ("image", photos.six_faces())]
    answer = http.post("/verify", files=files, data={"threshold": "0.9"}).json()
    assert (answer["same"], answer["decision"], answer["threshold"]) == (False, "different", 0.9)


def test_verify_of_two_pictures_goes_by_the_collections_threshold(http, collection):
    http.patch(f"/collections/{collection}", json={"threshold": 0.87})
    form = {"files": [("image", photos.one_face()), ("image", photos.one_face())]}
    answer = http.post("/verify", **form, data={"collection": collection}).json()
    assert answer["threshold"] == 0.87
    answer = http.post("/verify", **form, data={"collection": "nobody"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_verify_a_picture_against_a_person(http, collection):
    face = enroll(http, collection, "ada", photos.one_face()).json()["accepted"][0]["face"]["id"]
    data = {"person": "ada", "collection": collection}
    answer = http.post("/verify", files={"image": photos.one_face()}, data=data).json()
    assert (answer["same"], answer["face"]) == (True, face)


def test_verify_tells_which_picture_has_no_face(http):
    files = [("image", photos.one_face()), ("image", ("b.png", photos.no_face()))]
    problem = http.post("/verify", files=files).json()
    assert (problem["code"], problem["index"], problem["filename"]) == ("no_face", 1, "b.png")


@pytest.mark.parametrize("count", [1, 3])
def test_verify_wants_two_pictures(http, count):
    answer = http.post("/verify", files=[("image", photos.one_face())] * count)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_enroll_keeps_the_good_pictures_and_tells_of_the_rest(http, collection):
    pictures = (photos.no_face(), photos.one_face(), photos.six_faces(), b"no picture")
    answer = enroll(http, collection, "ada", *pictures)
    assert answer.status_code == 201
    body = answer.json()
    assert [(face["index"], face["filename"]) for face in body["accepted"]] == [(1, "1.png")]
    assert [(each["index"], each["code"]) for each in body["refused"]] == [
        (0, "no_face"),
        (2, "several_faces"),
        (3, "unsupported_image"),
    ]
    assert body["person"]["faces"] == 1


def test_refusals_that_disagree_are_low_quality_together(http, collection):
    answer = enroll(http, collection, "ada", photos.no_face(), photos.six_faces())
    assert (answer.status_code, answer.json()["code"]) == (422, "low_quality")
    assert [each["code"] for each in answer.json()["refused"]] == ["no_face", "several_faces"]


def test_enroll_again_adds_to_the_person(http, collection):
    enroll(http, collection, "ada", photos.one_face(), metadata='{"team": "blue"}')
    body = enroll(http, collection, "ada", photos.same_face()).json()
    assert (body["created"], body["person"]["faces"]) == (False, 2)
    assert body["person"]["metadata"] == {"team": "blue"}


def test_callers_at_once_get_their_own_answers(http, collection):
    enroll(http, collection, "ada", photos.one_face())
    enroll(http, collection, "group", photos.six_faces(), faces="largest")

    def ask(number: int) -> tuple[int, str]:
        picture = photos.six_faces() if number % 3 == 0 else photos.one_face()
        options = {"faces": "largest", "threshold": "0.99"}
        (face,) = identify(http, collection, picture, **options)[0]["faces"]
        return number, face["matches"][0]["person"]

    with ThreadPoolExecutor(12) as pool:
        answers = dict(pool.map(ask, range(24)))
    assert answers == {n: "group" if n % 3 == 0 else "ada" for n in range(24)}
