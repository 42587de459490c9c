"""The bench of the embedder's batches."""

import json
import subprocess
import sys

from tests.process import ROOT


def test_both_ways_are_timed_and_their_memory_is_told():
    command = [sys.executable, "-m", "app.bench", "batches", "--rounds", "1", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert [batch["size"] for batch in told["batches"]] == [1, 2, 4, 8, 16, 32]
    for batch in told["batches"]:
        assert batch["dealt_ms"] > 0
        assert batch["whole_ms"] > 0
        assert batch["dealt_of_whole"] == batch["dealt_ms"] / batch["whole_ms"]
    assert told["dealt_mb"] > 0
    assert told["whole_mb"] > 0
