"""What a client knows of one person: what was acknowledged, and what it has not heard of yet."""

from dataclasses import dataclass, field
from uuid import uuid4

import numpy as np

DIM = 256
Vectors = frozenset[int]  # a person's faces by the seeds of their embeddings
Faces = Vectors | None  # None: there is no such person


def embedding(seed: int) -> list[float]:
    """(D,) numbers, the same for the same seed and near to no other's."""
    numbers = np.random.default_rng(seed).standard_normal(DIM)
    return [round(float(number), 5) for number in numbers]


@dataclass(frozen=True)
class Request:
    """A change that was sent. It leaves the person with `after`, if it is carried out."""

    method: str
    path: str
    body: dict[str, object] | None
    after: Faces
    key: str = field(default_factory=lambda: str(uuid4()))  # its Idempotency-Key


@dataclass
class Known:
    """One person. Only the thread that changes it reads and writes it while the service runs."""

    person: str
    faces: Faces = None  # as last acknowledged
    unanswered: Request | None = None
    numbers: dict[int, int] = field(default_factory=dict)  # seed -> id that the service gave it
    gone: set[int] = field(default_factory=set)  # seeds of faces that were deleted

    def acknowledged(self, after: Faces) -> None:
        self.gone |= (self.faces or frozenset()) - (after or frozenset())
        self.faces = after
        self.unanswered = None

    def allows(self, found: Faces) -> bool:
        """An unanswered change is there as a whole, or not at all."""
        return found == self.faces or (
            self.unanswered is not None and found == self.unanswered.after
        )

    def settle(self, found: Faces) -> None:
        """The service has told what became of the unanswered change."""
        # What was tried to no avail must not turn up later either.
        if self.unanswered is not None:
            tried = self.unanswered.after or frozenset()
            self.gone |= tried - (found or frozenset())
        self.acknowledged(found)
