import asyncio
import threading

import pytest
from starlette.requests import ClientDisconnect, Request

from app.api.door import Door
from app.errors import Busy


def request(*, gone: bool = False) -> Request:
    async def receive():
        if gone:
            return {"type": "http.disconnect"}
        return await asyncio.Event().wait()

    return Request({"type": "http", "headers": []}, receive)


def test_the_door_refuses_when_all_places_are_taken_and_opens_again():
    async def scene() -> None:
        door = Door(workers=1, max_waiting=1)
        with door.enter():
            with door.enter(), pytest.raises(Busy), door.enter():
                pass
            with door.enter():
                pass

    asyncio.run(scene())


def test_no_more_work_at_once_than_workers():
    async def scene() -> None:
        door, inside, most = Door(workers=2, max_waiting=9), 0, 0
        lock = threading.Lock()

        def work() -> None:
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
            release.wait(0.05)
            with lock:
                inside -= 1

        release = threading.Event()
        await asyncio.gather(*(door.work(request(), work) for _ in range(6)))
        assert most == 2

    asyncio.run(scene())


def test_a_caller_who_left_is_not_worked_for():
    async def scene() -> None:
        ran = []
        with pytest.raises(ClientDisconnect):
            await Door(1, 1).work(request(gone=True), lambda: ran.append(1))
        assert ran == []

    asyncio.run(scene())


def test_an_error_of_the_work_is_the_callers():
    def fail() -> None:
        raise ValueError("no")

    async def scene() -> None:
        door = Door(1, 1)
        with pytest.raises(ValueError, match="no"):
            await door.work(request(), fail)
        assert await door.work(request(), lambda: "next") == "next"

    asyncio.run(scene())
