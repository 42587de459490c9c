"""A Milvus for tests: Milvus Lite as a process of its own, served on a port like a real one."""

import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from app.index.milvus import ALONE
from tests.scale.postgresql import Missing

READY_SECONDS = 60


class Milvus:
    def __init__(self, folder: Path) -> None:
        for module in ("milvus_lite", "pymilvus"):
            if importlib.util.find_spec(module) is None:
                raise Missing(f"the Python package {module} is not installed")
        self.data = folder / "milvus"
        self._log = (folder / "milvus.log").open("ab")
        self._port = free_port()
        self._numbers = count(1)
        self.start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def new_database(self) -> str:
        """The URI of an empty one."""
        from pymilvus import MilvusClient

        name = f"faces{next(self._numbers)}"
        client = MilvusClient(self.uri, **ALONE)
        client.create_database(name)
        client.close()
        return f"{self.uri}/{name}"

    def start(self) -> None:
        """Again, too, after `stop`: on the same port, with what it held."""
        place = ("--data-dir", str(self.data), "--host", "127.0.0.1", "--port", str(self._port))
        self._server = subprocess.Popen(
            [sys.executable, "-m", "milvus_lite", "server", *place],
            stdout=self._log,
            stderr=self._log,
        )
        until = time.monotonic() + READY_SECONDS
        while not _answers(self._port):
            assert self._server.poll() is None, "Milvus Lite did not start"
            assert time.monotonic() < until, "Milvus Lite does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        self._server.terminate()
        self._server.wait()

    def close(self) -> None:
        self._server.kill()
        self._server.wait()
        self._log.close()


@contextmanager
def milvus(folder: Path) -> Iterator[Milvus]:
    """Raises Missing."""
    made = Milvus(folder)
    try:
        yield made
    finally:
        made.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
