from io import BytesIO

from PIL import Image as Pil

from tests.app.api import photos


def people(http, collection, **query):
    answer = http.get(f"/collections/{collection}/people", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def add(http, collection, person, *pictures, **options):
    path, fields = f"/collections/{collection}/people", {"id": person, **options}
    if not pictures:
        return http.post(path, json=fields)
    return http.post(path, data=fields, files=[("image", picture) for picture in pictures])


def code(answer):
    return answer.status_code, answer.json()["code"]


def test_a_person_with_pictures(http, collection):
    answer = add(http, collection, "ada", photos.one_face(), name="Ada", metadata='{"a": "1"}')
    assert answer.status_code == 201
    person = answer.json()["person"]
    assert (person["id"], person["name"], person["faces"]) == ("ada", "Ada", 1)
    assert person["metadata"] == {"a": "1"}
    assert http.get(f"/collections/{collection}/people/ada").json() == person


def test_a_person_without_pictures_yet(http, collection):
    body = {"id": "Zoë K. 2", "metadata": {"team": "blue"}}
    answer = http.post(f"/collections/{collection}/people", json=body)
    assert answer.status_code == 201
    person = http.get(f"/collections/{collection}/people/Zoë K. 2").json()
    assert (person["name"], person["faces"]) == ("Zoë K. 2", 0)


def test_pages_hold_everybody_once(http, collection):
    names = [f"p{number}" for number in range(5)]
    for name in names:
        assert add(http, collection, name).status_code == 201
    seen, cursor = [], None
    while True:
        page = people(http, collection, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [person["id"] for person in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == names
    assert [each["id"] for each in people(http, collection, search="P3")["items"]] == ["p3"]


def test_a_bad_cursor_or_limit_is_named(http, collection):
    path = f"/collections/{collection}/people"
    assert code(http.get(path, params={"cursor": "%%%"})) == (400, "bad_request")
    answer = http.get(path, params={"limit": 0})
    assert code(answer) == (400, "bad_request")
    assert answer.json()["detail"].startswith("limit: ")


def test_a_person_is_changed_in_part(http, collection):
    add(http, collection, "ada", name="Ada", metadata={"a": "1"})
    path = f"/collections/{collection}/people/ada"
    assert http.patch(path, json={"name": "Ada L."}).json()["metadata"] == {"a": "1"}
    changed = http.patch(path, json={"metadata": {}}).json()
    assert (changed["name"], changed["metadata"]) == ("Ada L.", {})
    answer = http.patch(path, json={"nmae": "x"})
    assert code(answer) == (400, "bad_request")
    assert "nmae" in answer.json()["detail"]


def test_a_deleted_person_is_known_no_more(http, collection):
    add(http, collection, "ada", photos.one_face())
    path = f"/collections/{collection}/people/ada"
    answer = http.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert code(http.get(path)) == (404, "not_found")
    assert code(http.delete(path)) == (404, "not_found")
    asked = {"files": {"image": photos.one_face()}, "data": {"collection": collection}}
    (face,) = http.post("/identify", **asked).json()["results"][0]["faces"]
    assert face["matches"] == []


def test_faces_are_added_listed_shown_and_deleted(http, collection):
    add(http, collection, "ada", photos.one_face())
    path = f"/collections/{collection}/people/ada/faces"
    added = http.post(path, files={"image": photos.same_face()})
    assert added.status_code == 201
    assert (added.json()["created"], added.json()["person"]["faces"]) == (False, 2)
    first, second = http.get(path).json()["items"]
    assert added.json()["accepted"][0]["face"] == second
    assert second["has_crop"]
    assert 0 < second["quality"] <= 1
    crop = http.get(f"{path}/{second['id']}/image")
    assert crop.headers["content-type"] == "image/png"
    assert Pil.open(BytesIO(crop.content)).size == (112, 112)
    assert http.delete(f"{path}/{second['id']}").status_code == 204
    assert http.get(path).json()["items"] == [first]
    assert code(http.get(f"{path}/{second['id']}/image")) == (404, "not_found")


def test_faces_from_embeddings_have_no_quality_and_no_crop(http, collection):
    http.post(f"/collections/{collection}/people", json={"id": "ada"})
    path = f"/collections/{collection}/people/ada/faces"
    vectors = [[1.0] * 256, [1.0, -1.0] * 128]
    answer = http.post(path, json={"embeddings": vectors})
    assert answer.status_code == 201
    assert [face["index"] for face in answer.json()["accepted"]] == [0, 1]
    for face in http.get(path).json()["items"]:
        assert (face["quality"], face["has_crop"]) == (None, False)
    asked = {"collection": collection, "embeddings": [vectors[1]]}
    (result,) = http.post("/identify", json=asked).json()["results"]
    assert result["faces"][0]["decision"] == "match"


def test_a_face_number_beyond_any_store_is_only_not_of_its_form(http, collection):
    http.post(f"/collections/{collection}/people", json={"id": "ada"})
    answer = http.delete(f"/collections/{collection}/people/ada/faces/{10**30}")
    assert code(answer) == (400, "bad_request")
