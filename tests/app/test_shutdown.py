"""Stopping: what was accepted is finished, and nothing new is."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.app.api import photos
from tests.process import environment_in, served

REQUESTS = 12


def inside(http: httpx.Client) -> float:
    lines = http.get("/metrics").text.splitlines()
    return next(
        float(line.split()[-1])
        for line in lines
        if line.startswith("face_picture_requests_in_flight ")
    )


def test_what_was_accepted_is_finished_when_the_service_is_stopped(tmp_path: Path):
    """One worker, so that most of the requests wait for their turn when the signal comes."""
    environment = environment_in(tmp_path) | {
        "FACE_WORKERS": "1",
        "FACE_MAX_WAIT_SECONDS": "120",  # however slow the machine is
    }
    with (
        served(environment, tmp_path / "log") as (url, process),
        httpx.Client(base_url=url, timeout=60) as http,
        ThreadPoolExecutor(REQUESTS) as pool,
    ):
        ask = {"files": {"image": photos.six_faces()}, "timeout": 60}
        answers = [pool.submit(httpx.post, f"{url}/detect", **ask) for _ in range(REQUESTS)]
        deadline = time.monotonic() + 30
        while inside(http) < REQUESTS / 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        waiting = [answer for answer in answers if not answer.done()]
        process.send_signal(signal.SIGTERM)
        assert len(waiting) > 1
        # Those that came before the signal; one that came with it may find the door closed.
        statuses = [answer.result().status_code for answer in answers if answer.exception() is None]
        assert len(statuses) >= REQUESTS / 2
        assert set(statuses) == {200}
        assert process.wait(30) in (0, -signal.SIGTERM)  # the signal is passed on at the end
        with pytest.raises(httpx.TransportError):
            httpx.get(url)
