"""A service on a real socket, in a thread of the test's own process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from app.main import create_app, listen, server_of
from app.settings import Settings


@contextmanager
def running(settings: Settings) -> Iterator[str]:
    """Yields its address."""
    settings = settings.model_copy(update={"max_wait_seconds": 10})  # however slow the machine is
    listening = listen(settings.model_copy(update={"port": 0}))
    with thread_of(server_of(create_app(settings), settings), listening):
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def thread_of(server: uvicorn.Server, listening: socket.socket) -> Iterator[None]:
    """Connections wait in the socket until it is ready."""
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
