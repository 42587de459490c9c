"""LFW's 6,000 pairs, photographs in: 10-fold accuracy, and TAR at two FARs, with intervals.

A photograph in which no face was found stays in: its pairs score -1. Intervals are over people: a
pair counts with the weight of its person, or with the product of its two (`metrics.interval`).
The thresholds of the folds are those of the whole set; those of a FAR are found anew each round.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models import metrics
from models.evaluate.embedders import Embed
from models.evaluate.faces import Pairs

FARS = (1e-2, 1e-3)


@dataclass(frozen=True, eq=False)
class Result:
    scores: metrics.Scores  # (P,)
    same: metrics.Flags  # (P,)
    figures: dict[str, Any]
    weighed: metrics.Weighed

    @property
    def genuine(self) -> metrics.Scores:
        return self.scores[self.same]

    @property
    def impostor(self) -> metrics.Scores:
        return self.scores[~self.same]


def lfw(pairs: Pairs, embed: Embed) -> Result:
    """Scores and figures of one embedder."""
    left, right, same, found = pairs.left, pairs.right, pairs.same, pairs.crops.found
    embeddings = embed(pairs.crops.crops)
    scores = (embeddings[left] * embeddings[right]).sum(1)
    scores[~(found[left] & found[right])] = -1.0
    fold = np.arange(len(same)) // (len(same) // pairs.folds)
    accuracies = metrics.k_fold_accuracy(scores, same, fold)
    weighed = _weighed(pairs, scores, fold)
    accuracy, *tars = metrics.interval(weighed.of, weighed.people)
    figures: dict[str, Any] = {
        "accuracy": float(accuracies.mean()),
        "accuracy_interval": accuracy,
        "accuracy_std": float(accuracies.std()),
    }
    for far, tar in zip(FARS, tars, strict=True):
        figures[f"tar_at_far_{far}"] = metrics.tar_at_far(scores[same], scores[~same], far)
        figures[f"tar_at_far_{far}_interval"] = tar
    figures |= {
        "best_threshold": metrics.best_threshold(scores, same)[0],
        "threshold_at_far_0.001": metrics.threshold_at_far(scores[~same], 1e-3),
        "pairs": len(same),
        "faces_not_found": int((~found).sum()),
    }
    return Result(scores, same, figures, weighed)


def _weighed(pairs: Pairs, scores: metrics.Scores, fold: npt.NDArray[np.int64]) -> metrics.Weighed:
    """The accuracy and the TAR at each FAR."""
    same = pairs.same
    correct = metrics.k_fold_correct(scores, same, fold)
    person = pairs.people
    one, other = person[pairs.left], person[pairs.right]

    def figures(weight: metrics.Scores) -> list[float]:
        pair = np.where(same, weight[one], weight[one] * weight[other])
        # Half of the pairs are genuine; weights must not change that.
        halves = [np.average(correct[side], weights=pair[side]) for side in (same, ~same)]
        tars = []
        for far in FARS:
            threshold = metrics.threshold_at_far(scores[~same], far, pair[~same])
            tars.append(float(np.average(scores[same] >= threshold, weights=pair[same])))
        return [float(np.mean(halves)), *tars]

    names = ["accuracy", *(f"tar_at_far_{far}" for far in FARS)]
    return metrics.Weighed(names, int(person.max()) + 1, figures)
