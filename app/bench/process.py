"""Processes of their own for what is measured, the service on an empty folder among them, and their
memory."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

PAUSE = 1.0  # seconds that a client waits after a `busy`, as its Retry-After says


@contextmanager
def served() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Yields its address and the process; settings are those of the environment."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--data", folder]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            try:
                assert process.stdout is not None
                said = re.search(r"http://[\d.:]+", process.stdout.readline())
                if said is None:
                    raise RuntimeError("the service did not start; try `face serve`")
                yield said[0], process
            finally:
                process.terminate()


def resident(pid: int) -> float:
    """Linux's VmRSS in million bytes; 0 of a process that has ended."""
    try:
        said = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(said[1]) * 1024 / 1e6 if said else 0.0


def alone(work: Callable[P, R], *given: P.args, **named: P.kwargs) -> R:
    """In a new process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *given, **named).result()


def anonymous() -> int:
    """Bytes of this process that are in memory and cannot be read again from a file."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024
