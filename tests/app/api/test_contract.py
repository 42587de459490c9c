"""Schemathesis against a running service: its document is what it does, whatever is sent to it.

All checks: no answer of 500 or above, only described answers, and nothing accepted that the
document forbids, without a key or under another method.
"""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.process import ROOT, environment_in, served

CONFIGURATION = ROOT / "tests" / "schemathesis.toml"


def checked(folder: Path, *options: str) -> str:
    """What it reports; fails when a check did."""
    with served(environment_in(folder), folder / "log") as (url, _):
        key = httpx.post(f"{url}/keys", json={"name": "test", "role": "admin"}).json()["key"]
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)),
                *("run", f"{url}/openapi.json", "--checks", "all", "--no-shrink", "--no-color"),
                *("--header", f"Authorization: Bearer {key}", "--seed", "1", *options),
            ],
            cwd=folder,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert key not in (folder / "log").read_text()
    return done.stdout


def cases(report: str) -> int:
    found = re.search(r"(\d+) generated", report)
    assert found
    return int(found[1])


def test_every_operation_keeps_to_the_document(tmp_path: Path):
    report = checked(tmp_path, "--phases", "examples,fuzzing", "--max-examples", "1")
    assert cases(report) > 40


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_operation_keeps_to_the_document_in_every_phase(tmp_path: Path):
    phases = "examples,coverage,fuzzing,stateful"
    report = checked(tmp_path, "--phases", phases, "--max-examples", "30", "--continue-on-failure")
    assert cases(report) > 1000
