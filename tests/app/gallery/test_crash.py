"""Killed in the middle of its work, the store holds whatever was acknowledged."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.gallery.made import DEFAULT_INDEX, open_gallery, vector

ROOT = Path(__file__).parents[3]

# Enrols person after person, deletes every fourth again, and says each only when it is done.
WORKER = """
import sys
from pathlib import Path
from tests.app.gallery.made import face, open_gallery

gallery = open_gallery(Path(sys.argv[1]))
number = gallery.counts()[0] * 1000
while True:
    number += 1
    gallery.enrol("default", f"p{number}", [face(number), face(number + 500_000)])
    print("stored", number, flush=True)
    if number % 4 == 0:
        gallery.delete_person("default", f"p{number}")
        print("deleted", number, flush=True)
"""


def work_until_killed(folder: Path, lines: int) -> list[tuple[str, int]]:
    """What the worker acknowledged before it was killed, some time after so many lines."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    with worker:
        said = [worker.stdout.readline() for _ in range(lines)]
        os.kill(worker.pid, signal.SIGKILL)
        said += worker.stdout.readlines()
    whole = [line.split() for line in said if line.endswith("\n")]
    return [(word, int(number)) for word, number in whole]


@pytest.mark.parametrize("lines", [1, 6, 20])
def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path, lines: int):
    for _ in range(2):  # the second round begins in what the first one left
        acknowledged = work_until_killed(tmp_path, lines)
        assert len(acknowledged) >= lines
        stored = {number for word, number in acknowledged if word == "stored"}
        deleted = {number for word, number in acknowledged if word == "deleted"}
        last = max(stored)

        gallery = open_gallery(tmp_path)
        people = {person.id: person for person in gallery.people("default", limit=500).items}
        for number in stored - deleted - {last}:
            assert people[f"p{number}"].faces == 2
            (answer,) = gallery.identify("default", vector(number)[None], threshold=0.99)
            assert answer.matches[0].person == f"p{number}"
        assert people.keys().isdisjoint(f"p{number}" for number in deleted)
        # The last one may have been deleted, or the next one stored, without a word.
        assert len(people.keys() & {f"p{last}", f"p{last + 1}"}) >= (last % 4 != 0)
        assert {person.faces for person in people.values()} <= {2}
        assert gallery._index.count(DEFAULT_INDEX) == gallery.counts()[1] == 2 * len(people)
        gallery.close()
