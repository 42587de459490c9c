"""A service on a real socket, in a thread of the test's own process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.main import create_app, listen, server_of
from app.settings import Settings


@contextmanager
def running(settings: Settings) -> Iterator[str]:
    """Yields its address."""
    settings = settings.model_copy(update={"max_wait_seconds": 10})  # however slow the machine is
    listening = listen(settings.model_copy(update={"port": 0}))
    server = server_of(create_app(settings), settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
