import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.requests import ClientDisconnect, Request

from app.api.door import Door
from app.errors import Busy


def request(left: asyncio.Event | None = None) -> Request:
    """Of a caller who stays, or leaves at that event."""
    left = left or asyncio.Event()

    async def receive():
        await left.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http", "headers": []}, receive)


def door(workers: int, max_waiting: int = 9, max_wait: float = 30) -> Door:
    return Door(workers, max_waiting, max_wait)


@asynccontextmanager
async def at_work(busy: Door) -> AsyncIterator[None]:
    """While the block runs, one worker of the door is at work."""
    begun, done = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        done.wait(10)

    task = asyncio.create_task(busy.work(request(), work))
    await asyncio.to_thread(begun.wait, 10)
    try:
        yield
    finally:
        done.set()
        await task


def test_the_door_refuses_when_all_places_are_taken_and_opens_again():
    narrow = door(1, max_waiting=1)
    with narrow.enter():
        narrow.require_room()
        with narrow.enter():
            for refused in (narrow.require_room, narrow.enter().__enter__):
                with pytest.raises(Busy):
                    refused()
        narrow.require_room()


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
        ran: list[int] = []
        left = asyncio.Event()
        left.set()
        with pytest.raises(ClientDisconnect):
            await door(1).work(request(left), lambda: ran.append(1))
        assert ran == []

    asyncio.run(scene())


def test_a_caller_who_leaves_while_waiting_gives_up_the_place_at_once():
    async def scene() -> None:
        one, left, ran = door(1), asyncio.Event(), []
        async with at_work(one):
            waiting = asyncio.create_task(one.work(request(left), lambda: ran.append(1)))
            await asyncio.sleep(0)
            left.set()
            with pytest.raises(ClientDisconnect):  # while the only worker is still busy
                await waiting
        assert await one.work(request(), lambda: "next") == "next"
        assert ran == []

    asyncio.run(scene())


def test_whose_turn_does_not_come_in_time_is_told_to_come_again():
    async def scene() -> None:
        one = door(1, max_wait=0.05)
        async with at_work(one):
            with pytest.raises(Busy):
                await one.work(request(), lambda: "never")
        assert await one.work(request(), lambda: "next") == "next"

    asyncio.run(scene())


def test_who_would_wait_too_long_is_refused_at_once():
    async def scene() -> None:
        one = door(1, max_wait=1)
        one._pace = 0.6  # seconds for each request, as measured
        async with at_work(one):
            with one.enter(), one.enter():
                one.require_room()  # one is at work and one waits: 0.6 s
                with one.enter(), pytest.raises(Busy):
                    one.require_room()  # 1.2 s
        assert one._pace < 0.6  # it took less
        one.require_room()

    asyncio.run(scene())


def test_who_came_first_has_a_worker_first():
    async def scene() -> None:
        one, order = door(1), []
        async with at_work(one):
            tasks = []
            for number in range(5):
                tasks.append(asyncio.create_task(one.work(request(), order.append, number)))
                await asyncio.sleep(0.01)
        await asyncio.gather(*tasks)
        assert order == [0, 1, 2, 3, 4]

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
