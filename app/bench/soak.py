"""Very many requests of all kinds, one after another: does the service's memory stay?

Eight clients share a fixed round of requests: crops and small photographs to each operation that
takes pictures, searches by embedding, people who come and go, lists, metrics, and files that are no
picture. People leave as they came, so the gallery does not grow and neither should the memory.
"""

import asyncio
import base64
import itertools
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import httpx
from PIL import Image as Pil

from app.bench.photographs import resized
from app.bench.process import resident, served
from app.client import FaceClient
from app.commands.demo import jpeg
from app.commands.samples import astronaut, astronaut_file, close_up, group
from app.entities import Image

CLIENTS = 8
TIMEOUT = 120.0  # seconds to an answer, on a machine that is busy with other work
FIRST_SHARE = 0.1  # of the requests, after which the memory is looked at first
LOOKS = 20  # at the memory, over all requests
SMALL, MIDDLE = 256, 320  # pixels, the longer sides of photographs


@dataclass
class Report:
    requests: int
    seconds: float
    load_average: float  # of the machine in the last 15 minutes, at the end
    answers: dict[str, dict[int, int]]  # kind -> status -> number
    resident_first: float  # million bytes, after the first tenth
    resident_last: float
    growth: float  # last / first - 1
    resident: list[float]  # at equal steps


@dataclass(frozen=True)
class Ask:
    kind: str
    method: str
    path: str
    body: bytes | None = None
    content_type: str | None = None


def measure(requests: int) -> Report:
    with served() as (url, process):
        with FaceClient(url, timeout=TIMEOUT) as client:
            client.enroll("somebody", [astronaut_file()])
            (embedded,) = client.embed([astronaut_file()]).results
        assert embedded.faces
        return asyncio.run(_measure(url, process, requests, embedded.faces[0].embedding))


async def _measure(
    url: str, process: subprocess.Popen[str], requests: int, embedding: list[float] | str
) -> Report:
    asks = itertools.islice(_round(embedding), requests)
    answers: dict[str, Counter[int]] = {}
    looks: list[float] = []
    first, done, began = 0.0, 0, time.monotonic()

    async def client(http: httpx.AsyncClient) -> None:
        nonlocal first, done
        for ask in asks:
            headers = {"content-type": ask.content_type} if ask.content_type else None
            answer = await http.request(ask.method, ask.path, content=ask.body, headers=headers)
            answers.setdefault(ask.kind, Counter())[answer.status_code] += 1
            done += 1
            if done == int(requests * FIRST_SHARE):
                first = resident(process.pid)
            if done % max(1, requests // LOOKS) == 0:
                looks.append(resident(process.pid))

    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT) as http:
        await asyncio.gather(*(client(http) for _ in range(CLIENTS)))
    last = resident(process.pid)
    return Report(
        requests=done,
        seconds=round(time.monotonic() - began, 1),
        load_average=round(os.getloadavg()[2], 1),
        answers={kind: dict(sorted(found.items())) for kind, found in sorted(answers.items())},
        resident_first=first,
        resident_last=last,
        growth=last / first - 1,
        resident=looks,
    )


def _round(embedding: list[float] | str) -> Iterator[Ask]:
    """Without an end: twenty requests, and again, of which only the person's id changes."""
    portrait = jpeg(resized(astronaut(), SMALL), 90)
    several, crop = jpeg(resized(group(), MIDDLE), 90), _png(close_up())
    steady = [
        _pictures("detect", portrait),
        _pictures("detect several", several, path="/detect"),
        _pictures("align", portrait),
        _pictures("embed", portrait),
        *[_pictures("embed crops", *[crop] * count, aligned="true") for count in (1, 2, 4)],
        _pictures("identify", portrait),
        _pictures("verify", portrait, person="somebody"),
        *[_json("identify embedding", "/identify", embeddings=[embedding])] * 3,
        _json("embed json", "/embed", image=_base64(crop), aligned=True),
        _pictures("not a picture", b"no picture", path="/detect"),
        _pictures("cut off", portrait[: len(portrait) // 2], path="/embed"),
        Ask("people", "GET", "/collections/default/people"),
        Ask("metrics", "GET", "/metrics"),
        Ask("ready", "GET", "/health/ready"),
    ]
    for number in itertools.count():
        person = f"guest{number}"
        yield _pictures("enroll", portrait, person=person)
        yield from steady
        yield Ask("delete", "DELETE", f"/collections/default/people/{person}")


def _pictures(kind: str, *files: bytes, path: str | None = None, **fields: str) -> Ask:
    """A form of pictures to `path`, else to the path of the kind's first word."""
    path = path or "/" + kind.split()[0]
    made = httpx.Request(
        "POST", f"http://any{path}", data=fields, files=[("images", file) for file in files]
    )
    return Ask(kind, "POST", path, made.read(), made.headers["content-type"])


def _json(kind: str, path: str, **fields: object) -> Ask:
    made = httpx.Request("POST", f"http://any{path}", json=fields)
    return Ask(kind, "POST", path, made.read(), made.headers["content-type"])


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _png(image: Image) -> bytes:
    file = BytesIO()
    Pil.fromarray(image).save(file, "PNG")
    return file.getvalue()
