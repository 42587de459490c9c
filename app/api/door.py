"""How many requests with pictures may be inside, and how many of them may be worked on at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import ParamSpec, TypeVar

import anyio
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from app import metrics
from app.errors import Busy

P = ParamSpec("P")
R = TypeVar("R")


class Door:
    """Used on the event loop only, so its counts need no lock."""

    def __init__(self, workers: int, max_waiting: int, max_bytes: int) -> None:
        self._at_work = anyio.CapacityLimiter(workers)
        self._most = workers + max_waiting
        self._most_bytes = max_bytes
        self._inside = 0
        self._bytes = 0

    @contextmanager
    def enter(self, size: int) -> Iterator[None]:
        """Held from before the body of `size` bytes is read until the answer.

        So the pictures in memory are bounded; a request that is alone is never too large.
        """
        full = self._bytes + size > self._most_bytes and self._inside > 0
        if full or self._inside >= self._most:
            raise Busy("too many requests with pictures at once; try again shortly")
        self._inside += 1
        self._bytes += size
        metrics.IN_FLIGHT.inc()
        try:
            yield
        finally:
            self._inside -= 1
            self._bytes -= size
            metrics.IN_FLIGHT.dec()

    async def work(
        self, request: Request, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Runs it in a worker thread, unless its caller left while waiting for one."""
        async with self._at_work:
            if await request.is_disconnected():
                raise ClientDisconnect
            return await run_in_threadpool(partial(function, *args, **kwargs))
