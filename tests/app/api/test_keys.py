"""Keys and roles over HTTP: who may do what, and that nothing is read of who may nothing."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.api.roles import NEEDS
from app.settings import Settings
from tests.app.api import photos
from tests.app.api.service import running

ROLES = ("read", "write", "admin")


class Keyed:
    """A service with a key of each role."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: dict[str, str] = {}
        for role in reversed(ROLES):
            made = self.ask("admin", "POST", "/keys", json={"name": role, "role": role})
            self.keys[role] = made.raise_for_status().json()["key"]

    def ask(self, role: str | None, method: str, path: str, **content) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.keys[role]}"} if role in self.keys else {}
        return httpx.request(method, self.url + path, headers=headers, timeout=30, **content)


@pytest.fixture(scope="module")
def keyed(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    folder = tmp_path_factory.mktemp("keyed")
    with running(Settings(data_dir=folder, model_file=tiny_model, threads=1)) as url:
        yield Keyed(url)


def code(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("code") if answer.content else None


def test_every_operation_asks_for_the_role_it_names(keyed: Keyed):
    """A made-up person and an empty body: who may ask hears of that, who may not of the role."""
    document = httpx.get(f"{keyed.url}/openapi.json").json()
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) > 25
    for method, path, operation in operations:
        role = NEEDS.get(operation["operationId"], "admin")
        assert f"Role: `{role}`" in operation["description"]
        filled = path.replace("{face}", "1").replace("{", "no-").replace("}", "")
        if path.startswith("/health"):
            assert keyed.ask(None, method, filled).status_code == 200
            continue
        assert code(keyed.ask(None, method, filled)) == (401, "unauthorized")
        for weaker in ROLES[: ROLES.index(role)]:
            assert code(keyed.ask(weaker, method, filled)) == (403, "forbidden")
        assert keyed.ask(role, method, filled).status_code not in (401, 403)


def test_roles_over_a_life(keyed: Keyed):
    form = {"data": {"person": "ada"}, "files": {"image": photos.one_face()}}
    assert code(keyed.ask("read", "POST", "/enroll", **form)) == (403, "forbidden")
    assert keyed.ask("write", "POST", "/enroll", **form).status_code == 201
    found = keyed.ask("read", "POST", "/identify", files=form["files"]).json()
    assert found["results"][0]["faces"][0]["matches"][0]["person"] == "ada"
    assert code(keyed.ask("write", "POST", "/collections", json={"name": "x"})) == (
        403,
        "forbidden",
    )
    assert keyed.ask("write", "DELETE", "/collections/default/people/ada").status_code == 204


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer face_x_y", "Bearer \xff", "Basic YTpi", "Bearer a b c"],
)
def test_what_is_no_key_is_told_how_to_bring_one(keyed: Keyed, header: str):
    answer = httpx.get(
        f"{keyed.url}/collections", headers={"authorization": header.encode("latin-1")}
    )
    assert code(answer) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "x-request-id" in answer.headers


@pytest.mark.parametrize(("role", "status"), [(None, 401), ("read", 403)])
@pytest.mark.parametrize("path", ["/enroll", "/collections"])
def test_nothing_of_the_body_is_read_of_who_may_not(keyed: Keyed, role, status, path):
    """Ten megabytes are announced, and the answer is there before a byte of them is sent."""
    host, port = keyed.url.removeprefix("http://").split(":")
    lines = [f"POST {path} HTTP/1.1", "host: localhost", "content-length: 10000000"]
    lines += [f"authorization: Bearer {keyed.keys[role]}"] if role else []
    with socket.create_connection((host, int(port)), timeout=10) as caller:
        caller.sendall("\r\n".join([*lines, "content-type: application/json", "", ""]).encode())
        assert caller.recv(4096).startswith(f"HTTP/1.1 {status} ".encode())


def test_a_revoked_key_opens_nothing_more(keyed: Keyed):
    made = keyed.ask("admin", "POST", "/keys", json={"name": "guest", "role": "read"}).json()
    keyed.keys["guest"] = made["key"]
    assert keyed.ask("guest", "GET", "/collections").status_code == 200
    assert keyed.ask("admin", "DELETE", f"/keys/{made['id']}").status_code == 204
    assert code(keyed.ask("guest", "GET", "/collections")) == (401, "unauthorized")
    assert code(keyed.ask("admin", "DELETE", f"/keys/{made['id']}")) == (404, "not_found")
    listed = keyed.ask("admin", "GET", "/keys")
    (guest,) = [key for key in listed.json()["items"] if key["id"] == made["id"]]
    assert guest["revoked_at"]
    assert made["key"] not in listed.text


def test_a_rate_is_the_keys_own(keyed: Keyed):
    body = {"name": "slow", "role": "read", "rate": "2/hour"}
    for name in ("slow", "other"):
        keyed.keys[name] = keyed.ask("admin", "POST", "/keys", json=body).json()["key"]
    statuses = [keyed.ask("slow", "GET", "/collections").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    refused = keyed.ask("slow", "GET", "/collections")
    assert code(refused) == (429, "rate_limited")
    assert 0 < int(refused.headers["retry-after"]) <= 3600
    assert keyed.ask("other", "GET", "/collections").status_code == 200
    assert code(keyed.ask("admin", "POST", "/keys", json=body | {"rate": "often"})) == (
        400,
        "bad_request",
    )


def test_the_first_key_is_an_admins(tiny_model: Path, tmp_path: Path):
    with running(Settings(data_dir=tmp_path, model_file=tiny_model, threads=1)) as url:
        for role, status in (("read", 409), ("admin", 201)):
            answer = httpx.post(f"{url}/keys", json={"name": "first", "role": role})
            assert answer.status_code == status
        assert httpx.get(f"{url}/collections").status_code == 401


def test_auth_off_asks_for_no_key(keyed: Keyed, tiny_model: Path, tmp_path: Path):
    settings = Settings(data_dir=tmp_path, model_file=tiny_model, threads=1, auth="off")
    with running(settings) as url:
        httpx.post(f"{url}/keys", json={"name": "first", "role": "admin"}).raise_for_status()
        elsewhere = {"host": "face.example.com"}
        assert httpx.get(f"{url}/collections", headers=elsewhere).status_code == 200


def test_the_log_says_which_key_did_it(keyed: Keyed):
    keyed.ask("write", "POST", "/collections/default/people", json={"id": "bob"})
    keyed.ask("read", "POST", "/identify", files={"image": photos.one_face()})
    ids = {key["name"]: key["id"] for key in keyed.ask("admin", "GET", "/keys").json()["items"]}
    lines = keyed.ask("admin", "GET", "/audit", params={"limit": 1000}).json()["items"]
    actors = {line["action"]: line["actor"] for line in lines}
    assert actors["create_person"] == f"key:{ids['write']}"
    assert actors["identify"] == f"key:{ids['read']}"
    assert lines[0]["actor"] == "anybody"  # who made the first key
    behind = keyed.ask("admin", "GET", "/audit", params={"after": 1, "limit": 1}).json()["items"]
    assert behind == lines[1:2]
    verdict = keyed.ask("admin", "GET", "/audit/verify").json()
    assert (verdict["ok"], verdict["fault"]) == (True, None)
    assert verdict["head"].startswith(f"{lines[-1]['seq']}:")
    noted = {"noted": verdict["head"].replace(":", ":0", 1)[:-1]}
    assert keyed.ask("admin", "GET", "/audit/verify", params=noted).json()["ok"] is False
