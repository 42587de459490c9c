import socket
import time
from contextlib import suppress

import httpx
import pytest

from app.api import connections


def connected(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


@pytest.mark.parametrize("begun", [b"", b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\nx-a: "])
@pytest.mark.parametrize("asked_before", [False, True])
def test_a_head_that_hardly_comes_is_not_waited_for(url, monkeypatch, begun, asked_before):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    with connected(url) as caller:
        if asked_before:
            caller.sendall(b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            answer = b""
            while not answer.endswith(b'{"status":"ok"}'):
                answer += caller.recv(65536)
        caller.sendall(begun)
        with suppress(ConnectionError):  # a byte now and then earns no more time
            for _ in range(100):
                caller.sendall(b"a" if begun else b"")
                time.sleep(0.02)
        with suppress(ConnectionResetError):
            assert caller.recv(65536) == b""


def test_a_request_that_came_is_answered_however_long_it_takes(url, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)

    def body():
        for _ in range(10):
            time.sleep(0.05)
            yield b" "

    with httpx.Client(base_url=url, timeout=30) as http:
        answer = http.post("/detect", content=body(), headers={"content-type": "application/json"})
    assert answer.status_code == 400
