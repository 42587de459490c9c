"""Decodes spoilt files of every accepted format and counts what came of them.

    python -m tests.fuzz --files 20000 --seed 1
    python -m tests.fuzz --kinds PNG --files 1 --first 4711    # that one again

Of each format so many files go through `decode_photo`, in a process of their own: one that dies or
is busy with a file for too long is noted with the file's number and goes on with the next. Part of
the files, `--over-http`, are sent to a running service too. A fault is anything but a picture or an
ImageError, an answer of 500 or above, or memory that grows.
"""

import argparse
import faulthandler
import multiprocessing as mp
import sys
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import numpy as np

from app.errors import ImageError
from app.pipeline.decode import ImageLimits, decode_photo
from app.pipeline.formats import Kind
from tests.corpus import KINDS, corpus, spoilt
from tests.process import environment_in, served

PATIENCE = 20  # seconds for one file; it takes milliseconds, at the limit of pixels two seconds
WARM = 0.25  # of the files, after which memory may grow no more
GROWTH = 32 * 1024 * 1024  # bytes that the allocator may hold on to beyond that
LIMITS = ImageLimits(max_pixels=16_000_000)
SIDE = 48  # pixels that a detector would want: small, so that small files are reduced too
PATHS = ("/detect", "/embed", "/identify")
REPORT_EVERY = 200  # files over HTTP


@dataclass
class Tally:
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0  # seconds
    grown: int = 0  # bytes, resident, from the warm state to the end


def resident(process: int | str = "self") -> int:
    """Bytes."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * 4096


# In process


def fuzz(kind: Kind, files: range, seed: int) -> Tally:
    """Spreads over as many processes as it takes to see the last file."""
    tally, start = Tally(), files.start
    context = mp.get_context("spawn")  # a fork would hand on locks of the engines' threads
    while start < files.stop:
        ours, theirs = context.Pipe(duplex=False)
        worker = context.Process(
            target=_decode_all, args=(kind, range(start, files.stop), seed, theirs)
        )
        worker.start()
        theirs.close()
        last = _listen(ours, tally)
        worker.join()
        if worker.exitcode == 0:
            break
        if last < start:
            raise RuntimeError("the process ended before its first file")
        tally.counts["died"] += 1
        tally.faults.append(f"{kind} {last}: the process ended with {worker.exitcode}")
        start = last + 1
    return tally


def _listen(ours: Connection, tally: Tally) -> int:
    """Adds up what a worker tells, and gives the number of the file that it began last."""
    last = -1
    try:
        while True:
            match ours.recv():
                case int(number):
                    last = number
                case (str(came), float(seconds)):
                    tally.counts[came] += 1
                    tally.slowest = max(tally.slowest, seconds)
                    if came not in OUTCOMES:
                        tally.faults.append(f"{last}: {came}")
                case ("grown", int(grown)):
                    tally.grown = max(tally.grown, grown)
                    if grown > GROWTH:
                        tally.faults.append(f"memory grew by {grown >> 20} MiB")
    except EOFError:
        return last


OUTCOMES = ("picture", *sorted(error.code for error in ImageError.__subclasses__()))


def _decode_all(kind: Kind, files: range, seed: int, tell: Connection) -> None:
    warnings.simplefilter("error")
    warm = 0
    for (
        each
    ) in KINDS:  # a spoilt file may have pieces of the other kinds; to make them takes memory
        corpus(each)
    for number in files:
        data = spoilt(kind, number, seed)
        tell.send(number)
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        began = time.perf_counter()
        came = outcome(data)
        tell.send((came, time.perf_counter() - began))
        faulthandler.cancel_dump_traceback_later()
        if number == files[int(len(files) * WARM)]:
            warm = resident()
    tell.send(("grown", resident() - warm))


def outcome(data: bytes) -> str:
    """One of OUTCOMES, or what went wrong, of the whole picture and of it reduced."""
    whole, reduced = _outcome(data, None), _outcome(data, SIDE)
    return whole if reduced in OUTCOMES else reduced


def _outcome(data: bytes, side: int | None) -> str:
    try:
        image = decode_photo(data, LIMITS, side).image
    except ImageError as error:
        return error.code
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    good = image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    return "picture" if good and image.shape[0] * image.shape[1] <= LIMITS.max_pixels else "not RGB"


# Over HTTP


def fuzz_service(files: range, seed: int, folder: Path) -> Tally:
    """The kinds in turn; half of the files beside another one."""
    tally, warm = Tally(), 0
    environment = environment_in(folder) | {"FACE_MAX_IMAGE_PIXELS": str(LIMITS.max_pixels)}
    with (
        served(environment, folder / "log") as (url, process),
        httpx.Client(base_url=url, timeout=PATIENCE) as http,
    ):
        for place, number in enumerate(files):
            kind = KINDS[number % len(KINDS)]
            upload = [("image", ("x", spoilt(kind, number, seed)))]
            if number % 2:
                upload.append(("image", ("y", spoilt("JPEG", number + 1, seed))))
            began = time.perf_counter()
            try:
                status = http.post(PATHS[number % len(PATHS)], files=upload).status_code
            except httpx.HTTPError as error:
                status = 599
                tally.faults.append(f"{kind} {number}: {type(error).__name__}")
            tally.slowest = max(tally.slowest, time.perf_counter() - began)
            tally.counts[str(status)] += 1
            if status >= 500:
                tally.faults.append(f"{kind} {number}: answered {status}")
            if place == int(len(files) * WARM):
                warm = resident(process.pid)
        tally.grown = resident(process.pid) - warm
    return tally


def _shown(name: str, tally: Tally) -> str:
    counts = ", ".join(f"{count} {what}" for what, count in sorted(tally.counts.items()))
    return (
        f"{name:5} {tally.counts.total():6} files: {counts}; "
        f"slowest {tally.slowest:.2f} s, memory {tally.grown / 2**20:+.1f} MiB"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=20_000, help="of each format")
    parser.add_argument("--first", type=int, default=0, help="the number of the first")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--over-http", type=int, default=600, help="files for a running service")
    given = parser.parse_args()
    faults = []
    for kind in given.kinds:
        tally = fuzz(kind, range(given.first, given.first + given.files), given.seed)
        print(_shown(kind, tally), flush=True)
        faults += tally.faults
    if given.over_http:
        with tempfile.TemporaryDirectory() as folder:
            tally = fuzz_service(range(given.over_http), given.seed, Path(folder))
        print(_shown("HTTP", tally))
        faults += tally.faults
    print(*faults or ["no faults"], sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
