"""The bench of a start, and the bound of the memory that one takes."""

import json
import subprocess
import sys

from tests.process import ROOT

MOST_RESIDENT_MB = 450


def test_a_start_is_measured_and_its_memory_is_bounded():
    command = [sys.executable, "-m", "app.bench", "start", "--rounds", "1", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told.keys() == {
        "import_cpu_seconds",
        "ready_seconds",
        "ready_cpu_seconds",
        "resident_mb",
    }
    assert 0 < told["import_cpu_seconds"] < told["ready_cpu_seconds"]
    assert 50 < told["resident_mb"] <= MOST_RESIDENT_MB
