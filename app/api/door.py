"""How many requests with pictures may be inside, and how many of them may be worked on at once."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import ParamSpec, TypeVar

import anyio
from anyio.lowlevel import checkpoint
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from app import metrics
from app.errors import Busy

P = ParamSpec("P")
R = TypeVar("R")

SMOOTHING = 0.1  # the share of the newest in the pace
FULL = "too many requests with pictures at once; try again shortly"


class Door:
    """Used on the event loop only, so its count needs no lock."""

    def __init__(self, workers: int, max_waiting: int, max_wait: float) -> None:
        """`max_wait` in seconds."""
        self._at_work = anyio.CapacityLimiter(workers)
        self._most = workers + max_waiting
        self._max_wait = max_wait
        self._inside = 0
        self._pace = 0.0  # seconds from one request that is done to the next, smoothed

    def require_room(self) -> None:
        """Raises Busy when all places are taken, or the wait would be too long.

        Asked before a body is read, which would be for nothing. Takes no place yet, so that callers
        who send slowly keep nobody out.
        """
        waiting = self._inside - self._at_work.borrowed_tokens
        if self._inside >= self._most or waiting * self._pace > self._max_wait:
            raise Busy(FULL)

    @contextmanager
    def enter(self) -> Iterator[None]:
        """A place, from when the body was read until the answer."""
        self.require_room()
        self._inside += 1
        metrics.IN_FLIGHT.inc()
        try:
            yield
        finally:
            self._inside -= 1
            metrics.IN_FLIGHT.dec()

    async def work(
        self, request: Request, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Runs it in a worker thread, unless its caller leaves, or the time is up, before then."""
        with metrics.stage("wait"):
            await self._wait(request)
        began = time.perf_counter()
        try:
            return await run_in_threadpool(partial(function, *args, **kwargs))
        finally:
            pace = (time.perf_counter() - began) / self._at_work.borrowed_tokens
            self._pace += SMOOTHING * (pace - self._pace)
            self._at_work.release()

    async def _wait(self, request: Request) -> None:
        """Returns with a worker in hand; those who came first have one first."""
        begun = left = False

        async def watch() -> None:
            nonlocal left
            while (await request.receive())["type"] != "http.disconnect":
                pass  # the end of a body that nobody read
            left = True
            group.cancel_scope.cancel()

        with anyio.move_on_after(self._max_wait):
            async with anyio.create_task_group() as group:
                group.start_soon(watch)
                # Lets the watch look first: who has left already is not worked for.
                await checkpoint()
                await self._at_work.acquire()
                begun = True
                group.cancel_scope.cancel()
        if begun:
            return
        if left:
            raise ClientDisconnect
        raise Busy(FULL)
