"""What a bulk enrolment did with each picture, kept so that a killed run can go on.

One line of JSON per step, on disk before the next step: `began` before a picture is handed over,
`done` or `refused` after the answer. So a picture that is `done` was acknowledged, one without a
line was never sent, and of one that only `began` just the service can say whether it is stored.
Steps of a person who is no longer there are `forgotten`. People stand in it as hashes: whoever is
deleted from the gallery can be read nowhere else either.
"""

import hashlib
import json
import os
from collections import defaultdict
from pathlib import Path
from threading import Lock
from typing import Literal, NamedTuple, Self, get_args

from app.errors import BadRequest

Step = Literal["began", "done", "refused", "forgotten"]


class Owner(NamedTuple):
    """A person in one place."""

    place: str  # the service's address, or "local"
    collection: str
    person: str


class Journal:
    """Thread-safe. Several runs may share a file one after another, not at once."""

    def __init__(self, path: Path) -> None:
        self._lock = Lock()
        self._steps: defaultdict[str, dict[str, Step]] = defaultdict(dict)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except OSError as exc:
            raise BadRequest(f"the journal {path} cannot be written: {exc.strerror}") from exc
        self._file.seek(0)
        kept = self._file.read()
        for line in kept.splitlines():
            self._read(line)
        if kept and not kept.endswith(b"\n"):
            self._file.write(b"\n")  # a kill tore the last line; what follows must not join it

    def _read(self, line: bytes) -> None:
        try:
            owner, sha256, step = json.loads(line)
            if step in get_args(Step):
                self._steps[owner][sha256] = step
        except (ValueError, TypeError):
            pass  # torn: the step was not acknowledged to anyone, the one before it stands

    def step(self, owner: Owner, sha256: str) -> Step | None:
        """The last step noted of a picture; its bytes count, not the name of its file."""
        with self._lock:
            return self._steps[_hash(owner)].get(sha256)

    def note(self, owner: Owner, sha256: str, step: Step) -> None:
        """Returns when the step is on disk."""
        with self._lock:
            self._write(_hash(owner), {sha256: step})

    def forget(self, owner: Owner) -> None:
        """Every picture of a person counts as never begun, for later runs too."""
        with self._lock:
            if known := self._steps[_hash(owner)]:
                self._write(_hash(owner), dict.fromkeys(known, "forgotten"))

    def _write(self, owner: str, steps: dict[str, Step]) -> None:
        for sha256, step in steps.items():
            self._file.write(json.dumps([owner, sha256, step]).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._steps[owner].update(steps)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _hash(owner: Owner) -> str:
    return hashlib.sha256(json.dumps(owner).encode()).hexdigest()
