"""Open-set identification, 1:N: rank-1, and FNIR at two FPIRs, with intervals, also by group.

Half of the people, drawn with a fixed seed, are enrolled with one picture each and searched with
their others; all pictures of the other half are strangers. Ten draws are averaged. Intervals are
over people as they are searched (`metrics.interval`); the galleries of the draws stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models import metrics
from models.evaluate.embedders import Embed, Floats
from models.evaluate.faces import Faces

DRAWS = 10
ROUNDS = 300  # of the bootstrap; each weighs ten draws
FPIRS = (0.01, 0.001)
FPIR = 0.01  # groups and conditions are compared at one threshold for all, that of this FPIR


@dataclass(frozen=True, eq=False)
class Draw:
    probes: npt.NDArray[np.int64]  # (Q,) rows of the faces
    found: metrics.Searches


@dataclass(frozen=True, eq=False)
class Result:
    embeddings: Floats  # (N, D) of the faces
    draws: list[Draw]
    figures: dict[str, Any]
    weighed: metrics.Weighed


def identify(faces: Faces, embed: Embed, by: Sequence[str] = ()) -> Result:
    """Searches and figures of one embedder.

    `by` names groupings that the faces have labels of; raises LookupError for another one.
    Raises ValueError when fewer than two people have two pictures.
    """
    for grouping in by:
        if grouping not in faces.groups:
            known = ", ".join(faces.groups) or "none"
            raise LookupError(f"these faces have no labels of {grouping!r}; they have: {known}")
    people = faces.people
    require_two_pictures(people)
    embeddings = embed(faces.crops)
    draws = drawn(embeddings, embeddings, people)
    names, person = np.unique(people, return_inverse=True)

    def figures(weight: metrics.Scores) -> list[float]:
        return _mean_figures(draws, weight[person])

    keys = ["rank1", *(f"fnir_at_fpir_{fpir}" for fpir in FPIRS)]
    values = figures(np.ones(len(names)))
    limits = metrics.interval(figures, len(names), ROUNDS)
    result: dict[str, Any] = {}
    for key, value, limit in zip(keys, values, limits, strict=True):
        result |= {key: value, f"{key}_interval": limit}
    thresholds = thresholds_of(draws)
    result |= {
        "threshold_at_fpir_0.01": float(np.mean(thresholds)),
        "people": len(names) // 2,
        "strangers": len(names) - len(names) // 2,
        "faces_not_found": faces.not_found,
    }
    for grouping in by:
        result[f"by_{grouping}"] = _by_group(draws, thresholds, person, faces.groups[grouping])
    return Result(embeddings, draws, result, metrics.Weighed(keys, len(names), figures))


def require_two_pictures(people: npt.NDArray[np.int32]) -> None:
    """Raises ValueError when fewer than two people have two pictures."""
    if (np.unique(people, return_counts=True)[1] > 1).sum() < 2:
        raise ValueError("identification needs people with at least two pictures each")


def drawn(gallery: Floats, probing: Floats, people: npt.NDArray[np.int32]) -> list[Draw]:
    """The draws. Both are embeddings (N, D) of the faces: as enrolled and as searched with."""
    return [_draw(gallery, probing, people, seed) for seed in range(DRAWS)]


def thresholds_of(draws: Sequence[Draw]) -> list[float]:
    """Of each draw the threshold that lets FPIR of its strangers through."""
    return [metrics.open_set(draw.found, FPIR).threshold for draw in draws]


def _draw(gallery: Floats, probing: Floats, people: npt.NDArray[np.int32], seed: int) -> Draw:
    rng = np.random.default_rng(seed)
    known = rng.permutation(np.unique(people))[: len(np.unique(people)) // 2]
    enrolled = np.array([rng.choice(np.flatnonzero(people == person)) for person in known])
    probes = np.setdiff1d(np.arange(len(people)), enrolled)
    scores = probing[probes] @ gallery[enrolled].T
    return Draw(probes, metrics.search(scores, people[enrolled], people[probes]))


def _mean_figures(draws: Sequence[Draw], weight: metrics.Scores) -> list[float]:
    """rank-1 and the FNIRs, the mean of the draws. weight: (N,) of the faces."""
    rows = []
    for draw in draws:
        at = [metrics.open_set(draw.found, fpir, weight[draw.probes]) for fpir in FPIRS]
        rows.append([at[0].rank1, *(figures.fnir for figures in at)])
    return [float(value) for value in np.mean(rows, 0)]


def _by_group(
    draws: Sequence[Draw],
    thresholds: Sequence[float],
    person: npt.NDArray[np.int64],
    labels: npt.NDArray[np.str_],
) -> dict[str, Any]:
    """Per label: rank-1, FNIR and FPIR at the one threshold of each draw, all draws together.

    FPIR is that of the group's strangers against galleries of everybody.
    """
    return {
        str(label): at_thresholds(draws, thresholds, person, labels == label)
        for label in sorted(set(labels) - {""})
    }


def at_thresholds(
    draws: Sequence[Draw],
    thresholds: Sequence[float],
    person: npt.NDArray[np.int64],
    counted: metrics.Flags,
) -> dict[str, Any]:
    """rank-1, FNIR and FPIR with intervals, each draw at its threshold, all draws together.

    person: (N,) 0..P-1 of the faces; counted: (N,) those whose searches count.
    """
    rows = [
        (draw.probes, draw.found.right, draw.found.known, draw.found.top >= threshold)
        for draw, threshold in zip(draws, thresholds, strict=True)
    ]
    probes, right, known, accepted = map(np.concatenate, zip(*rows, strict=True))
    mine = counted[probes]
    enrolled, strangers = mine & known, mine & ~known

    def figures(weight: metrics.Scores) -> list[float]:
        each = weight[person[probes]]
        return [
            _share(right[enrolled], each[enrolled]),
            _share(~(right & accepted)[enrolled], each[enrolled]),
            _share(accepted[strangers], each[strangers]),
        ]

    people = int(person.max()) + 1
    values, limits = figures(np.ones(people)), metrics.interval(figures, people, ROUNDS)
    row: dict[str, Any] = {"people": len(np.unique(person[counted]))}
    for key, value, limit in zip(("rank1", "fnir", "fpir"), values, limits, strict=True):
        row |= {key: value, f"{key}_interval": limit}
    return row


def _share(flags: metrics.Flags, weight: metrics.Scores) -> float:
    """Weighted share of the flags; not a number where there is none to count."""
    return float(np.average(flags, weights=weight)) if len(flags) else float("nan")
