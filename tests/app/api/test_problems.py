"""What every answer has in common: its id, the form of its errors, its log line."""

import logging
import sqlite3

import httpx
import pytest
from fastapi import FastAPI

from app import errors
from app.api import handlers
from app.api.access import Access
from app.api.bodies import Bodies
from app.api.callers import Callers
from app.api.door import Door
from tests.app.api import photos


def all_errors(kind=errors.FaceError):
    for each in kind.__subclasses__():
        yield each
        yield from all_errors(each)


@pytest.mark.parametrize("kind", list(all_errors()), ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_or_is_not_for_callers(kind):
    known = any(base in handlers.STATUS for base in kind.__mro__)
    subclasses = list(kind.__subclasses__())
    assert known or subclasses or kind is errors.SettingsError


@pytest.mark.parametrize("given", ["abc-1.2_Z", "x" * 64])
def test_the_callers_id_is_kept(http, given):
    answer = http.get("/health/live", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>", "é".encode("latin-1")])
def test_an_id_that_is_no_plain_token_is_replaced(http, given):
    answer = http.get("/health/live", headers={"x-request-id": given})
    assert len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/docs-assets/nothing.js", 404, "not_found"),
        ("PUT", "/detect", 405, "method_not_allowed"),
        ("GET", "/collections/%2e%2e%2fetc", 404, "not_found"),
    ],
)
def test_what_is_not_offered_is_a_problem_too(http, method, path, status, code):
    answer = http.request(method, path)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["type"] == f"/docs#{code}"
    if status == 405:
        assert answer.headers["allow"] == "POST"


def test_a_page_of_another_site_changes_nothing(http, collection):
    form = {"files": {"image": photos.one_face()}, "data": {"person": "eve"}}
    form["data"]["collection"] = collection
    answer = http.post("/enroll", **form, headers={"sec-fetch-site": "cross-site"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert http.get(f"/collections/{collection}").json()["people"] == 0
    answer = http.post("/enroll", **form, headers={"sec-fetch-site": "same-origin"})
    assert answer.status_code == 201


def failing_app() -> FastAPI:
    app = FastAPI()

    @app.get("/crash/{person}")
    def crash(person: str) -> None:
        raise RuntimeError(f"secret of {person}")

    @app.get("/busy")
    def busy() -> None:
        raise errors.Busy("a queue is full; try again")

    @app.get("/settings")
    def settings() -> None:
        raise errors.SettingsError("/etc/secret is wrong")

    @app.get("/store")
    def store() -> None:
        try:
            sqlite3.connect("/nowhere/secret/face.db")
        except sqlite3.Error as exc:
            raise errors.Unavailable("the store could not be read") from exc

    handlers.install(app)
    app.add_middleware(
        Access, callers=Callers(None, None), bodies=Bodies(1000, 1000, 5), door=Door(1, 1, 1)
    )
    return app


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/crash/lovelace", "/settings"])
async def test_an_internal_fault_says_nothing_of_itself(path, caplog):
    transport = httpx.ASGITransport(failing_app())
    with caplog.at_level(logging.INFO, "face.access"):
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    logged = " ".join(str(vars(record)) for record in caplog.records)
    assert answer.json()["request_id"] in logged
    for text in (answer.text, logged):
        assert "secret" not in text
        assert "lovelace" not in text


@pytest.mark.anyio
async def test_the_kind_of_what_failed_underneath_is_logged_and_not_told(caplog):
    transport = httpx.ASGITransport(failing_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/store")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    (record,) = [record for record in caplog.records if record.name == "face.problems"]
    assert record.facts["causes"] == ["SQLITE_CANTOPEN"]
    assert record.facts["request_id"] == answer.json()["request_id"]
    assert "SQLITE" not in answer.text
    assert "secret" not in str(vars(record))


@pytest.mark.anyio
async def test_busy_says_when_to_come_again():
    transport = httpx.ASGITransport(failing_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/busy")
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert answer.headers["retry-after"] == "1"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
