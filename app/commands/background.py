"""A service in a process of its own, for as long as a block runs: the demo's, and the tests'."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from app.client import ClientError, FaceClient
from app.errors import Unavailable

START_SECONDS = 90.0
STOP_SECONDS = 15.0
LOG_LINES = 15  # shown of a service that did not start
CHECKOUT = Path(__file__).parents[2]  # where `app` can be imported from
ADDRESS = re.compile(r"is at (https?://\S+)")


@contextmanager
def running_service(data: Path, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yields the address of a service that is ready; its log is `service.log` in the data folder.

    `environment` takes the place of this process's own.
    """
    data.mkdir(parents=True, exist_ok=True)
    log = data / "service.log"
    # Port 0: the system picks a free one, and the service says which.
    where = ("--data", str(data.resolve()), "--host", "127.0.0.1", "--port", "0")
    command = [sys.executable, "-m", "app.cli", "serve", *where]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, cwd=CHECKOUT
        )
    try:
        url = _ready(process, log)
        yield url
    finally:
        _stop(process)


def _ready(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        said = log.read_text(errors="replace")
        if process.poll() is not None:
            tail = said.splitlines()[-LOG_LINES:]
            raise Unavailable("\n".join(["the service did not start:", *tail]))
        if (address := ADDRESS.search(said)) and _answers(address[1]):
            return address[1]
        time.sleep(0.05)
    raise Unavailable(f"the service was not ready after {START_SECONDS:.0f} seconds")


def _answers(url: str) -> bool:
    with FaceClient(url) as client:
        try:
            client.health()
        except ClientError:
            return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
