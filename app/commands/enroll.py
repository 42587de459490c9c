"""`face enroll`: a folder per person, every picture handed over once, whatever happens between."""

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Literal

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.commands.journal import Journal, Owner
from app.commands.output import STDERR, say
from app.commands.refusals import RefusalReport
from app.commands.target import Faces, Picture, Refused, Target, read_picture
from app.errors import BadRequest, Busy

Outcome = Literal["enrolled", "before", "refused"]

# Seconds to wait before each further try of a picture that a full queue turned away.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0)


@dataclass
class Tally:
    """How many pictures ended how. Thread-safe."""

    enrolled: int = 0
    before: int = 0  # an earlier run did it
    refused: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def count(self, outcome: Outcome) -> None:
        with self._lock:
            setattr(self, outcome, getattr(self, outcome) + 1)


def pictures_by_person(folder: Path) -> dict[str, list[Path]]:
    """{the folder's name: the files below it}, sorted; hidden files are left out."""
    if not folder.is_dir():
        raise BadRequest(f"{folder} is not a folder")
    people = {
        person.name: sorted(
            path
            for path in person.rglob("*")
            if path.is_file() and not _is_hidden(path.relative_to(person))
        )
        for person in sorted(folder.iterdir())
        if person.is_dir() and not person.name.startswith(".")
    }
    if not any(people.values()):
        raise BadRequest(
            f"{folder} holds no folder with pictures; put the pictures of each person into a "
            "folder that has the person's name"
        )
    return people


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


@dataclass(frozen=True)
class BulkEnrolment:
    """One run over a folder. People are worked on at once, a person's pictures one by one."""

    target: Target
    journal: Journal
    report: RefusalReport
    collection: str
    faces: Faces
    threads: int = 4

    def run(
        self, people: dict[str, list[Path]], advance: Callable[[], None] = lambda: None
    ) -> Tally:
        """Raises the first error that is not a picture's own, after the pictures under way."""
        tally, stop = Tally(), Event()

        def work(person: str, paths: list[Path]) -> None:
            owner = Owner(self.target.place, self.collection, person)
            if not self.target.face_count(person, collection=self.collection):
                self.journal.forget(owner)  # deleted since, or never there
            for path in paths:
                if stop.is_set():
                    return
                tally.count(self._one(owner, path))
                advance()

        with ThreadPoolExecutor(self.threads, thread_name_prefix="enroll") as pool:
            jobs = [pool.submit(work, person, paths) for person, paths in people.items()]
            try:
                wait(jobs, return_when=FIRST_EXCEPTION)
            finally:  # also on Ctrl-C
                stop.set()
                pool.shutdown(cancel_futures=True)
        for job in jobs:
            if not job.cancelled():
                job.result()
        return tally

    def _one(self, owner: Owner, path: Path) -> Outcome:
        try:
            picture = read_picture(path)
            sha256 = hashlib.sha256(picture.data).hexdigest()
            if self._was_done(owner, picture, sha256):
                return "before"
            self._hand_over(owner, picture, sha256)
            return "enrolled"
        except Refused as refusal:
            self.report.add(path, refusal)
            return "refused"

    def _was_done(self, owner: Owner, picture: Picture, sha256: str) -> bool:
        step = self.journal.step(owner, sha256)
        if step != "began":
            return step == "done"
        # A kill came between handing over and noting the answer.
        if not self.target.holds(owner.person, picture, collection=self.collection):
            return False
        self.journal.note(owner, sha256, "done")
        return True

    def _hand_over(self, owner: Owner, picture: Picture, sha256: str) -> None:
        self.journal.note(owner, sha256, "began")
        try:
            self._enroll_patiently(owner.person, picture)
        except Refused:
            self.journal.note(owner, sha256, "refused")
            raise
        self.journal.note(owner, sha256, "done")

    def _enroll_patiently(self, person: str, picture: Picture) -> None:
        for pause in (*PAUSES, None):
            try:
                self.target.enroll(person, picture, collection=self.collection, faces=self.faces)
                return
            except Busy:
                if pause is None:  # the last try
                    raise
                time.sleep(pause)


def run(target: Target, folder: Path, report: Path, *, collection: str, faces: Faces) -> Tally:
    """The command: enrols with a progress bar and says how it ended."""
    people = pictures_by_person(folder)
    loose = sum(path.is_file() and not _is_hidden(Path(path.name)) for path in folder.iterdir())
    if loose:
        say(f"{loose} files lie outside any person's folder and are left out", "yellow")
    journal_path = target.journal or report.with_suffix(".journal")
    with Journal(journal_path) as journal, RefusalReport(report) as refusals, _bar() as bar:
        task = bar.add_task("enrolling", total=sum(map(len, people.values())))
        work = BulkEnrolment(target, journal, refusals, collection, faces)
        tally = work.run(people, lambda: bar.advance(task))
    said = f"{tally.enrolled} pictures enrolled, {tally.before} were before"
    say(f"{said}, {tally.refused} refused: see {report}" if tally.refused else said)
    return tally


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=STDERR)
