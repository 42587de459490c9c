"""The seam between a command and where it works: a data folder here, or a service elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from app.entities import Identification, Person

Faces = Literal["one", "largest"]

# Far above what a service takes; a file beyond it is not even read.
MAX_FILE_BYTES = 256 * 1024 * 1024

# The cosine of a picture with itself is 1 but for rounding; other photographs stay well below.
SAME_PICTURE = 0.9995


class Refused(Exception):
    """One picture was not taken; the others may be. `code` is of `app/errors.py`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, eq=False)
class Picture:
    """An encoded picture and the name to speak of it by."""

    name: str
    data: bytes


@dataclass(frozen=True, eq=False)
class Found:
    """One face of a picture and who it is."""

    box: tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels of the turned picture
    score: float  # of the detector, 0..1
    answer: Identification


class Target(Protocol):
    """Thread-safe. Raises Refused for a picture's own fault, Busy when trying again may help, and
    another error when going on is of no use."""

    place: str  # the service's address, or "local"
    journal: Path | None  # where a bulk enrolment keeps its journal; None: beside its report

    def enroll(self, person: str, picture: Picture, *, collection: str, faces: Faces) -> None:
        """Returns when the face is stored; makes the person, named as its id, when new."""
        ...

    def holds(self, person: str, picture: Picture, *, collection: str) -> bool:
        """Whether this very picture is among the person's faces."""
        ...

    def face_count(self, person: str, *, collection: str) -> int:
        """How many faces a person has; 0 when there is no such person or collection."""
        ...

    def identify(
        self, picture: Picture, *, collection: str, top_k: int, threshold: float | None
    ) -> list[Found]: ...

    def people(self, *, collection: str, search: str | None) -> Iterator[Person]: ...

    def close(self) -> None: ...


def read_picture(path: Path) -> Picture:
    """The file's bytes, whatever they are: whether they are a picture is the target's to say."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise Refused("image_too_large", f"the file has more than {MAX_FILE_BYTES} bytes")
        return Picture(path.name, path.read_bytes())
    except OSError as exc:
        raise Refused("bad_request", f"the file cannot be read: {exc.strerror}") from exc
