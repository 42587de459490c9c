from tests.app.api import photos


def code(answer):
    return answer.status_code, answer.json()["code"]


def test_default_exists_and_stays(http):
    names = [each["name"] for each in http.get("/collections").json()["items"]]
    assert "default" in names
    assert code(http.delete("/collections/default")) == (409, "conflict")


def test_a_collection_is_made_changed_and_deleted(http):
    made = http.post("/collections", json={"name": "staff", "threshold": 0.5})
    assert made.status_code == 201
    assert (made.json()["threshold"], made.json()["keep_crops"]) == (0.5, False)
    changed = http.patch("/collections/staff", json={"keep_crops": True}).json()
    assert (changed["threshold"], changed["keep_crops"]) == (0.5, True)
    changed = http.patch("/collections/staff", json={"threshold": None}).json()
    assert (changed["threshold"], changed["keep_crops"]) == (None, True)
    assert http.delete("/collections/staff").status_code == 204
    assert code(http.get("/collections/staff")) == (404, "not_found")


def test_the_same_name_twice_is_a_conflict(http, collection):
    answer = http.post("/collections", json={"name": collection, "description": "other"})
    assert code(answer) == (409, "conflict")
    assert http.get(f"/collections/{collection}").json()["description"] == ""


def test_a_wrong_body_names_its_field(http):
    for body, named in (
        ({}, "name"),
        ({"name": "x", "threshold": 2}, "threshold"),
        ({"name": "x", "threshold": True}, "threshold"),
        ({"name": "x", "retention_days": True}, "retention_days"),
        ({"name": "x", "color": "red"}, "color"),
        ({"name": "a/b"}, "name"),
    ):
        answer = http.post("/collections", json=body)
        assert code(answer) == (400, "bad_request")
        assert named in answer.json()["detail"]


def test_malformed_json_is_a_bad_request(http):
    answer = http.post("/collections", content=b"{", headers={"content-type": "application/json"})
    assert code(answer) == (400, "bad_request")


def test_its_threshold_decides(http, collection):
    asked = {"files": {"image": photos.one_face()}, "data": {"collection": collection}}
    http.post("/enroll", files={"image": photos.one_face()}, data=asked["data"] | {"person": "ada"})
    http.patch(f"/collections/{collection}", json={"threshold": 0.77})
    (face,) = http.post("/identify", **asked).json()["results"][0]["faces"]
    assert face["threshold"] == 0.77


def test_crops_are_kept_only_where_it_says_so(http):
    http.post("/collections", json={"name": "no-crops"})
    form = {"person": "ada", "collection": "no-crops"}
    face = http.post("/enroll", files={"image": photos.one_face()}, data=form).json()
    number = face["accepted"][0]["face"]["id"]
    answer = http.get(f"/collections/no-crops/people/ada/faces/{number}/image")
    assert code(answer) == (404, "not_found")
