"""The seam between the pipeline and whatever finds faces."""

from collections.abc import Sequence
from typing import Protocol

from app.entities import Face, Image


class Detector(Protocol):
    """Finds faces. Thread-safe: `detect` may be called from several threads at once."""

    name: str
    side: int  # the longer side of a picture at which it looks at most; larger ones are shrunk

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        """RGB pictures of any sizes -> per picture its faces, best score first.

        Boxes are clipped to the picture; only box, landmarks and score are set.
        """
        ...

    def close(self) -> None: ...
