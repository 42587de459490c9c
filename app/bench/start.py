"""How long the service takes to be ready, and how much memory it holds with an empty gallery.

A process of its own on an empty data folder, asked until it is ready; the median of several starts.
The time of processor that a start takes is told too: unlike the clock's it hardly depends on what
else the machine is doing.
"""

import os
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from app.bench.process import resident, served

POLL_SECONDS = 0.01
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Start:
    import_cpu_seconds: float  # of `import app.main`, user and system
    ready_seconds: float  # from the command to the first 200 of /health/ready
    ready_cpu_seconds: float
    resident_mb: float  # then; Linux's VmRSS, in millions of bytes


def measure(rounds: int) -> dict[str, float]:
    """The medians of so many starts."""
    starts = [asdict(_one()) for _ in range(rounds)]
    return {name: statistics.median(start[name] for start in starts) for name in starts[0]}


def _one() -> Start:
    imported = _cpu_of_import()
    began = time.perf_counter()
    with served() as (url, process):
        while not _ready(url):
            time.sleep(POLL_SECONDS)
        seconds = time.perf_counter() - began
        cpu, held = _cpu_of(process.pid), resident(process.pid)
    return Start(imported, seconds, cpu, held)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


def _cpu_of_import() -> float:
    script = "import app.main, os; times = os.times(); print(times.user + times.system)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def _cpu_of(pid: int) -> float:
    # The fields after the command's name, which may hold spaces: user and system are 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
