"""Requests that are made to hurt: each is refused as one, and the service goes on."""

import socket
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.app.api import photos

SURROGATE = '"\\ud800"'  # half of a pair: JSON may hold it, UTF-8 may not
SIGNS = {
    "null": '"a\\u0000b"',
    "surrogate": SURROGATE,
    "line": '"a\\nb"',
    "escape": '"\\u001b[2J"',
    "right to left": '"\\u202egnp.exe"',
    "path": '"../../etc/passwd"',
    "address": '"a/b?c#d"',
    "query": '"\' OR 1=1 --"',
    "long": f'"{"a" * 100_000}"',
}
NAMES = (
    "Zoë",
    "Zoe\u0308",  # decomposed
    "山田 太郎",
    "محمد",
    "Ŵ\u0327\u0301",
    "👩‍👩‍👧",
    "ﷺ",
    "O'Neil; DROP TABLE people --",
    "<script>alert(1)</script>",
    "{{7*7}} %s %(x)s ${jndi:ldap://x}",
)


@pytest.fixture(autouse=True)
def lives_on(http: httpx.Client) -> Iterator[None]:
    yield
    assert http.get("/health/ready").status_code == 200


def sent(url: str, request: bytes) -> bytes:
    """The whole answer to bytes that no client library would send."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as caller:
        answer = b""
        with suppress(ConnectionError):  # when it was enough for the service
            caller.sendall(request)
        with suppress(ConnectionError):
            while piece := caller.recv(65536):
                answer += piece
        return answer


def posted(http: httpx.Client, path: str, text: str) -> httpx.Response:
    return http.post(path, content=text, headers={"content-type": "application/json"})


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/collections", '{{"name": {0}}}'),
        ("/collections/default/people", '{{"id": {0}}}'),
        ("/collections/default/people/nobody/faces", '{{"contract": {0}, "embeddings": [[1]]}}'),
        ("/identify", '{{"image": "", "collection": {0}}}'),
        ("/identify", '{{"embeddings": [{0}]}}'),
        ("/verify", '{{"image": "", "person": {0}}}'),
        ("/embed", '{{"image": "", "collection": {0}}}'),
        ("/embed", '{{"image": {0}}}'),
        ("/embed", "{{{0}: 1}}"),
        ("/keys", '{{"name": "x", "role": {0}}}'),
    ],
)
def test_strange_signs_are_refused(http, path, body, sign):
    answer = posted(http, path, body.format(SIGNS[sign]))
    assert answer.status_code in {400, 404, 415}
    assert len(answer.content) < 2000 or sign == "long"


@pytest.mark.parametrize("field", ["name", "metadata"])
@pytest.mark.parametrize("sign", ["null", "surrogate"])
def test_what_no_store_can_hold_is_refused(http, collection, field, sign):
    value = SIGNS[sign] if field == "name" else f'{{"note": {SIGNS[sign]}}}'
    path = f"/collections/{collection}/people"
    assert posted(http, path, f'{{"id": "ada", "{field}": {value}}}').status_code == 400
    assert http.get(f"{path}/ada").status_code == 404


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_text_and_nothing_else(http, collection, name):
    path = f"/collections/{collection}/people"
    body = {"id": "ada", "name": name, "metadata": {name: name}}
    http.post(path, json=body).raise_for_status()
    (found,) = http.get(path, params={"search": name[:5]}).json()["items"]
    assert found == http.get(f"{path}/ada").json()
    assert found["metadata"] == {name: name}


@pytest.mark.parametrize(
    "place",
    ["..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%00", "%ff%fe", "%0d%0aset-cookie:%20a=b", "%252e"],
)
@pytest.mark.parametrize("path", ["/collections/{}", "/collections/default/people/{}/faces", "/{}"])
def test_an_address_leads_nowhere_else(http, url, path, place):
    head = f"GET {path.format(place)} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
    answer = sent(url, head.encode())  # a client library would tidy the address up
    assert int(answer.split()[1]) in {400, 404, 405}
    assert b"set-cookie" not in answer.partition(b"\r\n\r\n")[0].lower()
    assert b"root:" not in answer


@pytest.mark.parametrize("name", ["../x.png", "x\u202egnp", "ä" * 300, 'a"; name="person', "a\\b"])
def test_a_filename_is_only_repeated(http, name):
    answer = http.post("/detect", files={"image": (name, b"no picture")})
    assert answer.status_code == 415
    assert len(answer.json()["filename"]) <= 255


@pytest.mark.parametrize("path", ["/collections", "/keys", "/detect"])
@pytest.mark.parametrize("deep", ["[" * 200_000, '{"a":' * 200_000, "[" * 990 + "]" * 990])
def test_deep_json_is_refused(http, path, deep):
    assert posted(http, path, deep).status_code == 400
    assert posted(http, path, f'{{"name": {deep}}}').status_code == 400


def test_a_flood_of_headers_is_cut_off(http, url):
    head = b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    many = b"".join(b"x-%d: y\r\n" % number for number in range(2000))
    assert b" 200 " in sent(url, head + many + b"connection: close\r\n\r\n")[:20]
    for flood in (many * 50, b"x: " + b"y" * 5_000_000 + b"\r\n", b"x" * 5_000_000):
        answer = sent(url, head + flood)
        assert answer == b"" or answer.split()[1] in (b"400", b"431")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /health/live HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /detect HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS hello
        b"GET / HTTP/9.9\r\nconnection: close\r\n\r\n",
        b"\0" * 100_000,
    ],
)
def test_what_is_no_request_is_no_crash(url, request_):
    answer = sent(url, request_)
    assert answer == b"" or answer.split()[1].startswith(b"4")


def test_a_request_id_cannot_be_made_to_say_more(http):
    for given in ('a" status=500', "a" * 65, "ä".encode(), "a;b"):
        answer = http.get("/health/live", headers={"x-request-id": given})
        assert answer.headers["x-request-id"] not in (given, given[:64])


@pytest.mark.parametrize("size", [(1, 1), (1, 30_000), (30_000, 1), (3, 200_000)])
def test_a_picture_of_a_strange_shape_is_looked_at(http, size):
    strip = photos.encoded(photos.Pil.new("RGB", size, "grey"))
    assert http.post("/detect", files={"image": strip}).status_code == 200
    aligned = http.post("/embed", files={"image": strip}, data={"aligned": "true"})
    assert aligned.status_code == 200
