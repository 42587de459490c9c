"""Which threshold? What each of several does in galleries of several sizes, with intervals.

A search compares with everybody enrolled, so the share of strangers who are given a name grows with
their number: a threshold is right for a size. People in random order fill the gallery with one
picture each, those first who have another to be searched with; the rest are strangers, with one
picture each. Draws are averaged. Intervals are over people as they are searched
(`metrics.interval`); the galleries of the draws stay.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models import metrics
from models.evaluate.embedders import Embed, Floats
from models.evaluate.faces import Faces
from models.evaluate.identify import Draw

DRAWS = 5
SIZES = (50, 200, 1000)
THRESHOLDS = (0.35, 0.4, 0.45, 0.5, 0.55)
FPIR = 0.01
LEAST_STRANGERS = 10  # fewer tell nothing


def thresholds(
    faces: Faces,
    embed: Embed,
    sizes: Sequence[int] = SIZES,
    at: Sequence[float] = THRESHOLDS,
) -> dict[str, Any]:
    """Per gallery size: rank-1, per threshold the shares named rightly (of people enrolled) and
    falsely (of strangers), and the threshold that FPIR of the strangers reach.

    Sizes that leave fewer than ten strangers are left out; raises ValueError when that is all.
    """
    names, person = np.unique(faces.people, return_inverse=True)
    embeddings = embed(faces.crops)
    fitting = [size for size in sizes if size <= len(names) - LEAST_STRANGERS]
    if not fitting:
        raise ValueError(
            f"{len(names)} people are too few for galleries of {', '.join(map(str, sizes))} "
            f"and {LEAST_STRANGERS} strangers"
        )
    result: dict[str, Any] = {}
    for size in fitting:
        draws = [_draw(embeddings, person, size, seed) for seed in range(DRAWS)]
        result[f"gallery_{size}"] = _figures(draws, person, at)
    return result | {"people": len(names), "faces_not_found": faces.not_found}


def two_digits(threshold: float) -> str:
    """Or more, where it has more: two thresholds never share a name."""
    return max(f"{threshold:.2f}", f"{threshold:g}", key=len)


def _draw(embeddings: Floats, person: npt.NDArray[np.int64], size: int, seed: int) -> Draw:
    """Raises ValueError when nobody of the gallery has a second picture."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(person))  # of the pictures
    people, first = np.unique(person[order], return_index=True)
    several = np.bincount(person)[people] > 1
    known = np.lexsort((rng.random(len(people)), ~several))[:size]
    enrolled = order[first[known]]
    left = np.setdiff1d(order, enrolled, assume_unique=True)
    rng.shuffle(left)
    _, one_each = np.unique(person[left], return_index=True)
    probes = left[one_each]
    if not np.isin(person[probes], person[enrolled]).any():
        raise ValueError("nobody has a second picture to be searched with")
    scores = embeddings[probes] @ embeddings[enrolled].T
    return Draw(probes, metrics.search(scores, person[enrolled], person[probes]))


def _figures(
    draws: Sequence[Draw], person: npt.NDArray[np.int64], at: Sequence[float]
) -> dict[str, Any]:
    reached = float(np.mean([metrics.open_set(d.found, FPIR).threshold for d in draws]))
    steps = (-np.inf, *at, reached)

    def figures(weight: metrics.Scores) -> list[float]:
        rows = []
        for draw in draws:
            found, mine = draw.found, weight[person[draw.probes]]
            weights, strangers = mine[found.known], mine[~found.known]
            right, top = found.right[found.known], found.top
            rows.append(
                [np.average(right & (top[found.known] >= step), weights=weights) for step in steps]
                + [np.average(top[~found.known] >= step, weights=strangers) for step in steps]
            )
        return [float(value) for value in np.mean(rows, 0)]

    people = int(person.max()) + 1
    values = figures(np.ones(people))
    limits = metrics.interval(figures, people, rounds=200)
    n = len(steps)
    result: dict[str, Any] = {
        "rank1": values[0],
        "rank1_interval": limits[0],
        f"threshold_at_fpir_{FPIR}": reached,
    }
    for i, step in enumerate(steps[1:], 1):
        result[f"at_{two_digits(step)}" if i < n - 1 else f"at_fpir_{FPIR}"] = {
            "named_rightly": values[i],
            "named_rightly_interval": limits[i],
            "strangers_named": values[n + i],
            "strangers_named_interval": limits[n + i],
        }
    return result
