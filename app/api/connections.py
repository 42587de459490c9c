"""HTTP connections, each of which has to bring the head of its request in time.

uvicorn by itself waits without end: who sends a byte a minute would hold a place for nothing.
"""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 20.0


class Connection(H11Protocol):
    _give_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._stop_waiting()
        self._give_up = self.loop.call_later(HEAD_SECONDS, self._close_unless_asked)

    def _stop_waiting(self) -> None:
        if self._give_up is not None:
            self._give_up.cancel()

    def _close_unless_asked(self) -> None:
        """A request whose head came has a cycle, and what limits its body is elsewhere."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
