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


def door(workers: int, max_waiting: int = 9, max_bytes: int = 100) -> Door:
    return Door(workers, max_waiting, max_bytes)


def test_the_door_refuses_when_all_places_are_taken_and_opens_again():
    async def scene() -> None:
        narrow = door(1, max_waiting=1)
        with narrow.enter(1):
            with narrow.enter(1), pytest.raises(Busy), narrow.enter(1):
                pass
            with narrow.enter(1):
                pass

    asyncio.run(scene())


def test_the_door_refuses_what_does_not_fit_beside_the_others():
    async def scene() -> None:
        wide = door(9, max_bytes=100)
        with wide.enter(60):
            with pytest.raises(Busy), wide.enter(41):
                pass
            with wide.enter(40):
                pass
        with wide.enter(1000):  # alone
            pass

    asyncio.run(scene())


def test_no_more_work_at_once_than_workers():
    async def scene() -> None:
        two, inside, most = door(workers=2), 0, 0
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
        await asyncio.gather(*(two.work(request(), work) for _ in range(6)))
        assert most == 2

    asyncio.run(scene())


def test_a_caller_who_left_is_not_worked_for():
    async def scene() -> None:
        ran = []
        with pytest.raises(ClientDisconnect):
            await door(1).work(request(gone=True), lambda: ran.append(1))
        assert ran == []

    asyncio.run(scene())


def test_an_error_of_the_work_is_the_callers():
    def fail() -> None:
        raise ValueError("no")

    async def scene() -> None:
        one = door(1)
        with pytest.raises(ValueError, match="no"):
            await one.work(request(), fail)
        assert await one.work(request(), lambda: "next") == "next"

    asyncio.run(scene())
