"""Figures of face recognition, from scores. NumPy only.

Verification (1:1): ROC, TAR at a FAR, the LFW 10-fold protocol (G. B. Huang et al., UMass Amherst
TR 07-49). Open-set identification (1:N): rank-1, and FNIR at a FPIR as NIST's FRTE names them.
A score is a cosine: higher means more alike.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]


def threshold_at_far(impostor: Scores, far: float) -> float:
    """The least threshold at which at most `far` of the impostor scores (N,) are accepted.

    Accepted means `score >= threshold`.
    """
    allowed = int(np.floor(far * len(impostor)))
    descending = np.sort(impostor)[::-1]
    return float(np.nextafter(descending[allowed], np.inf))


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


def k_fold_accuracy(scores: Scores, same: Flags, fold: npt.NDArray[np.int64]) -> Scores:
    """LFW's protocol: per fold, the accuracy at the threshold best on the other folds: (K,)."""
    accuracies = []
    for k in np.unique(fold):
        inside = fold == k
        threshold, _ = best_threshold(scores[~inside], same[~inside])
        accuracies.append(np.mean((scores[inside] >= threshold) == same[inside]))
    return np.array(accuracies)


@dataclass(frozen=True)
class OpenSet:
    """Open-set identification figures, each 0..1; `fnir` and `threshold` go with one FPIR."""

    rank1: float
    fpir: float
    fnir: float
    threshold: float


def open_set(
    scores: Scores, gallery: npt.NDArray[np.int64], probe: npt.NDArray[np.int64], fpir: float
) -> OpenSet:
    """Probes of enrolled people and of strangers against a gallery.

    scores: (Q, G) cosines; gallery: (G,) person of each gallery entry; probe: (Q,) person of each
    probe, strangers under numbers that the gallery does not have.
    FNIR: share of enrolled probes whose own person is not first, or is below the threshold that
    lets at most `fpir` of the strangers through.
    """
    best = scores.argmax(1)
    top = scores[np.arange(len(scores)), best]
    known = np.isin(probe, gallery)
    right = gallery[best] == probe
    threshold = threshold_at_far(top[~known], fpir)
    return OpenSet(
        rank1=float(np.mean(right[known])),
        fpir=float(np.mean(top[~known] >= threshold)),
        fnir=float(np.mean(~(right & (top >= threshold))[known])),
        threshold=threshold,
    )
