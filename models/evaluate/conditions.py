"""Searches with faces as bad pictures show them: few pixels, little light, a mask.

People are enrolled with crops as they are and searched with their others, and with those of
strangers, under one condition after the other (models/conditions.py). The threshold stays where
FPIR of the strangers' searches pass without any, as it stays in a service that does not know what
picture comes next. Draws and intervals are those of `identify`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.conditions import CONDITIONS, under
from models.evaluate.embedders import Embed
from models.evaluate.faces import Faces
from models.evaluate.identify import (
    FPIR,
    at_thresholds,
    drawn,
    require_two_pictures,
    thresholds_of,
)

MOST = 1500  # faces, evenly over those there are: each is embedded under every condition


def conditions(faces: Faces, embed: Embed, names: Sequence[str] = ()) -> dict[str, Any]:
    """By condition, of those named or all: rank-1, FNIR and FPIR.

    Raises LookupError for a condition that there is not, ValueError when fewer than two people
    have two pictures.
    """
    for name in names:
        if name not in CONDITIONS:
            raise LookupError(f"no condition {name!r}; there are: {', '.join(CONDITIONS)}")
    some = slice(None, None, -(-len(faces.people) // MOST))
    crops, people = faces.crops[some], faces.people[some]
    require_two_pictures(people)
    person = np.unique(people, return_inverse=True)[1]
    plain, everyone = embed(crops), np.ones(len(people), bool)
    thresholds = thresholds_of(drawn(plain, plain, people))
    result: dict[str, Any] = {"threshold": float(np.mean(thresholds)), "fpir_without": FPIR}
    for name in names or CONDITIONS:
        draws = drawn(plain, embed(under(name, crops)), people)
        result[name] = at_thresholds(draws, thresholds, person, everyone)
    return result
