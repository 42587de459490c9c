"""The bench of the detector asked by many at once."""

import json
import subprocess
import sys

from tests.process import ROOT


def test_both_ways_are_timed_and_their_memory_is_told():
    bench = [sys.executable, "-m", "app.bench", "detection"]
    command = [*bench, "--rounds", "1", "--pictures", "2", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert [(crowd["side"], crowd["callers"]) for crowd in told["crowds"]] == [
        (side, callers) for side in (256, 512, 1024) for callers in (1, 8)
    ]
    for crowd in told["crowds"]:
        assert crowd["shared_ms"] > 0
        assert crowd["one_ms"] > 0
        assert crowd["shared_of_one"] == crowd["shared_ms"] / crowd["one_ms"]
    assert told["shared_mb"] > 0
    assert told["one_mb"] > 0
