"""Bodies on their way in: each within its size and time, all of them within the memory for them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

MIB = 1024 * 1024
LEAST_RATE = 16 * 1024  # bytes a second that earn a body more time


class Bodies:
    """Used on the event loop only, so its count needs no lock."""

    def __init__(self, max_each: int, max_together: int, seconds: float) -> None:
        self.max_each = max_each
        self.max_together = max_together
        self.seconds = seconds
        self.held = 0  # bytes that came, of requests that are not answered yet

    @contextmanager
    def open(self, scope: Scope, receive: Receive) -> Iterator["Body"]:
        """What has come of it counts until the block ends; what is only announced does not."""
        body = Body(self, scope, receive)
        try:
            yield body
        finally:
            self.held -= body.seen


class Body:
    def __init__(self, bodies: Bodies, scope: Scope, receive: Receive) -> None:
        announced = Headers(scope=scope).get("content-length", "")
        self._announced = int(announced) if announced.isdecimal() else 0
        self._bodies = bodies
        self._receive = receive
        self._began: float | None = None
        self._whole = False
        self.seen = 0

    async def receive(self) -> Message:
        """Hands the body on; refuses it as soon as it is, or says it will be, too long."""
        if self._announced > self._bodies.max_each:
            await self._refuse(more=True)
        message = await self._next()
        chunk = len(message.get("body", b""))
        self.seen += chunk
        self._bodies.held += chunk
        self._whole = not message.get("more_body", False)
        if self.seen > self._bodies.max_each:
            await self._refuse(more=not self._whole)
        # A request that is alone is never too large for the memory of all.
        if self._bodies.held > self._bodies.max_together and self._bodies.held > self.seen:
            raise HTTPException(503, "too many large requests at once; try again shortly")
        return message

    async def _next(self) -> Message:
        if self._whole:  # what follows is that the caller leaves, for which there is no hurry
            return await self._receive()
        now = time.monotonic()
        self._began = self._began or now
        until = self._began + self._bodies.seconds + self.seen / LEAST_RATE
        with anyio.move_on_after(max(until - now, 0)):
            return await self._receive()
        # Nothing more is read of a connection that slow.
        raise HTTPException(
            408, "the body came too slowly to wait for it", headers={"connection": "close"}
        )

    async def _refuse(self, *, more: bool) -> None:
        """Throws as much again away: most clients read an answer only after they have sent all."""
        thrown = 0
        while more and thrown <= self._bodies.max_each:
            message = await self._next()
            thrown += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)
        raise HTTPException(413, f"the request is more than {self._bodies.max_each / MIB:g} MiB")
