"""From the nearest faces to ranked people: the best face of each; and the decision."""

from collections.abc import Callable, Mapping, Sequence

from app.entities import Floats, Identification, Match
from app.index.base import Ids, Index
from app.store.person_rows import Owner

FACES_PER_PERSON = 4  # the first guess of how many faces a person has
WIDER = 4  # each further search asks for so many times more


def rank_people(
    index: Index,
    collection: str,
    probes: Floats,
    people: int,
    owners_of: Callable[[Sequence[int]], Mapping[int, Owner]],
) -> list[list[Match]]:
    """probes (Q, D) -> per probe its best `people` people, best first.

    People with many faces can fill a list of the nearest faces; then that probe alone is searched
    again, wider, until enough people are found or there are no more faces.
    """
    rankings: list[list[Match]] = [[] for _ in probes]
    owners: dict[int, Owner] = {}
    unfinished = list(range(len(probes)))
    width = people * FACES_PER_PERSON
    while unfinished:
        scores, ids = index.search(collection, probes[unfinished], width)
        new = set(ids.ravel().tolist()) - owners.keys() - {-1}
        owners.update(owners_of(sorted(new)))
        for row, probe in enumerate(unfinished):
            rankings[probe] = _best_of_each(scores[row], ids[row], owners, people)
        unfinished = [
            probe
            for row, probe in enumerate(unfinished)
            # A row without padding may go on.
            if len(rankings[probe]) < people and ids[row, -1] != -1
        ]
        width = min(width * WIDER, max(width, index.count(collection)) + 1)
    return rankings


def decide(ranking: Sequence[Match], top_k: int, threshold: float) -> Identification:
    known = bool(ranking) and ranking[0].score >= threshold
    return Identification(
        decision="match" if known else "unknown",
        threshold=threshold,
        matches=tuple(ranking[:top_k]),
        margin=ranking[0].score - ranking[1].score if len(ranking) > 1 else None,
    )


def _best_of_each(
    scores: Floats, ids: Ids, owners: Mapping[int, Owner], people: int
) -> list[Match]:
    best: dict[str, Match] = {}
    for score, face in zip(scores.tolist(), ids.tolist(), strict=True):
        # No owner: padding, or a face that was deleted since the search.
        owner = owners.get(face)
        if owner is None or owner.person in best:
            continue
        best[owner.person] = Match(owner.person, owner.name, face, score)
        if len(best) == people:
            break
    return list(best.values())
