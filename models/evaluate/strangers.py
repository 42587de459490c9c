"""False matches by group, for packs whose crops have labels of a group but no identity.

All pairs of crops are compared at one threshold, that lets 1 in 1,000 pairs of the whole pool
through; a group's figure is the share of pairs within it that pass. Pairs that the pack's teacher
takes for one person are left out, so that what is counted are strangers. Intervals are over crops.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from models import metrics
from models.evaluate.embedders import Floats

FAR = 1e-3
# Teacher's cosine: on identify.npz 80 % of one person's pairs reach it, and 1 in 12,000 of two.
ONE_PERSON = 0.4
MOST = 6000  # crops: all pairs of them are held in memory


def spread(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """At most MOST of the rows, evenly over them."""
    return rows[:: -(-len(rows) // MOST)]


def false_matches(
    embeddings: Floats, teacher: Floats, labels: npt.NDArray[np.str_]
) -> dict[str, Any]:
    """Per label of (N,) crops the false-match rate among its own pairs; memory goes with N * N."""
    upper = np.triu(np.ones((len(labels),) * 2, bool), 1)
    strangers = upper & (teacher @ teacher.T < ONE_PERSON)
    scores = embeddings @ embeddings.T
    threshold = metrics.threshold_at_far(scores[strangers], FAR)
    accepted = strangers & (scores >= threshold)
    result: dict[str, Any] = {"threshold": threshold, "far": FAR, "groups": {}}
    for label in sorted(set(labels) - {""}):
        inside = np.flatnonzero(labels == label)
        among = strangers[np.ix_(inside, inside)].astype(np.float32)
        one, other = np.nonzero(accepted[np.ix_(inside, inside)])

        def rate(
            weight: metrics.Scores, among: Any = among, one: Any = one, other: Any = other
        ) -> list[float]:
            narrow = weight.astype(np.float32)
            return [float((weight[one] * weight[other]).sum() / (narrow @ among @ narrow))]

        (value,) = rate(np.ones(len(inside)))
        (limit,) = metrics.interval(rate, len(inside), rounds=100)
        result["groups"][str(label)] = {
            "crops": len(inside),
            "false_match_rate": value,
            "false_match_rate_interval": limit,
        }
    return result
