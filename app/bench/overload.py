"""Many times what the service can do, for a while: what becomes of the accepted, and of it.

A service of its own with one person. First its capacity: as many clients as it has places send a
picture to /identify, each the next one when it has its answer. Then a multiple of that rate
arrives on new connections whether or not answers come, while slow senders hold connections open
with bodies that hardly come. At last one client alone again.
"""

import asyncio
import re
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from app.bench.process import PAUSE, resident, served
from app.client import FaceClient
from app.commands.samples import astronaut, astronaut_file
from app.settings import read_settings

ANSWER_SECONDS = 120.0  # an answer that takes longer counts as none
SLOW_ANNOUNCED = 5 * 1024 * 1024  # bytes that a slow sender promises
SLOW_PAUSE = 1.0  # seconds between two of its bytes
BEGINNING = b'--edge\r\ncontent-disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
LINGER_SECONDS = 10.0  # after the rush, until the memory is looked at again


@dataclass
class Tally:
    """What became of some requests: status -> seconds to the answer; 0 for none."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    retry_after_missing: int = 0

    def note(self, status: int, seconds: float) -> None:
        self.seconds.setdefault(status, []).append(seconds)

    def percentile(self, status: int, share: float) -> float | None:
        return float(np.percentile(self.seconds[status], share)) if status in self.seconds else None

    @property
    def counts(self) -> dict[int, int]:
        return {status: len(found) for status, found in sorted(self.seconds.items())}


@dataclass
class Report:
    seconds: float
    capacity: float  # accepted a second when every place is taken
    offered: float  # requests a second
    sent: int
    answers: dict[int, int]  # status -> number; 0: no answer
    full_house_p50: float  # seconds, of the accepted while the capacity was measured
    full_house_p99: float
    accepted: float  # a second, under the overload
    accepted_p50: float | None
    accepted_p99: float | None
    refused_p50: float | None
    refused_p99: float | None
    retry_after_missing: int
    slow_senders: int
    slow_answers: dict[int, int]
    resident_before: float  # million bytes
    resident_most: float
    resident_after: float
    alive: bool
    alone_after: float  # seconds of one request when all is over


def measure(seconds: float, times: float, slow: int, calm: float) -> Report:
    """`times` the capacity for `seconds`, beside so many slow senders; the capacity is measured for
    `calm` seconds."""
    with served() as (url, process):
        with FaceClient(url) as client:
            client.enroll("somebody", [astronaut_file()])
        return asyncio.run(_measure(url, process, seconds, times, slow, calm))


async def _measure(
    url: str, process: subprocess.Popen[str], seconds: float, times: float, slow: int, calm: float
) -> Report:
    request, settings = _request(url), read_settings()
    places = settings.workers + settings.max_waiting
    await _closed_loop(url, request, places, calm / 2)  # warm
    began = time.monotonic()
    full = await _closed_loop(url, request, places, calm)
    capacity = len(full.seconds[200]) / (time.monotonic() - began)
    before = resident(process.pid)
    async with _watched(process.pid) as most, _slow_senders(url, slow) as slow_tally:
        rush, sent = await _open_loop(url, request, capacity * times, seconds)
    await asyncio.sleep(LINGER_SECONDS)
    after = resident(process.pid)
    alone = await _closed_loop(url, request, 1, 1)
    return Report(
        seconds=seconds,
        capacity=capacity,
        offered=capacity * times,
        sent=sent,
        answers=rush.counts,
        full_house_p50=full.percentile(200, 50) or 0,
        full_house_p99=full.percentile(200, 99) or 0,
        accepted=rush.counts.get(200, 0) / seconds,
        accepted_p50=rush.percentile(200, 50),
        accepted_p99=rush.percentile(200, 99),
        refused_p50=rush.percentile(503, 50),
        refused_p99=rush.percentile(503, 99),
        retry_after_missing=rush.retry_after_missing,
        slow_senders=slow,
        slow_answers=slow_tally.counts,
        resident_before=before,
        resident_most=max(most),
        resident_after=after,
        alive=process.poll() is None,
        alone_after=alone.percentile(200, 50) or 0,
    )


async def _closed_loop(url: str, request: bytes, clients: int, seconds: float) -> Tally:
    """Each client sends the next request when it has its answer, and a second later when it was
    refused, as it was told. Those begun in time count."""
    tally, until = Tally(), time.monotonic() + seconds

    async def client() -> None:
        while time.monotonic() < until:
            if await _send(url, request, tally) == 503:
                await asyncio.sleep(PAUSE)

    await asyncio.gather(*(client() for _ in range(clients)))
    return tally


async def _open_loop(url: str, request: bytes, rate: float, seconds: float) -> tuple[Tally, int]:
    """So many requests a second, whatever becomes of them."""
    tally, tasks, began = Tally(), [], time.monotonic()
    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(0, began + number / rate - time.monotonic()))
        tasks.append(asyncio.create_task(_send(url, request, tally)))
    await asyncio.gather(*tasks)
    return tally, len(tasks)


async def _send(url: str, request: bytes, tally: Tally) -> int:
    """The status, or 0. On a connection of its own. What is refused may be answered before all of
    it is sent."""
    began = time.monotonic()
    status, head = 0, b""
    try:
        async with asyncio.timeout(ANSWER_SECONDS), _connected(url) as (reader, writer):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            status = int(head.split()[1])
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        pass
    tally.note(status, time.monotonic() - began)
    if status == 503 and b"retry-after" not in head.lower():
        tally.retry_after_missing += 1
    return status


@asynccontextmanager
async def _slow_senders(url: str, count: int) -> AsyncIterator[Tally]:
    """Hold so many requests open; each ends with an answer, and is begun anew."""
    tally = Tally()

    async def send() -> None:
        while True:
            began = time.monotonic()
            try:
                async with _connected(url) as (reader, writer):
                    writer.write(_head(url, SLOW_ANNOUNCED) + BEGINNING)
                    answer = asyncio.create_task(reader.readuntil(b"\r\n"))
                    try:
                        while not answer.done():
                            writer.write(b"x")
                            await asyncio.wait([answer], timeout=SLOW_PAUSE)
                        tally.note(int((await answer).split()[1]), time.monotonic() - began)
                    finally:
                        answer.cancel()
            except (OSError, asyncio.IncompleteReadError):
                tally.note(0, time.monotonic() - began)

    tasks = [asyncio.create_task(send()) for _ in range(count)]
    try:
        yield tally
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _connected(
    url: str,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        yield reader, writer
    finally:
        writer.close()


@asynccontextmanager
async def _watched(pid: int) -> AsyncIterator[list[float]]:
    """Resident memory in million bytes, each second of the block."""
    found = [resident(pid)]

    async def watch() -> None:
        while True:
            await asyncio.sleep(1)
            found.append(resident(pid))

    task = asyncio.create_task(watch())
    try:
        yield found
    finally:
        task.cancel()


def _request(url: str) -> bytes:
    file = BytesIO()
    Image.fromarray(astronaut()).save(file, "JPEG", quality=90)
    picture = file.getvalue()
    body = BEGINNING + picture + b"\r\n--edge--\r\n"
    return _head(url, len(body)) + body


def _head(url: str, length: int) -> bytes:
    lines = [
        "POST /identify HTTP/1.1",
        f"host: {urlsplit(url).netloc}",
        f"content-length: {length}",
        "content-type: multipart/form-data; boundary=edge",
    ]
    return "\r\n".join([*lines, "", ""]).encode()
