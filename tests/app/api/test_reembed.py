"""The routes of a move between models where only one is served; tests/test_reembed.py moves."""

from tests.app.api import photos


def code(answer):
    return answer.status_code, answer.json()["code"]


def test_a_collection_that_nobody_moves(http, collection):
    path = f"/collections/{collection}/reembed"
    now = http.get(path).json()
    assert (now["state"], now["other"], now["made"]) == ("none", None, 0)
    assert code(http.post(path, json={})) == (409, "conflict")
    assert code(http.post(path, json={"back": True})) == (409, "conflict")
    assert code(http.delete(path)) == (404, "not_found")
    assert http.get(path).json() == now


def test_what_is_asked_wrongly_is_named(http, collection):
    assert code(http.get("/collections/nobody/reembed")) == (404, "not_found")
    for body, named in (({"threshold": 2}, "threshold"), ({"to": "x"}, "to")):
        answer = http.post(f"/collections/{collection}/reembed", json=body)
        assert code(answer) == (400, "bad_request")
        assert named in answer.json()["detail"]


def test_embeddings_say_of_which_contract_they_are(http, collection):
    form = {"collection": collection, "faces": "largest"}
    embedded = http.post("/embed", files={"image": photos.one_face()}, data=form).json()
    assert embedded["contract"] == http.get(f"/collections/{collection}").json()["contract"]
    body = {"embeddings": [embedded["results"][0]["faces"][0]["embedding"]]}
    people = f"/collections/{collection}/people"
    http.post(people, json={"id": "ada"}).raise_for_status()
    for method, where in (("POST", f"{people}/ada/faces"), ("POST", "/identify")):
        asked = body if where != "/identify" else body | {"collection": collection}
        answer = http.request(method, where, json=asked | {"contract": "another"})
        assert code(answer) == (409, "contract_mismatch")
        own = http.request(method, where, json=asked | {"contract": embedded["contract"]})
        assert own.is_success
    assert own.json()["results"][0]["faces"][0]["matches"][0]["person"] == "ada"
