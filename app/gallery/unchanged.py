"""The value of an argument that leaves things as they are, where None is a value of its own."""

from enum import Enum
from typing import Final


class Unchanged(Enum):
    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
