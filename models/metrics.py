"""Figures of face recognition, from scores. NumPy only.

Verification (1:1): ROC, TAR at a FAR, the LFW 10-fold protocol (G. B. Huang et al., UMass Amherst
TR 07-49). Open-set identification (1:N): rank-1, and FNIR at a FPIR as NIST's FRTE names them.
A score is a cosine: higher means more alike. Weights say how much each score counts, all alike
where none are given; `interval` uses them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]


def threshold_at_far(impostor: Scores, far: float, weight: Scores | None = None) -> float:
    """The least threshold at which at most `far` of the impostor scores (N,) are accepted.

    Accepted means `score >= threshold`.
    """
    order = np.argsort(-impostor, kind="stable")
    counted = np.cumsum(np.ones(len(impostor)) if weight is None else weight[order])
    first_too_many = np.searchsorted(counted, far * counted[-1], "right")
    return float(np.nextafter(impostor[order[first_too_many]], np.inf))


def tar_at_far(genuine: Scores, impostor: Scores, far: float) -> float:
    """True-accept rate 0..1 at the threshold that accepts at most `far` of the impostors."""
    return float(np.mean(genuine >= threshold_at_far(impostor, far)))


def roc(genuine: Scores, impostor: Scores) -> tuple[Scores, Scores, Scores]:
    """(far, tar, threshold), each (M,), one point per distinct score, strictest first."""
    thresholds = np.unique(np.concatenate([genuine, impostor]))[::-1]
    far = 1 - np.searchsorted(np.sort(impostor), thresholds, "left") / len(impostor)
    tar = 1 - np.searchsorted(np.sort(genuine), thresholds, "left") / len(genuine)
    return far, tar, thresholds


def best_threshold(scores: Scores, same: Flags) -> tuple[float, float]:
    """(threshold, accuracy) of the most accurate rule `score >= threshold` on (N,) pairs."""
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(np.where(same[order], 1, -1))
    correct = np.concatenate([[0], hits]) + np.sum(~same)  # with the first i pairs accepted
    # Pairs of equal score stand or fall together: only cuts between distinct scores count.
    cuts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1], [True]]))
    best = int(cuts[np.argmax(correct[cuts])])
    if best == 0:
        threshold = float(np.nextafter(ranked[0], np.inf))
    elif best == len(ranked):
        threshold = float(ranked[-1])
    else:
        threshold = float((ranked[best - 1] + ranked[best]) / 2)
    return threshold, float(correct[best] / len(scores))


def k_fold_correct(scores: Scores, same: Flags, fold: npt.NDArray[np.int64]) -> Flags:
    """LFW's protocol: which pairs are judged rightly at the threshold best on the other folds."""
    correct = np.empty(len(scores), bool)
    for k in np.unique(fold):
        inside = fold == k
        threshold, _ = best_threshold(scores[~inside], same[~inside])
        correct[inside] = (scores[inside] >= threshold) == same[inside]
    return correct


def k_fold_accuracy(scores: Scores, same: Flags, fold: npt.NDArray[np.int64]) -> Scores:
    """The accuracy of each fold by that protocol: (K,)."""
    correct = k_fold_correct(scores, same, fold)
    return np.array([correct[fold == k].mean() for k in np.unique(fold)])


@dataclass(frozen=True, eq=False)
class Searches:
    """What came back for each of Q probes against a gallery."""

    top: Scores  # (Q,) score of the first hit
    right: Flags  # (Q,) the first hit is the probe's own person
    known: Flags  # (Q,) the probe's person is in the gallery


def search(scores: Scores, gallery: npt.NDArray[np.int_], probe: npt.NDArray[np.int_]) -> Searches:
    """Probes of enrolled people and of strangers against a gallery.

    scores: (Q, G) cosines; gallery: (G,) person of each gallery entry; probe: (Q,) person of each
    probe, strangers under numbers that the gallery does not have.
    """
    best = scores.argmax(1)
    top = scores[np.arange(len(scores)), best]
    return Searches(top, gallery[best] == probe, np.isin(probe, gallery))


@dataclass(frozen=True)
class OpenSet:
    """Open-set identification figures, each 0..1; `fnir` and `threshold` go with one FPIR."""

    rank1: float
    fpir: float
    fnir: float
    threshold: float


def open_set(found: Searches, fpir: float, weight: Scores | None = None) -> OpenSet:
    """The figures at the threshold that lets at most `fpir` of the strangers through.

    FNIR: share of enrolled probes whose own person is not first, or is below that threshold.
    """
    weight = np.ones(len(found.top)) if weight is None else weight
    known, top = found.known, found.top
    threshold = threshold_at_far(top[~known], fpir, weight[~known])
    hit = found.right & (top >= threshold)
    return OpenSet(
        rank1=float(np.average(found.right[known], weights=weight[known])),
        fpir=float(np.average(top[~known] >= threshold, weights=weight[~known])),
        fnir=float(np.average(~hit[known], weights=weight[known])),
        threshold=threshold,
    )


def open_set_det(found: Searches) -> tuple[Scores, Scores]:
    """(fpir, fnir), each (M,): the open-set trade-off, strictest threshold first."""
    hits = np.where(found.right, found.top, -np.inf)[found.known]
    fpir, tpir, threshold = roc(hits, found.top[~found.known])
    reached = threshold > -np.inf  # a wrong first hit is a miss at every threshold
    return fpir[reached], 1 - tpir[reached]


@dataclass(frozen=True, eq=False)
class Weighed:
    """Figures by name as a function of how much each person counts: (people,) weights."""

    names: Sequence[str]
    people: int
    of: Callable[[Scores], Sequence[float]]


def differences(
    first: Weighed, other: Weighed, rounds: int = 1000
) -> dict[str, tuple[float, tuple[float, float]]]:
    """By name, the figure of `other` less that of `first`, with its 95 % interval.

    Paired: both are of the same people, who get the same weights in each round of `interval`, so
    what is hard for both cancels, and the interval is narrower than those of the two figures.
    """

    def gain(weight: Scores) -> list[float]:
        return [b - a for a, b in zip(first.of(weight), other.of(weight), strict=True)]

    values = gain(np.ones(first.people))
    limits = interval(gain, first.people, rounds)
    return dict(zip(first.names, zip(values, limits, strict=True), strict=True))


def interval(
    figures: Callable[[Scores], Sequence[float]], people: int, rounds: int = 1000, seed: int = 0
) -> list[tuple[float, float]]:
    """The 95 % interval of each figure, people being a sample: a Bayesian bootstrap (Rubin, 1981).

    In every round each person gets a random weight, exponential with mean 1, the smooth form of
    drawing people with replacement; `figures` is called with these (people,) weights.
    """
    rng = np.random.default_rng(seed)
    tried = np.array([figures(rng.exponential(size=people)) for _ in range(rounds)])
    low, high = np.nanpercentile(tried, [2.5, 97.5], axis=0)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
