"""Bodies against their limits: size, time, and the memory for all of them."""

import asyncio
from collections.abc import Sequence

import pytest
from starlette.exceptions import HTTPException

from app.api import bodies
from app.api.bodies import Bodies, Body


def sent(chunks: Sequence[bytes | float], *, announced: int | None = None) -> tuple[dict, object]:
    """Scope and receive of a body that comes in these chunks; a number is a pause in seconds."""
    headers = [] if announced is None else [(b"content-length", str(announced).encode())]
    left = list(chunks)

    async def receive() -> dict:
        while left and isinstance(left[0], float):
            await asyncio.sleep(left.pop(0))
        chunk = left.pop(0) if left else b""
        return {"type": "http.request", "body": chunk, "more_body": bool(left)}

    return {"type": "http", "headers": headers}, receive


async def read(body: Body) -> bytes:
    found = b""
    while True:
        message = await body.receive()
        found += message["body"]
        if not message["more_body"]:
            return found


def outcome(limits: Bodies, *chunks: bytes | float, announced: int | None = None) -> bytes | int:
    """What is read, or the status of the refusal; nothing may be held afterwards."""

    async def scene() -> bytes | int:
        before = limits.held
        try:
            with limits.open(*sent(chunks, announced=announced)) as body:
                return await read(body)
        except HTTPException as refusal:
            return refusal.status_code
        finally:
            assert limits.held == before

    return asyncio.run(scene())


def test_a_body_within_its_limits_comes_through():
    assert outcome(Bodies(10, 100, 5), b"abc", b"", b"defghij") == b"abcdefghij"


@pytest.mark.parametrize(
    ("chunks", "announced"), [([b"abcdef", b"ghijkl"], None), ([b"", b"abc"], 11)]
)
def test_a_body_too_long_is_refused(chunks, announced):
    assert outcome(Bodies(10, 100, 5), *chunks, announced=announced) == 413


def test_a_body_that_stops_coming_is_not_waited_for():
    assert outcome(Bodies(10, 100, 0.05), b"abc", 30.0, b"def") == 408


def test_a_body_that_trickles_is_not_waited_for():
    assert outcome(Bodies(1000, 1000, 0.1), *[b"x", 0.02] * 20, b"end") == 408


def test_a_slow_body_that_goes_on_has_more_time(monkeypatch):
    monkeypatch.setattr(bodies, "LEAST_RATE", 10)  # bytes a second
    chunks = [b"0123456789", 0.1] * 3
    assert outcome(Bodies(100, 100, 0.1), *chunks, b"end") == b"0123456789" * 3 + b"end"


def test_only_what_has_come_takes_room_and_one_alone_always_has_some():
    async def scene() -> None:
        limits = Bodies(100, 50, 5)
        announced = sent([b"x" * 20, b"y"], announced=100)
        with limits.open(*announced) as first:
            await first.receive()
            assert limits.held == 20
            with limits.open(*sent([b"z" * 30])) as second:
                assert await read(second) == b"z" * 30
            with limits.open(*sent([b"z" * 31])) as second:
                with pytest.raises(HTTPException) as refused:
                    await read(second)
                assert refused.value.status_code == 503
            assert limits.held == 20
        assert limits.held == 0
        with limits.open(*sent([b"x" * 60])) as alone:
            assert await read(alone) == b"x" * 60

    asyncio.run(scene())


def test_to_wait_for_a_caller_to_leave_is_no_slow_body():
    async def scene() -> None:
        limits = Bodies(100, 100, 0.05)
        scope, receive = sent([b"abc"])
        with limits.open(scope, receive) as body:
            await read(body)
            await asyncio.sleep(0.1)
            assert (await body.receive())["type"] == "http.request"

    asyncio.run(scene())
