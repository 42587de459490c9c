"""The report of a bulk enrolment: a CSV line for each picture that was not taken, and why."""

import csv
from pathlib import Path
from threading import Lock
from typing import Self

from app.commands.target import Refused
from app.errors import BadRequest

COLUMNS = ("path", "code", "detail")


class RefusalReport:
    """Written anew by each run, line by line, so that it is true up to a kill. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._lock = Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", newline="", encoding="utf-8")
        except OSError as exc:
            raise BadRequest(f"the report {path} cannot be written: {exc.strerror}") from exc
        self._csv = csv.writer(self._file)
        self._csv.writerow(COLUMNS)

    def add(self, picture: Path, refusal: Refused) -> None:
        with self._lock:
            self._csv.writerow((picture, refusal.code, refusal.detail))
            self._file.flush()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
