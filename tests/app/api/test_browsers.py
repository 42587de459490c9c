"""What a page in somebody's browser can do to the service: nothing."""

import httpx
import pytest

PAGE = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", ""]
)
def test_without_keys_only_a_name_of_loopback_is_answered(http: httpx.Client, host: str):
    """A name of an attacker's that leads to 127.0.0.1 makes a page same-origin with the service."""
    answer = http.get("/collections", headers={"host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000"])
def test_every_name_of_loopback_is(http: httpx.Client, host: str):
    assert http.get("/collections", headers={"host": host}).status_code == 200


def test_no_other_origin_is_let_in(http: httpx.Client):
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "x"}
    for answer in (
        http.options("/identify", headers=PAGE | asked),
        http.get("/collections", headers=PAGE),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert http.options("/identify", headers=PAGE | asked).status_code == 405
    assert http.post("/keys", headers=PAGE).status_code == 403


def test_a_page_runs_only_what_is_its_own_and_in_no_frame(http: httpx.Client):
    headers = http.get("/docs").headers
    policy = headers["content-security-policy"]
    (scripts,) = [part for part in policy.split("; ") if part.startswith("script-src ")]
    assert "'unsafe-inline'" not in scripts
    assert "'sha256-" in scripts
    for directive in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert directive in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"


def test_an_answer_is_not_guessed_at_nor_kept(http: httpx.Client):
    for path in ("/collections", "/nowhere"):
        headers = http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
